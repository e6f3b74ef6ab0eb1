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


def of(
    architecture: Architecture, card: Card, wanted: Wanted
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands in the way, and what is only good to know."""
    rows = tables.fit.limits(card.gpu, card.arch, wsl=card.wsl)
    met = [row for row in rows if row.what in _uses(architecture, wanted)]
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
    cache = wanted.kv_dtype if wanted.kv_dtype not in {"", "auto"} else kind.kv_cache
    dtype = wanted.dtype if wanted.dtype not in {"", "auto"} else architecture.dtype
    method = kind.method or wanted.quantization
    return {
        f"dtype:{dtype}",
        f"weights:{format_}",
        f"method:{method}",
        # fp8_e5m2 needs no hardware: it is a cut-off float16.
        "kv:fp8" if cache.startswith("fp8") and cache != "fp8_e5m2" else "",
        "experts" if architecture.experts else "",
    }
