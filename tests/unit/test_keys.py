"""The table of keys: its checks, and its agreement with what else knows keys."""

import pytest

from lifecycle.keys import GPUS, KEYS, SHAPING, TABLE, Key, extra_arguments, owned
from lifecycle.keys.checks import number, one_of, server_root, spelled, whole_number
from lifecycle.steps.serve import COMPARED

SEEN_ELSEWHERE = {
    "RUNTIME", "IMAGE", "START_STALL_SECONDS", "ENDPOINT", "TIER", "MAX_IN_FLIGHT",
}  # fmt: skip
"""Not compared as a key: the first two in their own ways, the third shapes only the wait, and the
others are for the gateway.
"""


def test_names_and_flags_are_unique() -> None:
    flags = [flag for key in TABLE for flag in key.spellings]
    assert len(KEYS) == len(TABLE)
    assert len(set(flags)) == len(flags)


@pytest.mark.parametrize("key", TABLE, ids=lambda key: key.name)
def test_every_key_is_documented_and_its_default_is_valid(key: Key) -> None:
    assert key.doc.endswith(".")
    assert not key.default or key.check(key.default) == ""
    assert not (key.required and key.default)
    assert key.everywhere or not key.secret


def test_a_server_is_compared_by_every_key_that_shapes_it() -> None:
    assert set(SHAPING) == {key.name for key in TABLE if not key.everywhere} - SEEN_ELSEWHERE
    assert set(COMPARED) == set(SHAPING)


@pytest.mark.parametrize("text", ["1024", "65535", "08000"])
def test_whole_numbers_in_range_are_taken(text: str) -> None:
    assert whole_number(1024, 65535)(text) == ""


@pytest.mark.parametrize(
    "text", ["1023", "65536", "-1", "8000.0", "8 000", "0x1f40", "", "\uff18\uff10\uff10\uff10"]
)
def test_other_numbers_are_refused(text: str) -> None:
    assert whole_number(1024, 65535)(text) == "must be a whole number from 1024 to 65535"


@pytest.mark.parametrize("text", ["0.1", "1", "4096", "1.50"])
def test_decimal_numbers_in_range_are_taken(text: str) -> None:
    assert number(0.1, 4096)(text) == ""


@pytest.mark.parametrize("text", ["0", "4096.1", "nan", "inf", "1e2", "1,5", "-1", ".", "1."])
def test_other_decimals_are_refused(text: str) -> None:
    assert number(0.1, 4096)(text) == "must be a number from 0.1 to 4096"


def test_a_choice_names_the_choices() -> None:
    assert one_of("cpu", "cuda")("gpu") == "must be one of cpu, cuda"


@pytest.mark.parametrize("text", ["", "--seed 1", "--model-impl vllm", '--x \'{"a": "b c"}\''])
def test_extra_arguments_may_hold_flags_that_no_key_owns(text: str) -> None:
    assert extra_arguments(text) == ""


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("--port 1", "PORT"),
        ("--port=1", "PORT"),
        ("--seed 1 --host 0.0.0.0", "127.0.0.1"),
        ("--served_model_name x", "SERVED_NAME"),
        ("--model x", "MODEL"),
        ("--api-key x", "VLLM_API_KEY"),
        ("--uds /tmp/x", "PORT"),
    ],
)
def test_extra_arguments_may_not_hold_what_a_key_owns(text: str, instead: str) -> None:
    assert instead in extra_arguments(text)


@pytest.mark.parametrize("text", ["--hos 0.0.0.0", "--api-ke x", "--por=1"])
def test_an_abbreviated_flag_is_refused_like_the_whole_one(text: str) -> None:
    # argparse takes every unambiguous beginning of a flag, and so does vLLM.
    assert "must not hold" in extra_arguments(text)


def test_extra_arguments_may_not_hold_another_secret() -> None:
    assert "must not hold --hf-token" in extra_arguments("--hf-token hf_x")


def test_extra_arguments_may_not_bring_a_file_of_reserved_flags() -> None:
    # `vllm serve --config` reads host, port and api-key from YAML.
    assert "must not hold --config" in extra_arguments("--config other.yaml")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("--gpu-memory-utilization 0.9", "GPU_MEMORY_UTILIZATION"),
        ("--device_memory_utilization=0.9", "GPU_MEMORY_UTILIZATION"),
        ("--seed 1 -tp 2", "TENSOR_PARALLEL"),
        ("-q fp8", "QUANTIZATION"),
        ("--enable-auto-tool-choice", "TOOL_PARSER"),
        ("--max-num-s 4", "MAX_NUM_SEQS"),
        ("--dtype half", "DTYPE"),
    ],
)
def test_a_flag_with_a_key_belongs_in_the_key(text: str, name: str) -> None:
    assert owned(text, "cuda").endswith(f": it is {name}")


def test_a_flag_whose_key_is_for_other_hardware_is_free() -> None:
    assert "KV_CACHE_GIB" in owned("--kv-cache-memory-bytes 4G", "cpu")
    assert owned("--kv-cache-memory-bytes 4G", "cuda") == ""
    assert owned("--seed -1 --logits-processors a:b", "cuda") == ""


def test_a_key_holds_for_some_hardware() -> None:
    assert all(key.gpus and set(key.gpus) <= set(GPUS) for key in TABLE)
    assert all(key.gpus == GPUS for key in TABLE if key.everywhere or key.required)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("http://far", True),
        ("https://far.example.org:65535", True),
        ("http://far:0", False),
        ("http://far:65536", False),
        ("http://far:8000/", False),
        ("http://far:8000/v1", False),
        ("http://me:pw@far:8000", False),
        ("far:8000", False),
        ("ftp://far", False),
    ],
)
def test_an_endpoint_is_a_root_with_a_port_that_exists(text: str, *, good: bool) -> None:
    assert (server_root(text) == "") is good


def test_a_spelling_is_told_by_an_example_that_keeps_to_it() -> None:
    assert spelled("[0-9]+", "7")("x") == "must be written like 7"
    for key in TABLE:
        told = key.check("?") if key.check("?").startswith("must be written") else ""
        for example in told.removeprefix("must be written like ").split(" or "):
            assert not example or key.check(example) == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("GPU_MEMORY_UTILIZATION", "1.01"),
        ("GPU_MEMORY_UTILIZATION", "90%"),
        ("KV_CACHE_DTYPE", "int4"),
        ("TENSOR_PARALLEL", "0"),
        ("DEVICES", "all"),
        ("DEVICES", "0, 1"),
        ("ATTENTION_BACKEND", "triton"),
        ("TOOL_PARSER", "hermes --trust-remote-code"),
        ("QUANTIZATION", "--fp8"),
        ("CHAT_TEMPLATE", "{{ messages }}"),
        ("KNOWN_ISSUES_OFF", "wsl uva"),
    ],
)
def test_what_vllm_would_choke_on_is_refused_before_it_starts(name: str, text: str) -> None:
    assert KEYS[name].check(text).startswith("must be")


def test_unbalanced_quotes_are_told() -> None:
    assert "cannot be split" in extra_arguments("--x 'a")
