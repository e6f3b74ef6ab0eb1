"""Typed rows of `data/*.toml`, and the look-ups on them."""

import hashlib
import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from lifecycle.errors import NotSupported
from lifecycle.paths import DATA

Row = TypeVar("Row")


@dataclass(frozen=True)
class Engine:
    """vLLM as a Python environment; sizes in GiB."""

    gpu: str
    distribution: str
    version: str
    lock: str
    command: list[str]
    python: list[str]
    torch_backend: str
    torch: str
    disk_gib: float
    ram_gib: float

    @property
    def name(self) -> str:
        """The folder's name, e.g. `cpu-0.32.0`."""
        return f"{self.gpu}-{self.version}"

    @property
    def lock_file(self) -> Path:
        """The resolved, hash-checked requirements."""
        return DATA / self.lock

    def fingerprint(self) -> str:
        """What a complete installation must have been made from."""
        return hashlib.sha256(self.lock_file.read_bytes()).hexdigest()[:16]


@dataclass(frozen=True)
class Image:
    """A container image that holds vLLM; size in GiB."""

    gpu: str
    reference: str
    vllm: str
    digest: str
    entrypoint: str
    disk_gib: float

    @property
    def pinned(self) -> str:
        """The reference to pull: by digest where one is known."""
        known = self.digest.startswith("sha256:")
        return f"{self.reference}@{self.digest}" if known else self.reference


@dataclass(frozen=True)
class CpuSupport:
    """Instruction sets that vLLM needs on the CPU, those that make it fast, and those that the
    images for graphics cards need of the processor beside the card.
    """

    machine: str
    required: list[str]
    recommended: list[str]
    beside_gpu: list[str]


@dataclass(frozen=True)
class Card:
    """A graphics card (or, without names, every card of one architecture).

    Args:
        names: parts of the names that drivers and Windows give it.
        arch: compute capability (`8.9`) or gfx name (`gfx1100`).
        memory_gib: as sold.
        wsl: whether it can be used from WSL2.
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


@dataclass(frozen=True)
class Library:
    """A shared library vLLM loads and no wheel brings, and the package that has it."""

    gpu: str
    file: str
    apt: str


@dataclass(frozen=True)
class CpuSettings:
    """How a CPU server uses its cores."""

    max_cores: int
    env: dict[str, str]
    flags: list[str]
    why: str


@dataclass(frozen=True)
class PackagedModel:
    """A model whose weights come inside a Python package."""

    name: str
    about: str
    distribution: str
    version: str
    wheel_sha256: str
    file: str
    file_sha256: str
    size: int
    sampling: dict[str, float]

    @property
    def made_from(self) -> str:
        """What the manifest of its converted folder must say."""
        return f"{self.file_sha256} {json.dumps(self.sampling)}"


@cache
def _load(file: str) -> dict[str, Any]:
    return tomllib.loads((DATA / file).read_text(encoding="utf-8"))


def _rows(kind: type[Row], file: str, table: str) -> list[Row]:
    # Rows carry more than the program reads: source, checked, why. People read those.
    wanted = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    rows = _load(file)[table]
    return [kind(**{k: v for k, v in row.items() if k in wanted}) for row in rows]


def engine(gpu: str) -> Engine:
    """The engine for a kind of hardware."""
    for row in _rows(Engine, "engines.toml", "engine"):
        if row.gpu == gpu:
            return row
    raise NotSupported(f"no vLLM engine is known for GPU={gpu} in a venv", fix=_planned(gpu))


def image(gpu: str, here: Iterable[str] = ()) -> Image:
    """The image for a kind of hardware: the first one that is here, else the first row."""
    rows = [row for row in _rows(Image, "images.toml", "image") if row.gpu == gpu]
    if not rows:
        raise NotSupported(f"no container image is known for GPU={gpu}", fix=_planned(gpu))
    present = set(here)
    return next((row for row in rows if row.reference in present), rows[0])


def require_served(gpu: str, runtime: str) -> None:
    """Refuse a combination that `up` cannot start.

    Raises:
        NotSupported: and says what is missing for it.
    """
    if served(gpu, runtime):
        return
    able = sorted({row["gpu"] for row in _load("support.toml")["serve"]})
    raise NotSupported(
        f"GPU={gpu} with RUNTIME={runtime} cannot be started by this version",
        why=f"it still lacks {_planned(gpu) or 'a row in data/support.toml'}",
        fix=f"What can be started today: --gpu {', '.join(able)}.",
    )


def served(gpu: str, runtime: str) -> bool:
    """Whether `up` can start this hardware in this runtime."""
    return {"gpu": gpu, "runtime": runtime} in _load("support.toml")["serve"]


def servable(gpu: str) -> bool:
    """Whether any runtime can start this kind of hardware."""
    return any(row["gpu"] == gpu for row in _load("support.toml")["serve"])


def _planned(gpu: str) -> str:
    rows = _load("support.toml")["planned"]
    return next((str(row["missing"]) for row in rows if row["gpu"] == gpu), "")


def cpu_support(machine: str) -> CpuSupport:
    """What a processor of this architecture must have."""
    rows = _rows(CpuSupport, "support.toml", "cpu")
    for row in rows:
        if row.machine == machine:
            return row
    known = ", ".join(row.machine for row in rows)
    raise NotSupported(f"vLLM on {machine} processors is not known", why=f"known: {known}")


def cards(vendor: str) -> list[Card]:
    """Every row about `nvidia` or `amd` cards."""
    return [row for row in _rows(Card, "support.toml", "card") if row.vendor == vendor]


def card(vendor: str, name: str, arch: str) -> Card | None:
    """The row for a card: the longest name that is part of its own, else its architecture's."""
    rows = cards(vendor)
    named = [(part, row) for row in rows for part in row.names if part.lower() in name.lower()]
    if named:
        return max(named, key=lambda one: len(one[0]))[1]
    return next((row for row in rows if not row.names and row.arch == arch), None)


def libraries(gpu: str) -> list[Library]:
    """System libraries an engine needs."""
    return [row for row in _rows(Library, "support.toml", "library") if row.gpu == gpu]


def cpu_settings(cores: int) -> CpuSettings:
    """How a server should use so many cores."""
    rows = _rows(CpuSettings, "cpu_settings.toml", "settings")
    return next(row for row in rows if cores <= row.max_cores)


def packaged_models() -> dict[str, PackagedModel]:
    """Models that need no hub, by name."""
    return {row.name: row for row in _rows(PackagedModel, "models.toml", "model")}
