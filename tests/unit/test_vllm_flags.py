"""Whatever we tell vLLM is a flag that the pinned version has, with a value that it takes."""

from itertools import pairwise

import pytest

from lifecycle import tables
from lifecycle.arguments import NEWEST, table
from lifecycle.backend import Backend
from lifecycle.host import GIB, Gpu, Host, Nvidia, Os
from lifecycle.keys import GPUS, RESERVED_FLAGS, TABLE, Key, extra_arguments, flags_in, owned
from lifecycle.steps import serve_arguments
from lifecycle.tables.issues import issues
from lifecycle.tables.rows import load_rows
from lifecycle.tables.serving import CpuSettings
from tests.unit.given import backend, host

RECORDED = table(NEWEST)
LISTS = {name: set(words) for name, words in RECORDED.names.items()}
FLAGS = RECORDED.flags.values()
SPELLINGS = {word for flag in FLAGS for word in flag.spellings}
WITH_VALUE = {word for flag in FLAGS if flag.type != "switch" for word in (flag.name, *flag.also)}
CHOICES = {flag.name: set(map(str, flag.choices)) for flag in FLAGS if flag.choices}
KEYS_WITH_FLAG = [key for key in TABLE if key.flag]
FULL = {
    "MAX_MODEL_LEN": "16384",
    "MAX_NUM_SEQS": "8",
    "DTYPE": "float16",
    "GPU_MEMORY_UTILIZATION": "0.9",
    "KV_CACHE_DTYPE": "fp8",
    "QUANTIZATION": "fp8",
    "TOOL_PARSER": "hermes",
    "REASONING_PARSER": "qwen3",
    "CHAT_TEMPLATE": "/checkout/mine.jinja",
    "ATTENTION_BACKEND": "TRITON_ATTN",
    "DEVICES": "0,1",
    "TENSOR_PARALLEL": "2",
}


def choices_of(key: Key) -> set[str]:
    """The words a key takes, when it takes only some."""
    told = key.check("?")
    return set(told.removeprefix("must be one of ").split(", ")) if "one of" in told else set()


def test_the_record_is_whole() -> None:
    assert len(FLAGS) > 300
    assert {"--max-model-len", "--dtype", "--host", "-tp"} <= SPELLINGS
    assert "float16" in CHOICES["--dtype"]


@pytest.mark.parametrize("key", KEYS_WITH_FLAG, ids=lambda key: key.name)
def test_a_key_becomes_a_flag_with_a_value(key: Key) -> None:
    assert key.flag in WITH_VALUE
    assert set(key.before) <= SPELLINGS - WITH_VALUE


@pytest.mark.parametrize("key", KEYS_WITH_FLAG, ids=lambda key: key.name)
def test_every_word_a_key_takes_is_one_that_vllm_takes(key: Key) -> None:
    if key.flag in CHOICES and choices_of(key):
        assert choices_of(key) <= CHOICES[key.flag]


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("TOOL_PARSER", LISTS["tool"]),
        ("REASONING_PARSER", LISTS["reasoning"]),
        ("ATTENTION_BACKEND", LISTS["attention"]),
        ("QUANTIZATION", LISTS["quantization"]),
    ],
)
def test_every_name_of_vllms_is_spelled_as_its_key_demands(name: str, known: set[str]) -> None:
    key = next(key for key in TABLE if key.name == name)
    assert [one for one in sorted(known) if key.check(one)] == []
    examples = {word for word in key.doc.split("`")[1::2] if key.check(word) == ""}
    assert examples
    assert examples <= known


@pytest.mark.parametrize("flag", RESERVED_FLAGS)
def test_every_reserved_flag_is_one_of_vllms(flag: str) -> None:
    assert flag in SPELLINGS


def test_every_flag_that_the_tables_set_is_one_of_vllms() -> None:
    tuned = [row.flags for row in load_rows(CpuSettings, "cpu_settings.toml", "settings")]
    words = [word for row in tuned for word in row if word.startswith("--")]
    assert set(words) <= SPELLINGS
    assert {flag for row in issues() for flag in row.flags} <= WITH_VALUE
    for row in issues():
        assert {what.partition("=")[0] for what in row.asks} <= SPELLINGS


@pytest.mark.parametrize("gpu", GPUS)
def test_no_flag_without_a_key_is_taken_for_one_that_has(gpu: str) -> None:
    ours = {one for key in TABLE if gpu in key.gpus for one in key.spellings} | set(RESERVED_FLAGS)
    free = SPELLINGS - ours
    assert [flag for flag in sorted(free) if extra_arguments(flag) or owned(flag, gpu)] == []
    assert len(free) > 300


def machine() -> Host:
    card = Gpu("NVIDIA GeForce RTX 4090", 24 * GIB, 22 * GIB, "8.9")
    return host(
        os=Os("linux", "x86_64", "Linux", user="1000:1000", wsl=True),
        nvidia=Nvidia(gpus=(card, card), driver="581.29", cuda="13.0"),
    )


def applicable(gpu: str, runtime: str) -> Backend:
    fitting = {key.name: FULL[key.name] for key in TABLE if key.name in FULL and gpu in key.gpus}
    return backend(GPU=gpu, RUNTIME=runtime, **fitting)


@pytest.mark.parametrize("runtime", ["docker", "venv"])
@pytest.mark.parametrize("gpu", GPUS)
def test_a_backend_with_every_key_is_told_in_flags_that_vllm_has(gpu: str, runtime: str) -> None:
    if not tables.serving.served(gpu, runtime):
        return
    words = serve_arguments.flags(applicable(gpu, runtime), machine())
    told = flags_in(" ".join(words))
    assert set(told) <= SPELLINGS
    assert len(told) == len(set(told))
    wanted = {key.flag for key in KEYS_WITH_FLAG if gpu in key.gpus and key.name in FULL}
    assert wanted <= set(told)
    for flag, value in pairwise(words):
        if flag in CHOICES:
            assert value in CHOICES[flag]
