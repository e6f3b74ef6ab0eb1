"""Graphics cards: what each can do, and who says so (`data/support.toml`)."""

from dataclasses import dataclass

from lifecycle.tables.rows import load_rows


@dataclass(frozen=True)
class Card:
    """A graphics card (or, without names, every card of one architecture).

    Args:
        names: parts of the names that drivers and Windows give it.
        arch: compute capability (`8.9`) or gfx name (`gfx1100`).
        memory_gib: as sold.
        wsl: whether it can be used from WSL2.
        wsl_from: the oldest WSL for it; "" when any does that a server needs (`data/wsl.toml`).
        driver_windows: lowest driver there: NVIDIA's number, or AMD's Adrenalin number.
        driver_linux: lowest NVIDIA driver on native Linux; "" when the kernel's own is meant.
        recipes: names of the ways to install ROCm for it, best first (`data/rocm.toml`).
        images: the family of images that has kernels for it.
        verified: `hardware` (we ran it), `documented` (its vendor says so), `reported` (others do).
    """

    vendor: str
    names: list[str]
    arch: str
    memory_gib: float
    wsl: bool
    driver_windows: str
    driver_linux: str
    recipes: list[str]
    images: str
    verified: str
    note: str = ""
    wsl_from: str = ""


def cards(vendor: str) -> list[Card]:
    """Every row about `nvidia` or `amd` cards."""
    return [row for row in load_rows(Card, "support.toml", "card") if row.vendor == vendor]


def card(vendor: str, name: str, arch: str) -> Card | None:
    """The row for a card: the longest name that is part of its own, else its architecture's."""
    rows = cards(vendor)
    named = [(part, row) for row in rows for part in row.names if part.lower() in name.lower()]
    if named:
        return max(named, key=lambda one: len(one[0]))[1]
    return next((row for row in rows if not row.names and row.arch == arch), None)
