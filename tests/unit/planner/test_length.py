"""The longest request, with --hf-overrides: values that vLLM 0.32.0 itself gave for Qwen3-8B."""

import math
from typing import Any

import pytest

from lifecycle.model import Architecture, Held, Model
from lifecycle.planner import length

QWEN = Model("Qwen/Qwen3-8B", Architecture("qwen3", (), 4096, 32, 151936, longest=40960), Held())
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}


@pytest.mark.parametrize(
    ("overrides", "version", "longest"),
    [
        ({}, "0.33.0", 40960),
        ({"rope_parameters": YARN}, "0.33.0", 40960),
        ({"rope_scaling": YARN}, "0.32.0", 40960),
        ({"rope_parameters": YARN}, "", 40960),
        ({"rope_parameters": YARN}, "0.29.0", 131072),
        ({"rope_parameters": YARN, "max_position_embeddings": 131072}, "0.33.0", 131072),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 4.0}}, "0.33.0", 163840),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, "0.33.0", 163840),
        ({"rope_parameters": {"full": {"rope_type": "linear", "factor": 2}}}, "0.33.0", 81920),
        ({"max_position_embeddings": 131072}, "0.33.0", 131072),
        ({"model_max_length": 131072}, "0.33.0", 131072),
        ({"text_config": {"max_position_embeddings": 131072}}, "0.33.0", 131072),
        ({"max_position_embeddings": 8192}, "0.33.0", 8192),
        ({"rope_parameters": "x", "num_hidden_layers": 2}, "0.33.0", 40960),
        ({"rope_parameters": {"rope_type": "linear", "factor": None}}, "0.33.0", 40960),
        ({"rope_scaling": {"rope_type": "linear", "factor": math.inf}}, "0.33.0", 40960),
        ({"rope_scaling": {"rope_type": "linear", "factor": math.nan}}, "0.33.0", 40960),
    ],
)
def test_it_is_read_as_vllm_reads_it(overrides: dict[str, Any], version: str, longest: int) -> None:
    assert length.overridden(QWEN, overrides, version).architecture.longest == longest


def test_whether_only_the_length_is_touched() -> None:
    assert length.touches({"rope_parameters": YARN, "text_config": {"max_seq_len": 1}})
    assert not length.touches({"num_hidden_layers": 2})
    assert not length.touches({"text_config": {"num_hidden_layers": 2}})


def test_yarn_alone_lengthens_nothing_since_0_30() -> None:
    assert length.yarn_needs_length({"rope_parameters": YARN}, "0.33.0")
    assert not length.yarn_needs_length({"rope_parameters": YARN}, "0.29.0")
    both = {"rope_parameters": YARN, "max_position_embeddings": 131072}
    assert not length.yarn_needs_length(both, "0.33.0")
