"""The KV cache's layout, against what logs of vLLM show."""

from dataclasses import replace

import pytest

from lifecycle.host import GIB
from lifecycle.planner import architecture, kv
from lifecycle.planner.kv import Layout
from tests.unit.planner.configs import DEEPSEEK_LITE, GEMMA_1B, LLAMA_8B, QWEN_27B

LLAMA = architecture.parse(LLAMA_8B)


@pytest.mark.parametrize(
    ("dtype", "tensor", "token"),
    [
        ("auto", 1, 131072),
        ("fp8", 1, 65536),
        ("fp8_e5m2", 1, 65536),
        ("bfloat16", 4, 32768),
        ("auto", 16, 8192 * 2),  # a head at least: two cards hold the same
        ("int8_per_token_head", 1, 32 * 8 * (256 + 8)),
        ("int4_per_token_head", 1, 32 * 8 * (128 + 8)),
        # 28 layers packed in 128 + 68 bytes a head; two at each end stay as they are.
        ("turboquant_k8v4", 1, 28 * 8 * 196 + 4 * 8 * 512),
    ],
)
def test_bytes_of_a_token(dtype: str, tensor: int, token: int) -> None:
    assert kv.cache(LLAMA, Layout(dtype, tensor=tensor)).token_bytes == token


def test_a_model_may_bring_its_own_type() -> None:
    said = {"quant_method": "fp8", "kv_cache_scheme": {"num_bits": 8, "type": "float"}}
    read = architecture.parse(LLAMA_8B | {"quantization_config": said})
    assert kv.cache(read, Layout()).token_bytes == 65536
    assert kv.cache(read, Layout("bfloat16")).token_bytes == 131072


def test_tokens_come_in_blocks_of_sixteen() -> None:
    # vllm-project/vllm#10517: 3.81 GiB are 31232 tokens.
    tokens = kv.cache(LLAMA, Layout()).tokens(int(3.81 * GIB), 20000)
    assert tokens % 16 == 0
    assert tokens == pytest.approx(31232, rel=0.002)


def test_one_block_is_held_back() -> None:
    cache = kv.cache(LLAMA, Layout())
    assert cache.needs(16) == 2 * cache.block_bytes
    assert cache.longest(2 * cache.block_bytes, 100) == 16
    assert cache.longest(cache.block_bytes, 100) == 0
    assert cache.longest(100 * cache.block_bytes, 100) == 100


def test_latent_attention_is_not_divided() -> None:
    # vllm-project/vllm#20665: 14 of 27 layers on the fuller stage, 807792 tokens in 12.13 GiB.
    read = architecture.parse(DEEPSEEK_LITE)
    cache = kv.cache(read, Layout(tensor=2, pipeline=2))
    assert cache.token_bytes == 14 * 576 * 2
    assert cache.tokens(int(12.13 * GIB), 1024) == pytest.approx(807792, rel=0.001)


def test_states_share_pages_with_attention() -> None:
    # mitchross/talos-argocd-proxmox#1995: 4.99 GiB a card, 2.31x of 131072, 302921 tokens.
    read = architecture.parse(QWEN_27B)
    cache = kv.cache(read, Layout("fp8_e4m3", tensor=2))
    assert {group.block for group in cache.groups} == {1568}
    assert len(cache.groups) == 4
    assert cache.tokens(int(4.99 * GIB), 131072) == 302921
    assert round(cache.concurrency(int(4.99 * GIB), 131072), 2) == 2.31


@pytest.mark.parametrize(
    ("layout", "states", "guess", "gib", "length", "tokens"),
    [
        # A table of an RTX 5090 (tests/bench/more.jsonl): one state a request and one a guess.
        (Layout("fp8", speculated=3, states=1), 1600, True, 9.28, 262_144, 265_122),
        (Layout("int8_per_token_head", speculated=3, states=1), 1584, True, 9.67, 262_144, 272_453),
        (Layout("int4_per_token_head", speculated=3, states=1), 3104, True, 9.67, 262_144, 502_667),
        # An RTX PRO 6000 of 0.29: 652 blocks of 784 tokens, 38.35x of 8192.
        (Layout(), 784, False, 31.24, 8192, 314_187),
    ],
)
def test_states_on_other_cards(
    layout: Layout, states: int, gib: float, length: int, tokens: int, *, guess: bool
) -> None:
    read = architecture.parse(QWEN_27B)
    attending = next(one for one in read.layers if one.kind == "full")
    layers = (*read.layers, attending) if guess else read.layers
    cache = kv.cache(replace(read, layers=layers), layout)
    assert {group.block for group in cache.groups} == {states}
    assert cache.tokens(int(gib * GIB), length) == tokens


@pytest.mark.parametrize(
    ("batched", "length", "gib", "concurrency"),
    [
        (2048, 8192, 9.92, 129.66),
        (2 * 2048, 16384, 4.66, 31.72),
        (2 * 16384, 32768, 155.04, 275.45),
    ],
)
def test_steps_that_overlap_keep_more_of_a_window(
    batched: int, length: int, gib: float, concurrency: float
) -> None:
    # Gemma 4 E2B on an L4 (0.21), a T4 and an MI300X (0.27 and later): tests/bench/more.jsonl.
    cache = kv.cache(architecture.parse(GEMMA_E2B), Layout(batched=batched))
    assert cache.concurrency(int(gib * GIB), length) == pytest.approx(concurrency, rel=0.001)


GEMMA_E2B = GEMMA_1B | {
    "model_type": "gemma4_text", "num_hidden_layers": 35, "sliding_window_pattern": 5,
    "num_kv_shared_layers": 20, "global_head_dim": 512,
}  # fmt: skip


def test_blocks_of_the_cpu_are_larger() -> None:
    cache = kv.cache(LLAMA, Layout(block=kv.CPU_BLOCK))
    assert cache.longest(36 * cache.block_bytes, 100_000) == 35 * 128


def test_windows_hold_no_more_than_the_window() -> None:
    # A log of 0.13: 26 layers in 7 groups of 4, 950864 tokens, 461.21x of 2048.
    cache = kv.cache(architecture.parse(GEMMA_1B), Layout(batched=8192))
    assert [group.layer.kind for group in cache.groups] == ["sliding"] * 6 + ["full"]
    memory = 950864 // 16 * 7 * cache.block_bytes
    assert cache.tokens(memory, 2048, by_groups=True) == 950864
    assert cache.concurrency(memory, 2048) == pytest.approx(461.21, abs=0.01)


def test_before_groups_windows_kept_everything() -> None:
    cache = kv.cache(architecture.parse(GEMMA_1B), Layout(hybrid=False))
    assert cache.plain
    assert cache.token_bytes == 26 * 2 * 256 * 2


def test_a_wider_layer_gets_fewer_tokens_a_block() -> None:
    wide = GEMMA_1B | {"model_type": "gemma4_text", "global_head_dim": 512}
    cache = kv.cache(architecture.parse(wide), Layout())
    blocks = {group.layer.kind: group.block for group in cache.groups}
    assert blocks == {"sliding": 32, "full": 16}


@pytest.mark.parametrize(
    ("layers", "stages", "sizes"),
    [(27, 2, [14, 13]), (48, 2, [24, 24]), (10, 4, [2, 3, 3, 2]), (5, 1, [5])],
)
def test_stages_of_a_pipeline(layers: int, stages: int, sizes: list[int]) -> None:
    assert kv.stage_sizes(layers, stages) == sizes


def test_a_model_that_keeps_nothing_needs_nothing() -> None:
    empty = architecture.parse(LLAMA_8B | {"num_kv_shared_layers": 32})
    cache = kv.cache(empty, Layout())
    assert cache.needs(1000) == 0
    assert cache.tokens(GIB, 1000) == 0
