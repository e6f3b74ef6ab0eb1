"""The KV cache: bytes of a token, blocks of a request, and what fits into some memory.

vLLM gives every group of like layers blocks out of one pool, all blocks of the same size. For a
model whose layers are all the same that is bytes a token; for others the groups are reckoned here
as vLLM 0.32 makes them (`v1/core/kv_cache_utils.py`, `v1/kv_cache_interface.py`,
`platforms/interface.py`), padding included. Own code: importing vLLM takes seconds and its machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

from lifecycle.model import Architecture, Layer

BLOCK = 16
"""vLLM's block on cards, in tokens."""
CPU_BLOCK = 128
"""And on the CPU (`platforms/cpu.py`)."""
LATENT_BLOCK = 128
"""Blocks beside a state are a multiple of this for latent attention (`interface.py`)."""
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1}
SCALE = 4
TURBOQUANT = {
    "turboquant_k8v4": (8, 4), "turboquant_4bit_nc": (4, 4), "turboquant_k3v4_nc": (3, 4),
    "turboquant_3bit_nc": (3, 3),
}  # fmt: skip
"""Bits of keys and of values (vLLM: `layers/quantization/turboquant/config.py`)."""
NEARLY = 1.5
BOUNDARY = 2
"""Layers at each end that TurboQuant leaves as they are, unless some layers keep states."""
STATES = 2
"""States vLLM keeps of a request with prefix caching (mode `align`); one without."""


@dataclass(frozen=True)
class Layout:
    """What the KV cache depends on besides the model.

    Args:
        dtype: `KV_CACHE_DTYPE`; "" or `auto`: what the model says, else its own type.
        model_dtype: what vLLM computes with.
        tensor: cards that share each layer.
        pipeline: cards that share the layers.
        batched: tokens that are under way at once: of one step, or of two where they overlap.
        hybrid: layers with a window free what is behind it.
        speculated: tokens guessed ahead; each holds a state more.
        block: tokens of a block where no state asks for more.
        states: kept of a request.
        state_dtype: `--mamba-ssm-cache-dtype`; "" or `auto`: what the model says.
    """

    dtype: str = ""
    model_dtype: str = "bfloat16"
    tensor: int = 1
    pipeline: int = 1
    batched: int = 2048
    hybrid: bool = True
    speculated: int = 0
    block: int = BLOCK
    states: int = STATES
    state_dtype: str = ""


@dataclass(frozen=True)
class Group:
    """Layers that share one table of blocks, each with the same tokens in a block."""

    layer: Layer
    layers: int
    block: int
    batched: int
    states: int = STATES

    def blocks(self, length: int) -> int:
        """Blocks one request of this length holds at most."""
        layer = self.layer
        if layer.kind == "state":
            return self.states
        if layer.kind == "sliding":
            kept = min(layer.window - 1 + self.batched, length)
            return ceil(kept / self.block) + 1
        if layer.kind == "chunked":
            return ceil(min(layer.window + self.batched, length) / self.block)
        return ceil(length / self.block)


@dataclass(frozen=True)
class Cache:
    """How vLLM lays a model's KV cache out on one card.

    Args:
        block_bytes: one block of the pool, in bytes.
        token_bytes: bytes of one token of a long request, windows and states left out.
    """

    groups: tuple[Group, ...]
    block_bytes: int
    token_bytes: int

    def needs(self, length: int) -> int:
        """Bytes vLLM demands for one request of this length, with the block it holds back."""
        return (self._request(length) + 1) * self.block_bytes if self.groups else 0

    def blocks(self, memory: int) -> int:
        """Blocks of the pool; one of them is never given to a request."""
        return max(0, memory) // self.block_bytes if self.groups else 0

    def concurrency(self, memory: int, length: int) -> float:
        """Requests of this length at once, as vLLM prints it."""
        return self.blocks(memory) / max(1, self._request(length))

    def tokens(self, memory: int, length: int, *, by_groups: bool = False) -> int:
        """Tokens as vLLM prints them: concurrency x length, and before 0.21 by groups."""
        if not self.groups:
            return 0
        if by_groups:
            return self.blocks(memory) // len(self.groups) * min(one.block for one in self.groups)
        return int(self.concurrency(memory, length) * length)

    def longest(self, memory: int, most: int) -> int:
        """The longest request that fits, up to `most`; 0 when none does."""
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.needs(middle) <= memory else (low, middle - 1)
        return low

    @cached_property
    def plain(self) -> bool:
        """One group of layers that keep every token: nothing about it is estimated."""
        return len(self.groups) == 1 and self.groups[0].layer.kind in {"full", "latent"}

    def _request(self, length: int) -> int:
        return sum(group.blocks(length) for group in self.groups)


def cache(architecture: Architecture, wanted: Layout) -> Cache:
    """The layout on the card that holds the most layers."""
    layers = busiest(architecture.layers, wanted.pipeline)
    kept = [layer for layer in layers if layer.kind != "none"]
    if not wanted.hybrid:
        kept = [_whole(layer) for layer in kept]
    if not kept:
        return Cache((), 0, 0)
    sizes = {index: _token(layer, index, kept, architecture, wanted)
             for index, layer in enumerate(kept) if layer.kind != "state"}  # fmt: skip
    states = [_state(layer, wanted) for layer in kept if layer.kind == "state"]
    growing = sum(size for index, size in sizes.items() if _grows(kept[index]))
    if not states and len({_alike(kept[index]) for index in sizes}) == 1:
        # Like layers of any size make one group (vLLM: UniformTypeKVCacheSpecs).
        whole = sum(sizes.values())
        only = Group(kept[0], len(kept), wanted.block, wanted.batched)
        return Cache((only,), whole * wanted.block, growing)
    block = _block(sizes, states, kept, wanted.block)
    page = max([size * block for size in sizes.values()] or states)
    groups = _grouped(kept, sizes, page, block, wanted)
    return Cache(groups, groups[0].layers * page, growing)


def token_bytes(layer: Layer, dtype: str, tensor: int) -> int:
    """Bytes one layer keeps of one token on one card."""
    heads = 1 if layer.kind == "latent" else max(1, layer.kv_heads // tensor)
    keys, values = layer.head_dim, layer.value_dim
    if dtype in TURBOQUANT:
        bits = TURBOQUANT[dtype]
        # A key's norm, a value's scale and zero point: 2 bytes each. FP8 keys have no norm.
        slot = (
            ceil(keys * bits[0] / 8) + (0 if bits[0] == 8 else 2) + ceil(values * bits[1] / 8) + 4
        )
        return heads * (slot + slot % 2)
    if dtype.endswith("_per_token_head"):
        share = 2 if dtype.startswith("int4") else 1
        return heads * ((keys + values) // share + 2 * SCALE)
    if dtype.startswith("nvfp4"):
        return heads * ((keys + values) // 2 + (keys + values) // 16)
    return heads * (keys + values) * BYTES.get(dtype, 2)


def busiest(layers: Sequence[Layer], pipeline: int) -> tuple[Layer, ...]:
    """The stage of a pipeline that keeps the most (vLLM's `get_pp_indices`)."""
    stages, start = [], 0
    for size in stage_sizes(len(layers), pipeline):
        stages.append(tuple(layers[start : start + size]))
        start += size
    return max(stages, key=lambda stage: sum(_weight(layer) for layer in stage))


def stage_sizes(layers: int, pipeline: int) -> list[int]:
    """Layers of each stage: what is left over goes to those before the last."""
    sizes = [layers // pipeline] * pipeline
    for index in range(2, layers % pipeline + 2):
        sizes[-index] += 1
    return sizes


def resolved(dtype: str, architecture: Architecture, model_dtype: str) -> str:
    """The type the cache really gets."""
    if dtype in {"", "auto"}:
        return architecture.quantization.kv_cache or model_dtype
    return dtype


def _weight(layer: Layer) -> int:
    state = layer.state
    return layer.kv_heads * (layer.head_dim + layer.value_dim) + state.conv + state.recurrent


def _grows(layer: Layer) -> bool:
    return layer.kind in {"full", "latent"}


def _whole(layer: Layer) -> Layer:
    """A windowed layer that keeps every token."""
    if layer.kind not in {"sliding", "chunked"}:
        return layer
    return Layer("full", layer.kv_heads, layer.head_dim, layer.value_dim)


def _alike(layer: Layer) -> tuple[str, int]:
    return layer.kind, layer.window


def _token(
    layer: Layer, index: int, kept: Sequence[Layer], architecture: Architecture, wanted: Layout
) -> int:
    dtype = resolved(wanted.dtype, architecture, wanted.model_dtype)
    at_an_end = index < BOUNDARY or index >= len(kept) - BOUNDARY
    if dtype in TURBOQUANT and at_an_end and not architecture.recurrent:
        dtype = wanted.model_dtype
    return token_bytes(layer, dtype, wanted.tensor)


def _state(layer: Layer, wanted: Layout) -> int:
    """Bytes of one state on one card."""
    size = BYTES.get(wanted.model_dtype, 2)
    said = wanted.state_dtype if wanted.state_dtype != "auto" else ""
    recurrent = BYTES.get(said or layer.state.dtype or wanted.model_dtype, size)
    conv = layer.state.conv * (layer.state.taps + wanted.speculated) // max(1, layer.state.taps)
    return (conv * size + layer.state.recurrent * recurrent) // wanted.tensor


def _block(
    sizes: dict[int, int], states: list[int], kept: Sequence[Layer], least: int = BLOCK
) -> int:
    """Tokens of a block, of the layer with the largest: as many as outweigh a state."""
    if not states or not sizes:
        return least
    step = max(least, LATENT_BLOCK) if any(layer.kind == "latent" for layer in kept) else least
    return step * ceil(max(states) / (step * max(sizes.values())))


def _grouped(
    kept: Sequence[Layer], sizes: Mapping[int, int], page: int, block: int, wanted: Layout
) -> tuple[Group, ...]:
    """Groups of equal numbers of layers; smaller pages get more tokens a block."""
    buckets: dict[tuple[str, int, int], list[int]] = {}
    for index, layer in enumerate(kept):
        buckets.setdefault((*_alike(layer), sizes.get(index, 0)), []).append(index)
    size = _group_size([len(indices) for indices in buckets.values()])
    groups: list[Group] = []
    for (_, _, token_size), indices in buckets.items():
        # A page that does not divide the largest is padded; its block stays.
        exact = token_size and page % (token_size * block) == 0
        tokens = page // token_size if exact else block
        states = wanted.states + wanted.speculated
        one = Group(kept[indices[0]], size, tokens, wanted.batched, states)
        groups += [one] * ceil(len(indices) / size)
    return tuple(groups)


def _group_size(counts: Sequence[int]) -> int:
    """The fewest layers of a kind, or the most when they are nearly as many."""
    return max(counts) if max(counts) < NEARLY * min(counts) else min(counts)
