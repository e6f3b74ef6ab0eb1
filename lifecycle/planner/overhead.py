"""What a start takes besides weights and KV cache: a stated model, with its error.

vLLM measures it while it starts (`determine_available_memory`): the context and libraries, the peak
of one largest step, and since 0.21 the captured graphs. Coefficients: `data/fit.toml`.
"""

from dataclasses import dataclass
from math import log2

from lifecycle import tables
from lifecycle.host import GIB
from lifecycle.model import Architecture
from lifecycle.planner.kv import BYTES

MIB = 1024**2
CPU_ERROR = 0.25
LARGEST_GRAPH = 512
SIZES = (1, 2, 4, *range(8, 256, 8), *range(256, LARGEST_GRAPH + 1, 16))


@dataclass(frozen=True)
class Batch:
    """How much vLLM computes in one step.

    Args:
        requests: at once (`MAX_NUM_SEQS`).
        tokens: in one step (`--max-num-batched-tokens`).
    """

    requests: int
    tokens: int


@dataclass(frozen=True)
class Start:
    """What working memory depends on besides the model.

    Args:
        gpu: `cuda`, `rocm` or `cpu`.
        memory: of one card, in bytes.
        version: of vLLM; "" when unknown: the newest.
        length: `MAX_MODEL_LEN`: versions before 0.8 compute a whole prompt in one step.
        dtype: what vLLM computes with.
        tensor: cards that share each layer.
        pipeline: cards that share the layers.
        eager: no graphs.
        adapters: LoRA is on: graphs are captured with and without it (vLLM:
            `cudagraph_specialize_lora`).
    """

    gpu: str
    batch: Batch
    memory: int = 0
    version: str = ""
    length: int = 0
    dtype: str = "bfloat16"
    tensor: int = 1
    pipeline: int = 1
    eager: bool = False
    adapters: bool = False


@dataclass(frozen=True)
class Overhead:
    """Bytes on one card, and by how much the sum may be wrong.

    Args:
        context: libraries, buffers, what cards need to talk to each other.
        peak: the largest step.
        graphs: captured CUDA graphs, where they are part of the budget.
        measured: a start on this card was measured; `context` is that figure then.
    """

    context: int
    peak: int
    graphs: int
    error: int
    measured: bool = False

    @property
    def total(self) -> int:
        """All of it."""
        return self.context + self.peak + self.graphs


MEASURED_ERROR = 0.05
"""Of a measured sum: what other things on the card change between two starts."""


def estimate(architecture: Architecture, start: Start, measured: int | None = None) -> Overhead:
    """Working memory on one card.

    Args:
        measured: bytes a start of this model on this card with this image really took.
    """
    if measured is not None:
        return Overhead(measured, 0, 0, round(measured * MEASURED_ERROR), measured=True)
    if start.gpu == "cpu":
        return _on_cpu(architecture, start)
    row = tables.fit.overhead(start.version)
    context, peak = _context(row, start), _peak(architecture, row, start)
    graphs = 0.0 if start.eager else _graphs(architecture, start) * row.graph_mib * MIB
    total = context + peak + graphs
    error = max(total * row.error, row.error_gib * GIB)
    return Overhead(round(context), round(peak), round(graphs), round(error))


def _context(row: tables.fit.Overhead, start: Start) -> float:
    """What is there before anything runs."""
    large = tables.fit.batch(start.gpu, start.version, start.memory / GIB).shared_gib
    cards = start.tensor * start.pipeline
    together = max(row.shared_gib * log2(cards), large) if cards > 1 else 0.0
    return (row.base_gib + together) * GIB


def _peak(architecture: Architecture, row: tables.fit.Overhead, start: Start) -> float:
    """The largest step, in bytes."""
    size, tokens = BYTES.get(start.dtype, 2), start.batch.tokens
    whole = start.length <= row.chunked_above or bool(architecture.vision.depth)
    if row.chunked_above and whole:
        tokens = max(start.length, tokens)
    forward = _forward(architecture, tokens, size, start.tensor)
    chosen = min(start.batch.requests, tokens) * architecture.vocab * row.sampler_bytes
    if row.chunked_above:
        # Pictures of a whole prompt and the prompt itself were there together.
        return max(forward + _picture(architecture, tokens, size, start.tensor), chosen)
    return max(forward, chosen, _picture(architecture, 0, size, start.tensor))


def captured(requests: int) -> int:
    """Graphs vLLM captures: of mixed batches, and of batches that only go on (`decode`).

    The sizes are those of `VllmConfig._set_cudagraph_sizes`.
    """
    mixed = min(2 * requests, LARGEST_GRAPH)
    return sum((size <= mixed) + (size <= requests) for size in SIZES)


def _forward(architecture: Architecture, tokens: int, size: int, tensor: int) -> float:
    """The widest moment of a layer: both halves of its feed-forward part, and the residuals."""
    wide = 3 * architecture.intermediate / tensor
    if architecture.experts:
        # vLLM's fused experts: both halves, their product, and an answer for each expert chosen.
        each = 3 * architecture.expert_intermediate / tensor + architecture.hidden
        wide = max(wide if _has_dense(architecture) else 0, architecture.experts_per_token * each)
    return tokens * (wide + 3 * architecture.hidden) * size


def _has_dense(architecture: Architecture) -> bool:
    return architecture.parameters.dense > 0


def _picture(architecture: Architecture, prompt: int, size: int, tensor: int) -> float:
    """The largest picture at once; before 0.8 a whole prompt of pictures."""
    vision = architecture.vision
    patches = max(vision.patches, 4 * prompt) if vision.depth else 0
    return patches * (3 * vision.intermediate / tensor + 4 * vision.hidden) * size


def _graphs(architecture: Architecture, start: Start) -> float:
    """Layers times graphs."""
    graphs = captured(start.batch.requests) * (2 if start.adapters else 1)
    return len(architecture.layers) / start.pipeline * graphs


def _on_cpu(architecture: Architecture, start: Start) -> Overhead:
    """Processes and one step; there is no context of a card and there are no graphs."""
    process = int(tables.fit.process_gib() * GIB)
    step = _forward(architecture, start.batch.tokens, BYTES.get(start.dtype, 2), 1)
    chosen = start.batch.requests * architecture.vocab * BYTES["float32"] * 2
    peak = round(max(step, chosen))
    return Overhead(process, peak, 0, round(CPU_ERROR * (process + peak)))
