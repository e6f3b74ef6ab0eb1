"""What a card cannot do with a model, in sentences. The rules are data (`data/fit.toml`)."""

from typing import Protocol

from lifecycle import tables
from lifecycle.model import Architecture


class Card(Protocol):
    """What is asked of a card."""

    @property
    def gpu(self) -> str:
        """`cuda`, `rocm` or `cpu`."""

    @property
    def arch(self) -> str:
        """Compute capability or gfx name."""

    @property
    def wsl(self) -> bool:
        """It is reached through WSL2."""


class Wanted(Protocol):
    """What is asked of a server."""

    @property
    def dtype(self) -> str:
        """`DTYPE`."""

    @property
    def kv_dtype(self) -> str:
        """`KV_CACHE_DTYPE`."""

    @property
    def quantization(self) -> str:
        """`QUANTIZATION`."""

    @property
    def version(self) -> str:
        """Of vLLM; "" when unknown."""


def of(
    architecture: Architecture, card: Card, wanted: Wanted
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands in the way, and what is only good to know."""
    rows = tables.fit.limits(card.gpu, card.arch, wanted.version, wsl=card.wsl)
    uses = _uses(architecture, wanted)
    met = [row for row in rows if row.what in uses]
    blocking = tuple(row.says for row in met if row.blocks)
    return blocking, tuple(row.says for row in met if not row.blocks)


def allows_fp8_cache(card: Card) -> bool:
    """Whether the KV cache may be fp8; not on a card nothing is known of."""
    return _allows("kv:fp8", card)


def computes_fp8(card: Card) -> bool:
    """Whether weights made fp8 at the start are of use; not where there is as much as a caution."""
    return _allows("weights:fp8", card)


def _allows(what: str, card: Card) -> bool:
    rows = tables.fit.limits(card.gpu, card.arch, wsl=card.wsl)
    return bool(card.arch) and not any(row.what == what for row in rows)


def _uses(architecture: Architecture, wanted: Wanted) -> set[str]:
    """What of the model and the settings a card must be able to do."""
    kind = architecture.quantization
    format_ = kind.format if kind.method else {"fp8": "fp8"}.get(wanted.quantization, "")
    dtype = wanted.dtype if wanted.dtype not in {"", "auto"} else architecture.dtype
    method = kind.method or wanted.quantization
    uses = {f"dtype:{dtype}", f"weights:{format_}", f"method:{method}", f"{method}:{format_}"}
    if architecture.experts:
        uses |= {"experts", f"experts:{format_}"}
    if kind.square:
        uses.add(f"blocks:{format_}")
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
