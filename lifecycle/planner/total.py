"""The sum on one card: what vLLM may take, what weights and overhead take, what is left."""

from dataclasses import dataclass, replace

from lifecycle import tables
from lifecycle.host import GIB
from lifecycle.model import Architecture, Held, Model, Vision
from lifecycle.planner import kv, lora, overhead, weights
from lifecycle.planner.kv import BYTES
from lifecycle.planner.overhead import Batch, Overhead, Start
from lifecycle.planner.plan import Card, Line, Wanted

SEATED = 0.75
"""Of the seats there are, so many are offered: more requests at once also take more memory, and a
household has not so many."""
EVEN = 8
"""Graphs are captured for 1, 2, 4 and multiples of 8 requests (`overhead.SIZES`)."""


@dataclass(frozen=True)
class Total:
    """Everything on one card, before the verdict; bytes.

    Args:
        held: weights.
        available: for the KV cache, if overhead is as reckoned.
        shortage: why vLLM would not even begin; "" when it would.
        lack: bytes of that shortage.
        requests: at once, as wanted or as vLLM chooses.
        seated: each of them needs a block of the cache before vLLM starts.
        given: the cache has the size that was asked for; `budget` is all that is free then.
    """

    budget: int
    held: int
    overhead: Overhead
    cache: kv.Cache
    available: int
    lines: tuple[Line, ...]
    shortage: str = ""
    lack: int = 0
    requests: int = 0
    seated: bool = False
    given: bool = False

    @property
    def needed(self) -> int:
        """What must be free of a card: before vLLM begins, or for a cache of a given size."""
        taken = self.held + self.overhead.total + max(0, self.available)
        return taken if self.given else self.budget

    @property
    def seats(self) -> int:
        """Requests at once that vLLM surely starts with."""
        return min(self.requests, self.cache.blocks(self.sure)) if self.seated else self.requests

    @property
    def sure(self) -> int:
        """For the KV cache when everything else takes the most it may."""
        return self.available - self.overhead.error

    @property
    def hopeful(self) -> int:
        """And when it takes the least."""
        return self.available + self.overhead.error

    def settings(self, asked: int, length: int) -> dict[str, str]:
        """What must be set to start with this length: a shorter context, fewer requests at once."""
        found = {"MAX_MODEL_LEN": str(length)} if length < asked else {}
        if self.seats < self.requests:
            some = int(self.seats * SEATED)
            found["MAX_NUM_SEQS"] = str(some // EVEN * EVEN if some >= EVEN else max(1, some))
        return found

    def longest(self, most: int) -> int:
        """The longest request that surely fits, up to `most` tokens."""
        return 0 if self.shortage else self.cache.longest(self.sure, most)


@dataclass(frozen=True)
class _Parts:
    """What stands in the sum; `held` is all that vLLM counts as weights, after `offloaded`."""

    held: int
    overhead: Overhead
    cache: kv.Cache
    requests: int
    seated: bool
    draft: int = 0
    adapters: int = 0
    offloaded: int = 0


def total(model: Model, card: Card, wanted: Wanted, measured: int | None = None) -> Total:
    """Add it up.

    Args:
        measured: bytes of overhead a start of this model on this card really took.
    """
    architecture = loaded(model.architecture, wanted)
    size = batch(model, card, wanted)
    dtype = wanted.dtype if wanted.dtype not in {"", "auto"} else architecture.dtype
    start = Start(
        card.gpu, size, card.total, wanted.version, wanted.length or architecture.longest, dtype,
        wanted.tensor, wanted.pipeline, wanted.eager, wanted.lora is not None,
    )  # fmt: skip
    own = held(model, wanted)
    layers = len(architecture.layers)
    weighed = weights.on_card(own, layers, wanted.tensor, wanted.pipeline)
    guesses, adapters = _draft(wanted), _adapters(architecture, wanted)
    # Layers alone are offloaded (vLLM: `make_layers`), not what is embedded.
    whole = own.layers // (wanted.tensor * wanted.pipeline)
    offloaded = min(wanted.offload, whole) if card.gpu != "cpu" else 0
    parts = _Parts(
        weighed + guesses + adapters - offloaded,
        overhead.estimate(architecture, start, measured),
        kv.cache(_keeping(architecture, wanted), layout(architecture, card, wanted, size)),
        size.requests,
        _seated(architecture, card, wanted),
        guesses, adapters, offloaded,
    )  # fmt: skip
    if card.gpu == "cpu":
        return _on_cpu(model, card, wanted, parts)
    return _on_card(model, card, wanted, parts)


def batch(model: Model, card: Card, wanted: Wanted) -> Batch:
    """Requests and tokens of one step: as wanted, else as vLLM chooses."""
    row = tables.fit.batch(card.gpu, wanted.version, card.total / GIB, card.name)
    requests = wanted.requests or row.requests
    longest = wanted.length or model.architecture.longest or row.tokens
    tokens = wanted.batched or min(row.tokens, requests * longest)
    return Batch(wanted.requests or min(row.requests, tokens), tokens)


def loaded(architecture: Architecture, wanted: Wanted) -> Architecture:
    """What is loaded of a model: perhaps not what sees, perhaps the layer that guesses ahead."""
    if wanted.blind:
        architecture = replace(architecture, vision=Vision())
    if _guesses(architecture, wanted):
        attending = next(one for one in architecture.layers if one.kind in {"full", "latent"})
        architecture = replace(architecture, layers=(*architecture.layers, attending))
    return architecture


def held(model: Model, wanted: Wanted) -> Held:
    """And its bytes; the layer that guesses ahead is never quantized in what we have seen."""
    found = replace(model.held, vision=0) if wanted.blind else model.held
    if _guesses(model.architecture, wanted):
        size = model.architecture.ahead * BYTES[model.architecture.dtype]
        found = replace(found, layers=found.layers + size)
    return found


def _guesses(architecture: Architecture, wanted: Wanted) -> bool:
    """Whether the model's own layers for it are loaded."""
    return bool(wanted.speculated and architecture.ahead and wanted.method == "mtp")


def _draft(wanted: Wanted) -> int:
    """Bytes of the model that guesses ahead, on one card."""
    other = wanted.draft
    if other is None:
        return 0
    return weights.on_card(other.held, len(other.architecture.layers), wanted.tensor)


def _adapters(architecture: Architecture, wanted: Wanted) -> int:
    return lora.buffers(architecture, wanted.lora, wanted.tensor) if wanted.lora else 0


def _keeping(architecture: Architecture, wanted: Wanted) -> Architecture:
    """With the layers of the model that guesses ahead: they keep tokens in the same blocks."""
    if wanted.draft is None:
        return architecture
    more = wanted.draft.architecture.layers
    return replace(architecture, layers=(*architecture.layers, *more))


def layout(architecture: Architecture, card: Card, wanted: Wanted, size: Batch) -> kv.Layout:
    """How the KV cache is to be laid out."""
    dtype = wanted.dtype if wanted.dtype not in {"", "auto"} else architecture.dtype
    row = tables.fit.admission(wanted.version)
    # Each stage of a pipeline has a step of its own, and on cards one more waits its turn.
    more = wanted.overlap and card.gpu != "cpu"
    steps = wanted.pipeline + more if row.settled else 1
    latent = any(layer.kind == "latent" for layer in architecture.layers)
    # The reference kernels of latent attention on the CPU take blocks of 16 only.
    large = card.gpu == "cpu" and not (latent and card.arch != "amx")
    return kv.Layout(
        wanted.kv_dtype, dtype, wanted.tensor, wanted.pipeline, size.tokens * steps,
        tables.fit.overhead(wanted.version).hybrid, wanted.speculated,
        wanted.block or (kv.CPU_BLOCK if large else kv.BLOCK), kv.STATES if wanted.prefixes else 1,
        wanted.state_dtype,
    )  # fmt: skip


def _seated(architecture: Architecture, card: Card, wanted: Wanted) -> bool:
    """Whether vLLM asks for a block for every request: to capture graphs of layers with states."""
    graphs = card.gpu != "cpu" and not wanted.eager
    return graphs and architecture.recurrent and tables.fit.admission(wanted.version).seats


def _on_card(model: Model, card: Card, wanted: Wanted, parts: _Parts) -> Total:
    share = wanted.utilization or tables.fit.utilization(wsl=card.wsl)
    budget = int(share * card.total)
    free = card.free if card.free is not None else card.total - tables.fit.reserve(wsl=card.wsl)
    known = (
        Line("graphics memory", card.total, _cards(card, wanted)),
        Line("free of it", free, "" if card.free is not None else "assumed: it was not read"),
    )
    if wanted.kv_bytes:
        short = _shortage(card, wanted, free, 0)
        lines = (*known, *_common(model, parts, wanted.kv_bytes))
        return _told(free, wanted.kv_bytes, parts, lines, short)
    available = budget - parts.held - parts.overhead.total
    lines = (
        *known,
        Line("vLLM may take", budget, f"{share:g} of all"),
        *_common(model, parts, available),
    )
    shortage, lack = _shortage(card, wanted, free, budget), max(0, budget - free)
    if wanted.blocks:
        return _with_blocks(budget, available, wanted, parts, lines, shortage, lack)
    return Total(
        budget, parts.held, parts.overhead, parts.cache, available, lines, shortage, lack,
        parts.requests, parts.seated,
    )  # fmt: skip


def _with_blocks(  # noqa: PLR0913, PLR0917 - the parts of one sum
    budget: int, available: int, wanted: Wanted, parts: _Parts, lines: tuple[Line, ...],
    shortage: str, lack: int,
) -> Total:  # fmt: skip
    """A KV cache of a given number of blocks, whatever there is room for."""
    space = wanted.blocks * parts.cache.block_bytes
    over = max(0, space - (available - parts.overhead.error))
    if over and not shortage:
        shortage = (
            f"--num-gpu-blocks-override {wanted.blocks} takes {space / GIB:.1f} GiB, "
            f"{over / GIB:.1f} GiB more than is left"
        )
    exact = replace(parts.overhead, error=0)
    blocks = f"{wanted.blocks} blocks: --num-gpu-blocks-override"
    given = Line("of it: the KV cache", space, blocks)
    return Total(
        budget, parts.held, exact, parts.cache, space, (*lines, given), shortage, lack or over,
        parts.requests, parts.seated,
    )  # fmt: skip


def _shortage(card: Card, wanted: Wanted, free: int, budget: int) -> str:
    """What vLLM refuses before it loads anything."""
    number = wanted.cards
    if number > card.count:
        return f"it needs {number} cards, this machine has {card.count}"
    if card.ram and wanted.offload * number > card.ram:
        return (
            f"--cpu-offload-gb puts {wanted.offload * number / GIB:.1f} GiB into RAM, and "
            f"{card.ram / GIB:.1f} GiB can be had"
        )
    if free < budget:
        return f"{free / GIB:.1f} GiB are free, and vLLM refuses to take {budget / GIB:.1f} of it"
    return ""


def _on_cpu(model: Model, card: Card, wanted: Wanted, parts: _Parts) -> Total:
    """On the CPU the KV cache is what was asked for."""
    free = card.free if card.free is not None else card.total
    space = int((wanted.kv_gib or 1.0) * GIB)
    lines = (Line("RAM that can be had", free), *_common(model, parts, space))
    return _told(free, space, parts, lines)


def _told(
    free: int, space: int, parts: _Parts, lines: tuple[Line, ...], shortage: str = ""
) -> Total:
    """A KV cache whose size was given; all of it must find room."""
    left = free - parts.held - parts.overhead.total - parts.overhead.error
    lack = max(0, space - left)
    if lack and not shortage:
        rest = parts.overhead.total + parts.overhead.error
        shortage = (
            f"{lack / GIB:.1f} GiB are missing: {parts.held / GIB:.1f} for weights, "
            f"{space / GIB:.1f} for the KV cache, {rest / GIB:.1f} for all else; "
            f"{free / GIB:.1f} are free"
        )
    # The error counts against the room, not against the cache: that is as large as was asked.
    exact = replace(parts.overhead, error=0)
    return Total(
        free, parts.held, exact, parts.cache, space, lines, shortage, lack, parts.requests,
        parts.seated, given=True,
    )  # fmt: skip


def _common(model: Model, parts: _Parts, available: int) -> tuple[Line, ...]:
    taken = parts.overhead
    weighed = _weights(model, parts)
    left = Line("left for the KV cache", available)
    if taken.measured:
        return (*weighed, Line("working memory", -taken.context, "measured here"), left)
    error = f"an estimate, all of it ± {taken.error / GIB:.1f} GiB"
    steps = (
        Line("context and libraries", -taken.context, error),
        Line("largest step", -taken.peak),
    )
    graphs = (Line("CUDA graphs", -taken.graphs),) if taken.graphs else ()
    return (*weighed, *steps, *graphs, left)


def _weights(model: Model, parts: _Parts) -> tuple[Line, ...]:
    own = parts.held - parts.draft - parts.adapters + parts.offloaded
    beside = (
        Line("draft model", -parts.draft, "--speculative-config"),
        Line("room for LoRA adapters", -parts.adapters, "--enable-lora"),
        Line("of the weights in RAM", parts.offloaded, "--cpu-offload-gb"),
    )
    return (Line("weights", -own, model.source), *(one for one in beside if one.bytes))


def _cards(card: Card, wanted: Wanted) -> str:
    number = wanted.cards
    return f"{card.name}, each of {number} cards".removeprefix(", ") if number > 1 else card.name
