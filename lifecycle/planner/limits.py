"""What a card cannot do with a model, in sentences. The rules are data (`data/fit.toml`)."""

from typing import Protocol

from lifecycle import tables
from lifecycle.model import Architecture
from lifecycle.planner import refusals


class Card(refusals.Card, Protocol):
    """What is asked of a card."""

    @property
    def wsl(self) -> bool:
        """It is reached through WSL2."""


class Wanted(refusals.Wanted, Protocol):
    """What is asked of a server."""

    @property
    def kv_dtype(self) -> str:
        """`KV_CACHE_DTYPE`."""


def of(
    architecture: Architecture, card: Card, wanted: Wanted
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands in the way, and what is only good to know."""
    rows = tables.fit.limits(card.gpu, card.arch, wanted.version, wsl=card.wsl)
    uses = _uses(architecture, card, wanted)
    met = [row for row in rows if row.what in uses]
    told = (*(row.says for row in met if row.blocks), *refusals.of(architecture, card, wanted))
    blocking = tuple(dict.fromkeys(told))
    cautions = (row.says for row in met if not row.blocks)
    return blocking, (*cautions, *refusals.cautions(architecture))


def allows_fp8_cache(card: Card) -> bool:
    """Whether the KV cache may be fp8; not on a card nothing is known of."""
    return _allows("kv:fp8", card)


def computes_fp8(card: Card) -> bool:
    """Whether weights made fp8 at the start are of use; not where there is as much as a caution."""
    return _allows("weights:fp8", card)


def _allows(what: str, card: Card) -> bool:
    rows = tables.fit.limits(card.gpu, card.arch, wsl=card.wsl)
    return bool(card.arch) and not any(row.what == what for row in rows)


def _uses(architecture: Architecture, card: Card, wanted: Wanted) -> set[str]:
    """What of the model and the settings a card must be able to do."""
    kind = architecture.quantization
    made = {"fp8": "fp8"}.get(wanted.quantization, "") if not kind.formats else ""
    formats = kind.formats or (made,)
    method = kind.method or wanted.quantization
    uses = {f"dtype:{refusals.computed(architecture, card, wanted)}", f"method:{method}"}
    uses |= {f"{what}:{one}" for one in formats for what in ("weights", method)}
    if architecture.experts:
        uses |= {"experts", *(f"experts:{one}" for one in formats)}
    if kind.block:
        uses.add(f"blocks:{kind.format}")
    return uses | {f"kv:{what}" for what in _cache(architecture, wanted)}


def _cache(architecture: Architecture, wanted: Wanted) -> set[str]:
    """What of the type of the KV cache the hardware must be able to do."""
    plain = {"", "auto", "bfloat16", "float16", "float32"}
    said = wanted.kv_dtype not in {"", "auto"}
    cache = wanted.kv_dtype if said else architecture.quantization.kv_cache
    if cache in plain:
        return set()
    latent = {"latent"} if any(one.kind == "latent" for one in architecture.layers) else set()
    if cache == "fp8_e5m2":  # needs no hardware of a card: it is a cut-off float16
        return latent | {"e5m2"}
    return latent | ({"fp8"} if cache in {"fp8", "fp8_e4m3"} else {"packed"})
