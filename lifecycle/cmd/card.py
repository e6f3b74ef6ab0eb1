"""The card a plan is about: this machine's, or one that was named."""

import re
from typing import TYPE_CHECKING

from lifecycle.errors import ConfigError

if TYPE_CHECKING:
    from lifecycle.backend import Backend
    from lifecycle.host import Host
    from lifecycle.planner.fit import Card

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(GiB|GB|G|MiB|MB|M)?", re.IGNORECASE)
FACTORS = {"g": 1024**3, "gib": 1024**3, "gb": 10**9, "m": 1024**2, "mib": 1024**2, "mb": 10**6}


def of(backend: "Backend", host: "Host", vram: str = "") -> "Card":
    """What the plan reckons with.

    Args:
        vram: memory of a card nobody need have, e.g. `24GiB`; "" for this machine's own.

    Raises:
        ConfigError: `vram` is no size, or there is no card to be read and none was named.
    """
    from dataclasses import replace

    from lifecycle.planner.fit import Card
    from lifecycle.steps import fit

    gpu = "cuda" if vram and backend.gpu == "cpu" else backend.gpu
    here = fit.card(backend.with_setting("GPU", gpu, "--vram"), host)
    if vram:
        # Of a card that is only thought of nobody knows what is free; the rest is as it is here.
        named = here or Card(gpu, 0, arch=_arch(backend), wsl=host.os.wsl)
        return replace(named, total=size(vram), free=None, count=1, ram=0)
    if here is None or not here.total:
        raise ConfigError(
            f"the memory of the card for GPU={backend.gpu} cannot be read here",
            fix="Name it: --vram 24GiB",
        )
    return here


def size(text: str) -> int:
    """Bytes of a size as people write it; a bare number is GiB.

    Raises:
        ConfigError: it is no size.
    """
    found = SIZE.fullmatch(text.strip())
    count = float(found[1]) if found else 0.0
    if found is None or not count:
        raise ConfigError(f"{text!r} is no size", fix="Write it like 24GiB.")
    return int(count * FACTORS[(found[2] or "gib").lower()])


def _arch(backend: "Backend") -> str:
    """The architecture of the card a backend is named after (`4090`, `7900xtx`); "" for none."""
    from lifecycle import tables

    rows = tables.cards.cards("nvidia" if backend.gpu == "cuda" else "amd")
    plain = backend.name.lower()
    return next((row.arch for row in rows for name in row.names
                 if name.lower().replace(" ", "").endswith(plain)), "")  # fmt: skip
