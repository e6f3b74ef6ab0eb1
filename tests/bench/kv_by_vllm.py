"""The KV cache's groups and needs, as vLLM's own code makes them, beside the planner's.

Run by an engine's Python, for it imports vLLM; no model, no card, no server:

    PYTHONPATH=. ENGINE/bin/python -m tests.bench.kv_by_vllm

Prints a line a layout and ends with 1 when they differ.
"""

import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from lifecycle.model import Architecture, Layer, State
from lifecycle.planner import kv

LENGTHS = (1000, 8192, 40_000, 131_072)
MIB = 1 << 20


@dataclass(frozen=True)
class Made:
    """A model of layers alone."""

    name: str
    layers: tuple[Layer, ...]
    wanted: kv.Layout = field(default_factory=kv.Layout)

    @property
    def architecture(self) -> Architecture:
        return Architecture("made", self.layers, 1, 1, 1)


FULL, WIDE = Layer("full", 8, 128, 128), Layer("full", 4, 512, 512)
NEAR = Layer("sliding", 8, 128, 128, 1024)
NARROW = Layer("sliding", 1, 256, 256, 512)
LATENT = Layer("latent", 1, 576)
LINEAR = Layer("state", state=State(30_720, 786_432, "float32"))
ATTENDING = Layer("full", 4, 256, 256)
CASES = (
    Made("all alike", (FULL,) * 32),
    Made("all alike, fp8", (FULL,) * 32, kv.Layout("fp8")),
    Made("latent", (LATENT,) * 27),
    Made("one window for all", (NEAR,) * 32),
    Made("five windows, one whole", (*((NEAR,) * 5), FULL) * 4),
    Made("two steps under way", (*((NEAR,) * 5), FULL) * 4, kv.Layout(batched=4096)),
    Made("22 windows, 4 whole", (NEAR,) * 22 + (FULL,) * 4),
    Made("half and half", (NEAR, FULL) * 12),
    Made("13 whole, 12 windows", (NEAR,) * 12 + (FULL,) * 13),
    Made("wider whole ones", (*((NARROW,) * 4), Layer("full", 1, 512, 512)) * 3),
    Made("three states, one whole", (*((LINEAR,) * 3), ATTENDING) * 16),
    Made("states, fp8", (*((LINEAR,) * 3), ATTENDING) * 16, kv.Layout("fp8")),
    Made("states, one each", (*((LINEAR,) * 3), ATTENDING) * 16, kv.Layout(states=1)),
    Made("states and a guess", (*((LINEAR,) * 3), ATTENDING) * 16 + (ATTENDING,),
         kv.Layout("fp8", speculated=3)),
    Made("states, on the CPU", (*((LINEAR,) * 3), ATTENDING) * 2, kv.Layout(block=kv.CPU_BLOCK)),
    Made("chunks", (*((Layer("chunked", 8, 128, 128, 8192),) * 3), FULL) * 12),
    Made("kinds of heads", (FULL,) * 8 + (WIDE,) * 8),
)  # fmt: skip


def main() -> int:
    """Compare them all."""
    wrong = 0
    for case in CASES:
        ours = kv.cache(case.architecture, case.wanted)
        theirs = _theirs(case, ours)
        for length in LENGTHS:
            block, needs = theirs(length)
            same = (block, needs) == (ours.block_bytes, ours.needs(length) - ours.block_bytes)
            wrong += not same
            said = f"{block / MIB:9.3f} MiB a block, {needs / MIB:10.2f} for {length}"
            print(f"{'same' if same else 'DIFFERS'}  {case.name:26s}{said}", end="")
            print("" if same else f"; ours {ours.block_bytes / MIB:.3f}, "
                  f"{(ours.needs(length) - ours.block_bytes) / MIB:.2f}")  # fmt: skip
    print(f"{wrong} of {len(CASES) * len(LENGTHS)} differ")
    return int(bool(wrong))


def _theirs(case: Made, ours: kv.Cache) -> Any:
    from vllm.v1.core import kv_cache_utils as made  # type: ignore[import-not-found]

    block = max(group.block for group in ours.groups if group.layer.kind in {"full", "latent"}) if (
        any(layer.kind == "state" for layer in case.layers)
    ) else case.wanted.block  # fmt: skip
    specs = {
        f"layers.{index}": _spec(layer, block, case.wanted)
        for index, layer in enumerate(case.layers)
    }
    config = _config(case.wanted)
    groups = made.get_kv_cache_groups(config, specs)

    def needs(length: int) -> tuple[int, int]:
        config.model_config.max_model_len = length
        return (
            made._pool_bytes_per_block(config, groups),
            made._max_memory_usage_bytes_from_groups(config, groups),
        )

    return needs


def _spec(layer: Layer, block: int, wanted: kv.Layout) -> Any:
    import torch
    from vllm.v1 import kv_cache_interface as kinds  # type: ignore[import-not-found]

    dtype = torch.uint8 if wanted.dtype == "fp8" else torch.bfloat16
    if layer.kind == "state":
        size = kv.token_bytes(ATTENDING, wanted.dtype, 1) * block
        taps = layer.state.conv * (layer.state.taps + wanted.speculated) // layer.state.taps
        return kinds.MambaSpec(
            shapes=((taps,), (layer.state.recurrent,)),
            dtypes=(torch.bfloat16, torch.float32),
            block_size=block,
            page_size_padded=size,
            mamba_cache_mode="align" if wanted.states == kv.STATES else "none",
            num_speculative_blocks=wanted.speculated,
        )
    sizes = {"block_size": block, "num_kv_heads": layer.kv_heads, "head_size": layer.head_dim,
             "dtype": dtype}  # fmt: skip
    if layer.kind == "latent":
        return kinds.MLAAttentionSpec(**sizes)
    if layer.kind == "sliding":
        return kinds.SlidingWindowSpec(**sizes, sliding_window=layer.window)
    if layer.kind == "chunked":
        return kinds.ChunkedLocalAttentionSpec(**sizes, attention_chunk_size=layer.window)
    return kinds.FullAttentionSpec(**sizes)


def _config(wanted: kv.Layout) -> Any:
    from vllm.v1.kv_cache_layout import KVCacheLayout  # type: ignore[import-not-found]

    layout = next(one for one in KVCacheLayout if one.is_layer_compact)
    return SimpleNamespace(
        model_config=SimpleNamespace(max_model_len=LENGTHS[0]),
        parallel_config=SimpleNamespace(decode_context_parallel_size=1),
        scheduler_config=SimpleNamespace(disable_hybrid_kv_cache_manager=False),
        cache_config=SimpleNamespace(
            get_resolved_kv_cache_layout=lambda: layout,
            mamba_cache_mode="align" if wanted.states == kv.STATES else "none",
            num_gpu_blocks_override=None,
        ),
        attention_config=SimpleNamespace(hisparse_config=None),
        speculative_config=None,
        max_in_flight_tokens=wanted.batched,
    )


if __name__ == "__main__":
    sys.exit(main())
