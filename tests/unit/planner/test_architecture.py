"""Config files, read as vLLM reads them; broken ones said by name."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from lifecycle.errors import ModelUnavailable
from lifecycle.model import Layer
from lifecycle.planner import architecture
from tests.unit.planner.configs import AWQ, DEEPSEEK_LITE, GEMMA_1B, LLAMA_8B, QWEN_27B

FAMILIES = json.loads((Path(__file__).parent / "families.json").read_text())["families"]


@pytest.mark.parametrize("row", FAMILIES, ids=lambda row: row["config"]["model_type"])
def test_parameters_are_what_transformers_counts(row: dict[str, Any]) -> None:
    read = architecture.parse(row["config"])
    assert read.parameters.total == pytest.approx(row["parameters"], rel=0.004)


def test_grouped_heads_and_derived_size() -> None:
    read = architecture.parse(LLAMA_8B)
    assert read.layers == (Layer("full", kv_heads=8, head_dim=128, value_dim=128),) * 32
    assert read.longest == 131072
    assert read.uniform
    assert read.unsure == ()


def test_a_head_size_of_its_own_counts() -> None:
    read = architecture.parse(LLAMA_8B | {"hidden_size": 5120, "head_dim": 128})
    assert read.layers[0].head_dim == 128


def test_without_key_value_heads_every_head_has_its_own() -> None:
    config = {k: v for k, v in LLAMA_8B.items() if k != "num_key_value_heads"}
    assert architecture.parse(config).layers[0].kv_heads == 32


def test_falcon_with_multi_query_has_one_head() -> None:
    falcon = LLAMA_8B | {"model_type": "falcon", "multi_query": True}
    falcon = {k: v for k, v in falcon.items() if k != "num_key_value_heads"}
    assert architecture.parse(falcon).layers[0].kv_heads == 1


def test_latent_attention_keeps_one_vector() -> None:
    read = architecture.parse(DEEPSEEK_LITE)
    assert set(read.layers) == {Layer("latent", kv_heads=1, head_dim=576)}
    assert read.uniform


def test_every_fourth_layer_of_a_hybrid_attends() -> None:
    read = architecture.parse(QWEN_27B)
    assert [layer.kind for layer in read.layers[:4]] == ["state", "state", "state", "full"]
    assert sum(layer.kind == "full" for layer in read.layers) == 16
    assert read.layers[0].state.conv == (2 * 16 * 128 + 48 * 128) * 3
    assert read.layers[0].state.recurrent == 48 * 128 * 128
    assert read.layers[0].state.dtype == "float32"
    assert "state" in read.unsure[0]


def test_gemma_attends_fully_in_every_sixth_layer() -> None:
    kinds = [layer.kind for layer in architecture.parse(GEMMA_1B).layers]
    assert kinds[:6] == ["sliding"] * 5 + ["full"]
    assert kinds.count("full") == 4


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"sliding_window": 4096}, "sliding"),
        ({"sliding_window": 4096, "use_sliding_window": False}, "full"),
        ({"sliding_window": None}, "full"),
    ],
)
def test_a_window_for_all_layers(changes: dict[str, Any], kind: str) -> None:
    assert {layer.kind for layer in architecture.parse(LLAMA_8B | changes).layers} == {kind}


def test_layers_that_share_keep_nothing() -> None:
    read = architecture.parse(LLAMA_8B | {"num_kv_shared_layers": 12})
    assert [layer.kind for layer in read.layers].count("none") == 12


def test_nemotron_spells_its_layers_by_letters() -> None:
    config = {
        "model_type": "nemotron_h", "hidden_size": 4096, "vocab_size": 1000,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
        "hybrid_override_pattern": "M-M*E", "num_hidden_layers": 5, "intermediate_size": 100,
        "mamba_num_heads": 8, "mamba_head_dim": 64, "ssm_state_size": 128, "n_groups": 2,
        "conv_kernel": 4, "n_routed_experts": 4, "moe_intermediate_size": 10,
    }  # fmt: skip
    read = architecture.parse(config)
    assert [layer.kind for layer in read.layers] == ["state", "none", "state", "full", "none"]
    assert read.layers[0].state.conv == (8 * 64 + 2 * 2 * 128) * 3


@pytest.mark.parametrize(
    ("rope", "longest"),
    [
        ({"rope_type": "linear", "factor": 4.0}, 4 * 4096),
        ({"type": "dynamic", "factor": 2.0}, 2 * 4096),
        # vLLM 0.32 takes max_position_embeddings of these as scaled already.
        ({"rope_type": "yarn", "factor": 4.0}, 4096),
        ({"rope_type": "llama3", "factor": 8.0}, 4096),
        (None, 4096),
    ],
)
def test_the_longest_context(rope: dict[str, Any] | None, longest: int) -> None:
    config = LLAMA_8B | {"max_position_embeddings": 4096, "rope_scaling": rope}
    assert architecture.parse(config).longest == longest


def test_long_rope_begins_with_its_original_length() -> None:
    config = LLAMA_8B | {
        "rope_scaling": {"type": "longrope"},
        "original_max_position_embeddings": 4096,
    }
    assert architecture.parse(config).longest == 4096


@pytest.mark.parametrize(
    ("said", "dtype"),
    [
        ({"torch_dtype": "float16"}, "float16"),
        ({"torch_dtype": "float32"}, "bfloat16"),
        ({"torch_dtype": None, "dtype": "bfloat16"}, "bfloat16"),
        ({"torch_dtype": "torch.float16"}, "float16"),
    ],
)
def test_the_type_it_is_computed_in(said: dict[str, Any], dtype: str) -> None:
    assert architecture.parse(LLAMA_8B | said).dtype == dtype


@pytest.mark.parametrize(
    ("said", "format_", "group", "zeros"),
    [
        (AWQ, "int4", 128, True),
        ({"quant_method": "gptq", "bits": 8, "group_size": 32}, "int8", 32, False),
        ({"quant_method": "gptq", "bits": 4, "group_size": -1}, "int4", 0, False),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8", 0, False),
        ({"quant_method": "mxfp4"}, "mxfp4", 32, False),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4", 16, False),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 128}, "int4", 128, False),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "int4", 64, False),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "group_0": {
                        "weights": {
                            "num_bits": 4, "type": "int", "group_size": 32, "symmetric": False,
                        },
                    },
                },
            },
            "int4", 32, True,
        ),
        ({"quant_method": "something-new"}, "", 128, False),
        ({"quant_method": "gptq", "bits": 4, "sym": False}, "int4", 128, True),
        ({"group_size": 64, "bits": 4}, "int4", 64, False),
        (
            {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}},
            "fp8", 0, False,
        ),
        ({"quant_method": "modelopt", "quant_algo": "fp8_pb_wo"}, "fp8", 0, False),
        (
            {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3"}}},
            "fp8", 0, False,
        ),
        (
            {"quant_method": "quark",
             "global_quant_config": {"weight": {"dtype": "fp4", "group_size": 32}}},
            "mxfp4", 32, False,
        ),
        (
            {"quant_method": "quark",
             "global_quant_config": {"weight": {"dtype": "uint4", "group_size": 128}}},
            "int4", 128, False,
        ),
        (
            {"quant_method": "torchao", "quant_type": {
                "default": {"_type": "Float8DynamicActivationFloat8WeightConfig"}}},
            "fp8", 0, False,
        ),
        (
            {"quant_method": "torchao", "quant_type": {
                "default": {"_type": "Int8DynamicActivationInt4WeightConfig", "_data": {}}}},
            "int4", 128, False,
        ),
    ],
)  # fmt: skip
def test_quantizations(said: dict[str, Any], format_: str, group: int, *, zeros: bool) -> None:
    found = architecture.parse(LLAMA_8B | {"quantization_config": said}).quantization
    assert (found.format, found.group, found.zeros) == (format_, group, zeros)


QUARK_CACHE = {
    "quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3"}},
    "export": {"kv_cache_group": ["*k_proj", "*v_proj"]},
    "layer_quant_config": {"*k_proj": {"output_tensors": {"dtype": "fp8_e4m3"}}},
}  # fmt: skip


@pytest.mark.parametrize(
    "said",
    [
        {"quant_method": "modelopt", "kv_cache_scheme": {"num_bits": 8, "type": "float"}},
        {"producer": {"name": "modelopt"},
         "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}},
        {"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"},
        QUARK_CACHE,
    ],
)  # fmt: skip
def test_a_type_for_the_cache_comes_with_some_models(said: dict[str, Any]) -> None:
    found = architecture.parse(LLAMA_8B | {"quantization_config": said})
    assert found.quantization.kv_cache == "fp8"


def test_every_group_of_weights_counts() -> None:
    groups = {
        "attention": {"weights": {"num_bits": 4, "type": "int", "group_size": 128}},
        "mlp": {"weights": {"num_bits": 8, "type": "float"}},
    }
    said = {"quant_method": "compressed-tensors", "config_groups": groups}
    found = architecture.parse(LLAMA_8B | {"quantization_config": said}).quantization
    assert found.formats == ("int4", "fp8")
    layers = {"a": {"quant_algo": "NVFP4"}, "b": {"quant_algo": "FP8"}}
    said = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    found = architecture.parse(LLAMA_8B | {"quantization_config": said}).quantization
    assert found.method == "modelopt_mixed"
    assert set(found.formats) == {"fp8", "nvfp4"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"hidden_size": None}, "it has no hidden_size"),
        ({"hidden_size": "many"}, "hidden_size is 'many'"),
        ({"hidden_size": 0}, "hidden_size or vocab_size is 0"),
        ({"num_hidden_layers": 10**9}, "1000000000 layers"),
        ({"num_hidden_layers": 0}, "0 layers"),
        ({"num_hidden_layers": None}, "no num_hidden_layers"),
        ({"num_attention_heads": None}, "no num_attention_heads"),
        ({"num_key_value_heads": -1}, "num_key_value_heads is -1"),
        ({"vocab_size": 1.5}, "vocab_size is 1.5"),
        ({"max_position_embeddings": math.inf}, "max_position_embeddings is inf"),
        ({"intermediate_size": math.nan}, "intermediate_size is nan"),
        ({"hidden_size": 10**400}, "hidden_size is 1000"),
        ({"model_type": None}, "no model_type"),
        ({"layer_types": ["full_attention"] * 3}, "32 layers and lists 3"),
        ({"quantization_config": {"quant_method": "gptq", "bits": "four"}}, "bits is 'four'"),
        ({"quantization_config": "awq"}, "quantization_config is no object"),
        ({"rope_scaling": ["yarn", 4]}, "rope_scaling is no object"),
        ({"architectures": [3]}, "architectures is [3]"),
    ],
)
def test_a_broken_file_is_told(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        architecture.parse(LLAMA_8B | changes)
    assert why in caught.value.why
    assert caught.value.fix


def test_something_else_than_an_object_is_told() -> None:
    with pytest.raises(ModelUnavailable):
        architecture.parse([])  # type: ignore[arg-type]
