"""Which image a backend's container is made of: by the card, its driver, and the way to ROCm."""

from collections.abc import Callable

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.host import Host
from lifecycle.steps import amd, cards, nvidia, rocm
from lifecycle.tables.serving import Image

SUITS: dict[str, Callable[[Host, Image], bool]] = {"cuda": nvidia.suits, "rocm": amd.suits}
"""Whether a row suits the card of a machine; a processor takes every row."""
SHELL = "shell"


def reference(backend: Backend, host: Host) -> str:
    """The image, as Docker takes it."""
    return backend.get("IMAGE") or choice(backend, host)[0].pinned


def instead(backend: Backend, host: Host) -> list[str]:
    """What to pull where the registry does not have it; nothing for an image a person chose."""
    if backend.get("IMAGE"):
        return []
    return [row.pinned for row in choice(backend, host)[1:] if row.fetchable]


def row(backend: Backend, host: Host) -> Image | None:
    """What is known of that image; None when IMAGE= names one that no row is about."""
    named = backend.get("IMAGE")
    if not named:
        return choice(backend, host)[0]
    rows = tables.serving.images(backend.gpu)
    return next((one for one in rows if one.named(named)), None)


def entrypoint(backend: Backend, host: Host) -> str:
    """What the image starts by itself; of an unknown tag: what others of its repository start."""
    known = row(backend, host)
    if known:
        return known.entrypoint
    name = tables.serving.repository(backend.get("IMAGE"))
    kin = (one for one in tables.serving.images(backend.gpu) if one.repository == name)
    return next((one.entrypoint for one in kin), "vllm-serve")


def notes(backend: Backend, host: Host) -> list[str]:
    """What nobody has tried yet, in lines for the one who is about to try it."""
    if backend.gpu == "cpu":
        return []
    known = row(backend, host)
    tried = known and known.verified == _mark(backend, host) == "hardware"
    lines = [] if tried else [_untried(backend, host)]
    misfit = belongs(host, known) if backend.gpu == "rocm" else ""
    return [*lines, *filter(None, (_doubt(known) if known else "", misfit))]


def _doubt(image: Image) -> str:
    unseen = "" if image.seen else "nobody we know of has seen this tag"
    said = "; ".join(filter(None, (unseen, image.note)))
    return f"{image.reference}: {said}" if said else ""


def _untried(backend: Backend, host: Host) -> str:
    way = f" by {amd.chosen(host).name}" if backend.gpu == "rocm" else ""
    where = f"under WSL2{way}" if host.os.wsl else "on native Linux"
    name = card(backend, host) or "such a card"
    image = tables.serving.by_tag(reference(backend, host))
    return f"unverified: we have not run {image} on {name} {where}"


def card(backend: Backend, host: Host) -> str:
    """The name of the card a server would use; "" when it is not known, or the processor."""
    return next((gpu.name for gpu in cards.of(backend, host).used), "")


def belongs(host: Host, image: Image | None) -> str:
    """Why what a container borrows here and the ROCm of its image may not fit; "" when they do.

    They share structures in memory, which changed from version to version (`data/rocm.toml`).
    """
    bridge, inside = host.amd.rocdxg, image.rocm if image else ""
    if rocm.system(host) != "wsl" or not inside:
        return ""
    if amd.chosen(host).rocdxg:
        unknown = bridge in {"", "unknown"}
        fits = unknown or tables.rocm.paired(bridge, inside)
        return "" if fits else f"librocdxg {bridge} is not known to go with its ROCm {inside}"
    here = host.amd.rocm
    same = tables.versions.numbers(here)[:2] == tables.versions.numbers(inside)[:2]
    return "" if same or not here else f"the image has ROCm {inside}, this machine {here}"


def choice(backend: Backend, host: Host) -> list[Image]:
    """The images that suit this machine, the one to take first."""
    suits = SUITS.get(backend.gpu)
    here = host.docker.images
    if suits is None:
        return tables.serving.choice(backend.gpu, here)
    mine = cards.as_used(backend, host)
    return tables.serving.choice(backend.gpu, here, lambda one: suits(mine, one))


def _mark(backend: Backend, host: Host) -> str:
    """The trust in the card's row, and in the way to ROCm: the lesser of both."""
    host = cards.as_used(backend, host)
    if backend.gpu == "cuda":
        gpu = nvidia.best(host)
        known = tables.cards.card("nvidia", gpu.name, gpu.arch)
        return known.verified if known else ""
    best = amd.best(host)
    way = amd.chosen(host).verified
    return best.verified if best and way == "hardware" else way
