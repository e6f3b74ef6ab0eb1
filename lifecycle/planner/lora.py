"""Room that vLLM keeps for LoRA adapters, whether one is loaded or not.

Every linear layer gets two stacks for `max_loras` adapters of `max_lora_rank`, and so do embedding
and head (vLLM 0.32: `lora/layers/*.py`, `create_lora_weights`). They are made with the model, so
vLLM counts them among its weights.
"""

from dataclasses import dataclass

from lifecycle.model import Architecture, Layer
from lifecycle.planner.kv import BYTES


@dataclass(frozen=True)
class Lora:
    """What adapters there must be room for.

    Args:
        adapters: at once in a step (`--max-loras`).
        rank: the largest (`--max-lora-rank`).
        sharded: `--fully-sharded-loras`: cards of tensor parallelism divide both stacks.
    """

    adapters: int = 1
    rank: int = 16
    sharded: bool = False


def buffers(architecture: Architecture, lora: Lora, tensor: int = 1) -> int:
    """Bytes on one card."""
    shared = tensor if lora.sharded else 1
    width = sum(
        _attention(layer, architecture, tensor, shared) + _feed(architecture, tensor, shared)
        for layer in architecture.layers
    )
    ends = 2 * (architecture.vocab + architecture.hidden)
    size = BYTES.get(architecture.dtype, 2)
    return round((width + ends) * lora.rank * lora.adapters * size)


def reckoned(architecture: Architecture) -> bool:
    """Whether all layers are of the kind above; of states and latent attention it is a guess."""
    return all(layer.kind in {"full", "sliding", "chunked"} for layer in architecture.layers)


def _attention(layer: Layer, architecture: Architecture, tensor: int, shared: int) -> float:
    """Elements of both stacks for a rank of one: in and out of q, k, v, and of the output."""
    heads = architecture.heads * (layer.value_dim or layer.head_dim)
    keys = layer.kv_heads * (layer.head_dim + layer.value_dim)
    projected = 3 * architecture.hidden / shared + (heads + keys) / tensor
    return projected + heads / tensor + architecture.hidden / shared


def _feed(architecture: Architecture, tensor: int, shared: int) -> float:
    """The same of the feed-forward part, of every expert where there are some."""
    if architecture.experts:
        wide, times = architecture.expert_intermediate, architecture.experts
    else:
        wide, times = architecture.intermediate, 1
    halves = 2 * architecture.hidden / shared + 2 * wide / tensor
    return times * (halves + wide / tensor + architecture.hidden / shared)
