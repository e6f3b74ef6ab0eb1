"""Bytes of a model's weights as vLLM holds them, reckoned from its architecture alone."""

import re
from collections.abc import Callable

from lifecycle.model import Architecture, Held, Quantization
from lifecycle.planner.kv import BYTES, stage_sizes

HALF = 2
FP8_BLOCK = 128 * 128
ATTENTION = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
STATES = ("linear_attn.in_proj_qkv", "linear_attn.in_proj_z", "linear_attn.out_proj")
DENSE = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
SHARED = tuple(f"mlp.shared_expert.{one}" for one in ("gate_proj", "up_proj", "down_proj"))
EXPERTS = tuple(f"mlp.experts.0.{one}" for one in ("gate_proj", "up_proj", "down_proj"))
"""Modules as checkpoints name them, one of each kind: what a list of exceptions is held against."""
EXPERTS_ONLY = {"mxfp4", "experts_int8"}
ONLINE = {"fp8": "fp8", "bitsandbytes": "int4", "experts_int8": "int8"}
"""What `--quantization` does to weights that are not quantized on disk."""


def estimate(architecture: Architecture, dtype: str = "", online: str = "") -> Held:
    """Weights without the headers of their files.

    Args:
        dtype: what vLLM computes with; "" for the model's own.
        online: `QUANTIZATION`; means nothing for a model that comes quantized.
    """
    counts = architecture.parameters
    size = BYTES[dtype if dtype in BYTES else architecture.dtype]
    kind = _quantization(architecture, online)
    depth = len(architecture.layers)
    mixing = (*ATTENTION, *STATES) if architecture.recurrent else ATTENTION
    parts = (
        (counts.attention, mixing),
        (counts.dense, SHARED if architecture.experts else DENSE),
        (counts.experts, EXPERTS),
    )
    return Held(
        embedding=counts.embedding * size,
        head=counts.head * size,
        layers=round(sum(_part(count, size, kind, names, depth) for count, names in parts)),
        whole=counts.rest * size,
        vision=counts.vision * size,
    )


def on_card(held: Held, layers: int, tensor: int = 1, pipeline: int = 1) -> int:
    """Bytes on the card that holds the most.

    Embedding, head and what sees (`--mm-encoder-tp-mode weights`, the default) are divided among
    the cards of tensor parallelism; they lie on the first and the last of a pipeline.
    """
    sizes = stage_sizes(layers, pipeline)
    stages = [(held.layers / tensor + held.whole) * size / layers for size in sizes]
    stages[0] += (held.embedding + held.vision) / tensor
    stages[-1] += held.head / tensor
    if not held.head and pipeline > 1:  # a tied head is a copy on the last card
        stages[-1] += held.embedding / tensor
    return round(max(stages))


def per_weight(kind: Quantization, size: int = HALF) -> float:
    """Bytes of one quantized weight, with its part of scales and zero points."""
    bits = kind.bits
    if not bits:
        return size
    scale = _scale(kind)
    zero = bits / 8 if kind.zeros else 0.0
    return bits / 8 + ((scale + zero) / kind.group if kind.group else _row(kind))


def _scale(kind: Quantization) -> float:
    if kind.format in {"nvfp4", "mxfp4"}:
        return 1
    if kind.method.startswith("bitsandbytes"):
        return 1 if kind.nested else 4
    return HALF


def _row(kind: Quantization) -> float:
    """The scale of a whole block or row: next to nothing."""
    return 4 / FP8_BLOCK if kind.format == "fp8" else 0.001


def _quantization(architecture: Architecture, online: str) -> Quantization:
    kind = architecture.quantization
    return kind if kind.method or online not in ONLINE else online_kind(online)


def online_kind(online: str) -> Quantization:
    """What unquantized weights become with `--quantization`."""
    return Quantization(online, ONLINE[online], group=64 if online == "bitsandbytes" else 0)


def _part(count: int, size: int, kind: Quantization, modules: tuple[str, ...], depth: int) -> float:
    left = _left_alone(kind, modules, depth)
    return count * (left * size + (1 - left) * per_weight(kind, size))


def _left_alone(kind: Quantization, modules: tuple[str, ...], depth: int) -> float:
    """Which share of some modules is not quantized, after the names that are left out."""
    if not kind.method or not kind.bits:
        return 1.0
    if kind.method in EXPERTS_ONLY:
        return 0.0 if modules is EXPERTS else 1.0
    rules = [_rule(one) for one in kind.skipped]
    paths = [f"layers.{index}.{module}" for index in range(depth) for module in modules]
    return sum(any(rule(path) for rule in rules) for path in paths) / len(paths)


def _rule(skipped: str) -> Callable[[str], bool]:
    """Whether a module is meant: a pattern (`re:…`, `.*attn.*`), or a part of its path."""
    if skipped.startswith("re:") or ".*" in skipped:
        try:
            pattern = re.compile(_plain(skipped.removeprefix("re:")))
        except re.error:
            return lambda _: False
        return lambda path: bool(pattern.search(path))
    part = f".{_plain(skipped).strip('.*')}."
    return lambda path: part in f".{path}."


def _plain(name: str) -> str:
    """Without what models that also see put before the path."""
    return name.replace("language_model.", "").removeprefix("model.")
