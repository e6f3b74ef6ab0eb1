"""Room for adapters, by hand and as vLLM makes it."""

import pytest

from lifecycle.host import GIB
from lifecycle.planner import architecture, lora
from lifecycle.planner.lora import Lora
from tests.unit.planner.configs import LLAMA_8B, QWEN_27B

LLAMA = architecture.parse(LLAMA_8B)
Q, KV, HIDDEN, WIDE, VOCAB, LAYERS = 4096, 2 * 1024, 4096, 14336, 128256, 32


def by_hand(tensor: int = 1) -> float:
    """`torch.zeros` of create_lora_weights, for a rank of one."""
    qkv = 3 * HIDDEN + (Q + KV) / tensor
    out = Q / tensor + HIDDEN
    gate_up = 2 * HIDDEN + 2 * WIDE / tensor
    down = WIDE / tensor + HIDDEN
    return LAYERS * (qkv + out + gate_up + down) + 2 * (VOCAB + HIDDEN)


@pytest.mark.parametrize("tensor", [1, 2])
def test_it_is_the_stacks_of_every_linear_layer(tensor: int) -> None:
    wanted = Lora(adapters=4, rank=64)
    assert lora.buffers(LLAMA, wanted, tensor) == pytest.approx(by_hand(tensor) * 4 * 64 * 2)


def test_it_grows_with_rank_and_adapters_and_shrinks_with_cards() -> None:
    one = lora.buffers(LLAMA, Lora())
    assert lora.buffers(LLAMA, Lora(8, 256)) == 8 * 16 * one
    whole, sharded = (lora.buffers(LLAMA, Lora(sharded=one), 2) for one in (False, True))
    assert sharded < whole < one
    assert 8 < lora.buffers(LLAMA, Lora(8, 256)) / GIB < 14


def test_states_are_a_guess() -> None:
    assert lora.reckoned(LLAMA)
    assert not lora.reckoned(architecture.parse(QWEN_27B))
