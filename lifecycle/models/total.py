"""The sum on one card: what vLLM may take, what weights and overhead take, what is left."""

from dataclasses import dataclass, replace

from lifecycle import tables
from lifecycle.host import GIB
from lifecycle.model import Model
from lifecycle.models import kv, overhead, weights
from lifecycle.models.overhead import Batch, Overhead, Start
from lifecycle.models.plan import Card, Line, Wanted


@dataclass(frozen=True)
class Total:
    """Everything on one card, before the verdict; bytes.

    Args:
        held: weights.
        available: for the KV cache, if overhead is as reckoned.
        shortage: why vLLM would not even begin; "" when it would.
        lack: bytes of that shortage.
    """

    budget: int
    held: int
    overhead: Overhead
    cache: kv.Cache
    available: int
    lines: tuple[Line, ...]
    shortage: str = ""
    lack: int = 0

    @property
    def sure(self) -> int:
        """For the KV cache when everything else takes the most it may."""
        return self.available - self.overhead.error

    @property
    def hopeful(self) -> int:
        """And when it takes the least."""
        return self.available + self.overhead.error

    def longest(self, most: int) -> int:
        """The longest request that surely fits, up to `most` tokens."""
        return 0 if self.shortage else self.cache.longest(self.sure, most)


@dataclass(frozen=True)
class _Parts:
    held: int
    overhead: Overhead
    cache: kv.Cache


def total(model: Model, card: Card, wanted: Wanted, measured: int | None = None) -> Total:
    """Add it up.

    Args:
        measured: bytes of overhead a start of this model on this card really took.
    """
    architecture = model.architecture
    size = batch(model, card, wanted)
    dtype = wanted.dtype if wanted.dtype not in {"", "auto"} else architecture.dtype
    row = tables.fit.overhead(wanted.version)
    layout = kv.Layout(
        wanted.kv_dtype, dtype, wanted.tensor, wanted.pipeline, size.tokens, row.hybrid,
        wanted.speculated,
    )  # fmt: skip
    start = Start(
        card.gpu, size, card.total, wanted.version, wanted.length or architecture.longest, dtype,
        wanted.tensor, wanted.pipeline, wanted.eager,
    )  # fmt: skip
    parts = _Parts(
        weights.on_card(model.held, len(architecture.layers), wanted.tensor, wanted.pipeline),
        overhead.estimate(architecture, start, measured),
        kv.cache(architecture, layout),
    )
    if card.gpu == "cpu":
        return _on_cpu(model, card, wanted, parts)
    return _on_card(model, card, wanted, parts)


def batch(model: Model, card: Card, wanted: Wanted) -> Batch:
    """Requests and tokens of one step: as wanted, else as vLLM chooses."""
    row = tables.fit.batch(card.gpu, wanted.version, card.total / GIB)
    requests = wanted.requests or row.requests
    longest = wanted.length or model.architecture.longest or row.tokens
    return Batch(requests, wanted.batched or min(row.tokens, requests * longest))


def _on_card(model: Model, card: Card, wanted: Wanted, parts: _Parts) -> Total:
    share = wanted.utilization or tables.fit.utilization(wsl=card.wsl)
    budget = int(share * card.total)
    free = card.free if card.free is not None else card.total - tables.fit.reserve(wsl=card.wsl)
    available = budget - parts.held - parts.overhead.total
    if wanted.kv_bytes:
        available = min(wanted.kv_bytes, free - parts.held - parts.overhead.total)
    lines = (
        Line("graphics memory", card.total, _cards(card, wanted)),
        Line("free of it", free, "" if card.free is not None else "assumed: it was not read"),
        Line("vLLM may take", budget, f"{share:g} of all"),
        *_common(model, parts, available),
    )
    refused = 0 if wanted.kv_bytes else budget
    shortage, lack = _shortage(card, wanted, free, refused), max(0, refused - free)
    return Total(budget, parts.held, parts.overhead, parts.cache, available, lines, shortage, lack)


def _shortage(card: Card, wanted: Wanted, free: int, budget: int) -> str:
    """What vLLM refuses before it loads anything."""
    number = wanted.tensor * wanted.pipeline
    if number > card.count:
        return f"{number} cards are wanted, {card.count} are there"
    if free < budget:
        return f"{free / GIB:.1f} GiB are free, and vLLM refuses to take {budget / GIB:.1f} of it"
    return ""


def _on_cpu(model: Model, card: Card, wanted: Wanted, parts: _Parts) -> Total:
    """On the CPU the KV cache is what was asked for; all of it must find room."""
    free = card.free if card.free is not None else card.total
    space = int((wanted.kv_gib or 1.0) * GIB)
    left = free - parts.held - parts.overhead.total - parts.overhead.error
    lack = max(0, space - left)
    shortage = f"{lack / GIB:.1f} GiB of RAM are missing" if lack else ""
    lines = (Line("RAM that can be had", free), *_common(model, parts, space))
    # The error counts against the RAM, not against the cache: that is as large as was asked.
    exact = replace(parts.overhead, error=0)
    return Total(free, parts.held, exact, parts.cache, space, lines, shortage, lack)


def _common(model: Model, parts: _Parts, available: int) -> tuple[Line, ...]:
    taken = parts.overhead
    weighed = Line("weights", -parts.held, model.source)
    left = Line("left for the KV cache", available)
    if taken.measured:
        return (weighed, Line("working memory", -taken.context, "measured here"), left)
    error = f"an estimate, all of it ± {taken.error / GIB:.1f} GiB"
    steps = (
        Line("context and libraries", -taken.context, error),
        Line("largest step", -taken.peak),
    )
    graphs = (Line("CUDA graphs", -taken.graphs),) if taken.graphs else ()
    return (weighed, *steps, *graphs, left)


def _cards(card: Card, wanted: Wanted) -> str:
    number = wanted.tensor * wanted.pipeline
    return f"{card.name}, each of {number} cards".removeprefix(", ") if number > 1 else card.name
