"""What vLLM says about memory, in the words of its versions; the logs' sources are beside them."""

from pathlib import Path

import pytest

from lifecycle.host import GIB
from lifecycle.keys import KEYS
from lifecycle.measured import Measured
from lifecycle.paths import DATA
from lifecycle.runtimes import boot_log, memory_log
from lifecycle.tables.rows import load_file
from tests.fake_vllm.boot import BOOT, CRASH

LOGS = Path(__file__).parent / "memory_log"
FAILED = Path(__file__).parent / "boot_log"
FILE = "env/4090.env"
CRASHED = CRASH.read_text()


def gib(size: float) -> int:
    return round(size * GIB)


def read(name: str) -> Measured:
    return memory_log.read((LOGS / f"{name}.log").read_text())


def test_an_empty_log_tells_nothing() -> None:
    assert memory_log.read("") == Measured()
    assert Measured().overhead is None
    assert memory_log.summary(Measured()) == ""


def test_vllm_on_the_cpu_was_given_its_kv_cache() -> None:
    found = memory_log.read(BOOT.read_text())
    assert found == Measured(
        kv_available=GIB, kv_given=True, kv_tokens=46_592, concurrency=11.38, at_length=4096,
        total=gib(8.71),
    )  # fmt: skip
    assert found.overhead is None


def test_the_newest_version_tells_all_in_one_process() -> None:
    assert read("v1-0.31") == Measured(
        weights=gib(1.95), kv_available=gib(2.41), kv_tokens=70_240, concurrency=34.3,
        at_length=2048, activation=gib(0.22), non_torch=round((2.1 - 1.95) * GIB),
        graphs=gib(0.07), total=6 * GIB, utilization=0.79, budget=gib(4.74),
        load_seconds=2.566028,
    )  # fmt: skip


def test_what_is_neither_weights_nor_kv_cache_is_overhead() -> None:
    assert read("v1-0.31").overhead == pytest.approx(gib(4.74 - 1.95 - 2.41), abs=2)


def test_the_first_v1_told_tokens_but_no_bytes() -> None:
    assert read("v1-0.8.5") == Measured(
        weights=gib(14.9889), kv_tokens=158_656, concurrency=4.84, at_length=32_768,
        load_seconds=3.65217, compile_seconds=6.41,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("log", "budget", "activation", "tokens"),
    [
        ("v0-0.6.4", 7.92 * 0.9, 3.12 - 2.6419, 1207 * 16),
        ("v0-0.6.6-mi300x", 191.98 * 0.98, 86.79 - 67.6979, 19_513 * 16),
    ],
)
def test_v0_tells_the_peak_with_the_weights_in_it(
    log: str, budget: float, activation: float, tokens: int
) -> None:
    found = read(log)
    assert (found.budget, found.activation) == (gib(budget), gib(activation))
    assert (found.kv_tokens, found.sized_by_length) == (tokens, True)
    assert found.overhead == pytest.approx(
        (found.activation or 0) + (found.non_torch or 0), abs=gib(0.02)
    )


def test_a_negative_rest_is_read_as_it_is() -> None:
    found = read("v0-0.7-negative")
    assert (found.kv_available, found.kv_tokens) == (gib(-1.05), 0)
    assert read("v1-0.19-negative").kv_available == gib(-0.12)


def test_of_several_cards_the_one_with_the_least_room_counts() -> None:
    found = read("v0-0.8.5-pp2")
    assert (found.cards, found.kv_available, found.weights) == (2, gib(14.26), gib(10.3))
    assert (found.activation, found.kv_tokens) == (gib(1.77), 7299 * 16)
    found = read("v1-0.11-pp4")
    assert (found.cards, found.kv_available) == (4, gib(18.02))


def test_a_kv_cache_in_bytes_is_exact() -> None:
    found = read("v1-0.11-tp2")
    assert (found.cards, found.kv_available) == (2, 47_878_721_024)
    assert (found.weights, found.non_torch) == (gib(74.28), gib(1.38))


def test_where_one_card_speaks_for_all_the_others_are_counted() -> None:
    found = read("v1-0.27-tp2")
    assert (found.cards, found.kv_available, found.utilization) == (2, gib(6.87), 0.82)


def test_the_smallest_of_several_token_counts_counts() -> None:
    line = "(EngineCore pid=1) INFO 01-01 00:00:00 [k.py:1] GPU KV cache size: {} tokens\n"
    assert memory_log.read(line.format("2,000") + line.format("1,000")).kv_tokens == 1000


def test_blocks_of_another_size_are_told_by_the_concurrency() -> None:
    log = (
        "# cuda blocks: 5302, # CPU blocks: 0\nMaximum concurrency for 8192 tokens per request: {}x"
    )
    assert memory_log.read(log.format("10.36")).kv_tokens == 5302 * 16
    assert memory_log.read(log.format("41.42")).kv_tokens == 5302 * 64


def test_the_starts_before_in_a_containers_log_do_not_count() -> None:
    began = "(APIServer pid=1) INFO 01-01 00:00:00 [utils.py:1] non-default args: {'model': 'm'}\n"
    first = began + (LOGS / "v1-0.31.log").read_text()
    assert memory_log.read(first + began) == Measured()
    assert memory_log.read(began + first) == read("v1-0.31")


def test_a_drafter_does_not_hide_the_models_compilation() -> None:
    log = "torch.compile took 9.61 s in total\ntorch.compile took 0.87 s in total\n"
    assert memory_log.read(log).compile_seconds == 9.61


def test_a_given_kv_cache_on_a_card_has_no_overhead() -> None:
    log = (
        "Model loading took 1.0 GiB memory and 1.0 seconds\n"
        "Initial free memory 22.1 GiB, reserved 0.5 GiB memory for KV Cache as specified by "
        "kv_cache_memory_bytes config and skipped memory profiling.\n"
    )
    found = memory_log.read(log)
    assert (found.kv_given, found.kv_available, found.overhead) == (True, GIB // 2, None)


def test_a_failed_start_is_summed_up_in_one_line() -> None:
    assert memory_log.summary(read("v0-0.7-negative")) == (
        "vLLM measured: budget 5.60 GiB, weights 5.20 GiB, working space 1.42 GiB, "
        "outside PyTorch 0.03 GiB, left for the KV cache -1.05 GiB"
    )
    assert memory_log.summary(memory_log.read(BOOT.read_text())) == "", "a given size is no measure"


V0_LENGTH = (
    "ValueError: The model's max seq len ({}) is larger than the maximum number of tokens that can "
    "be stored in KV cache ({}). Try increasing `gpu_memory_utilization` or decreasing"
)
TAKEN = (
    "ValueError: Free memory on device cuda:0 ({} GiB) on startup is less than desired GPU memory "
    "utilization (0.95, 30.25 GiB). Decrease GPU memory utilization or"
)
RAM = (
    "ValueError: Available memory on node 0 (1.9/23.4 GiB) on kv cache allocation is less than "
    "requested memory for kv (4.0 GiB). Decrease --kv-cache-memory-bytes"
)
NEEDED = "To serve at least one request with the models's max seq len (32768), (2.00 GB KV cache is"


@pytest.mark.parametrize(
    ("said", "kind", "told"),
    [
        (boot_log.cause(CRASHED), "length", "MAX_MODEL_LEN=768 or less in env/4090.env"),
        (boot_log.cause(CRASHED), "length", "KV_CACHE_GIB=0.2 on the CPU"),
        (
            (FAILED / "vram-kv-needed-v1-estimate.log").read_text(),
            "length",
            "MAX_MODEL_LEN=111456 or less",
        ),
        (  # vllm-project/vllm 0.8.3 said no length: 32768 * 0.775 / 2.005, in whole blocks
            f"{NEEDED} needed, which is larger than the available KV cache memory (0.78 GB).",
            "length",
            "MAX_MODEL_LEN=12656 or less",
        ),
        (
            f"{NEEDED} needed, which is larger than the available KV cache memory (0.0 GB).",
            "length",
            "Not even a short request fits",
        ),
        (
            V0_LENGTH.format(29000, 23648),  # vllm-project/vllm#10517
            "length",
            "MAX_MODEL_LEN=23648 or less",
        ),
        (
            V0_LENGTH.format(4096, 0),
            "blocks",
            "smaller or quantized model",
        ),
        (
            TAKEN.format("30.12/31.84"),  # Alex8791-cyber/cognithor#318, WSL2
            "taken",
            "GPU_MEMORY_UTILIZATION=0.94 in env/4090.env",
        ),
        (
            TAKEN.format("0.98/21.48"),
            "taken",
            "hardly any of its memory is free",
        ),
        (
            RAM,
            "ram",
            "below the 1.9 GiB of RAM",
        ),
        (
            (FAILED / "vram-no-cache-blocks-3090.log").read_text(),
            "blocks",
            "a higher GPU_MEMORY_UTILIZATION",
        ),
        (
            (FAILED / "vram-oom-sampler-warmup-256.log").read_text(),
            "sampler",
            "MAX_NUM_SEQS=128 in env/4090.env",
        ),
        ((FAILED / "vram-oom-runtime-24gb-sort.log").read_text(), "out", "a smaller or quantized"),
        (
            "torch.OutOfMemoryError: HIP out of memory. Tried to allocate 12.95 GiB.",
            "out",
            "a lower MAX_NUM_SEQS",
        ),
    ],
)
def test_a_shortage_names_what_to_set(said: str, kind: str, told: str) -> None:
    found = memory_log.shortage(said, FILE)
    assert found is not None
    assert found.kind == kind
    assert told in found.fix


def test_the_share_that_is_told_is_free() -> None:
    found = memory_log.shortage(TAKEN.format("19.92/24.0"), FILE)
    assert found is not None
    assert "GPU_MEMORY_UTILIZATION=0.82 " in found.fix, "0.83 would fail by a rounding"


def test_what_goes_with_the_model_is_set_where_the_model_is_chosen() -> None:
    found = memory_log.shortage(V0_LENGTH.format(29000, 23648), FILE, "env/local/4090.env")
    assert found is not None
    assert "MAX_MODEL_LEN=23648 or less in env/local/4090.env" in found.fix
    assert "GPU_MEMORY_UTILIZATION in env/4090.env" in found.fix


@pytest.mark.parametrize(
    "log", ["cuda-infer-device-pynvml", "flag-max-model-len-derived", "hub-gated-401-transformers"]
)
def test_other_failures_are_no_shortage(log: str) -> None:
    assert memory_log.shortage((FAILED / f"{log}.log").read_text(), FILE) is None


def test_every_fix_names_keys_that_there_are() -> None:
    words = {
        word.partition("=")[0].strip(".,:;()")
        for row in load_file("memory_log.toml")["shortage"]
        for word in row["fix"].split()
    }
    named = {word for word in words if word.isupper() and "_" in word}
    assert named
    assert named <= KEYS.keys()


@pytest.mark.parametrize("table", ["line", "shortage"])
def test_every_pattern_says_whose_words_it_knows(table: str) -> None:
    assert (DATA / "memory_log.toml").exists()
    for row in load_file("memory_log.toml")[table]:
        assert row["source"], row
        assert row["versions"], row
        assert row["checked"], row
