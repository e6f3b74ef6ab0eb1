"""What vLLM refuses of a model itself is a verdict, before anything is fetched."""

from dataclasses import replace
from typing import Any

import pytest

from lifecycle.host import GIB
from lifecycle.model import Model
from lifecycle.models import tensors
from lifecycle.planner import architecture, fit
from lifecycle.planner.fit import DOES_NOT_FIT, FITS, FITS_IF, Card, Plan, Wanted
from tests.unit.planner.configs import AWQ, DEEPSEEK_LITE, GEMMA_1B, LLAMA_8B

H100 = Card("cuda", 80 * GIB, 79 * GIB, "9.0", "H100", count=8)
RX_7900_XTX = Card("rocm", 24 * GIB, int(23.5 * GIB), "gfx1100", "RX 7900 XTX")
FP8_BLOCKS = {"quant_method": "fp8", "weight_block_size": [128, 128]}


def model(config: dict[str, Any]) -> Model:
    return tensors.estimated("m", architecture.parse(config), source="config.json")


def plan(config: dict[str, Any], card: Card = H100, **wanted: Any) -> Plan:
    given: dict[str, Any] = {"version": "0.32.0", "length": 4096} | wanted
    return fit.plan(model(config), card, Wanted(**given))


@pytest.mark.parametrize(
    ("changes", "tensor", "why"),
    [
        ({}, 2, ""),
        ({}, 8, ""),
        ({}, 3, "divide 32 attention heads among 3 cards"),
        ({"num_key_value_heads": 2, "num_attention_heads": 48}, 3, "2 key and value heads cannot"),
        ({"num_key_value_heads": 1}, 8, ""),
        ({"num_attention_heads": 12, "num_key_value_heads": 6}, 4, "6 key and value heads"),
        ({"intermediate_size": 14337}, 2, "divide 14337 elements of a feed-forward layer"),
        # vLLM pads the vocabulary to a multiple of 64 before it divides it.
        ({"vocab_size": 128257}, 2, ""),
        ({"vocab_size": 128257, "num_attention_heads": 30, "num_key_value_heads": 6,
          "hidden_size": 3840, "intermediate_size": 14337}, 3, "rows of its vocabulary"),
        # Qwen2.5-72B before its authors padded it for quantization.
        ({"intermediate_size": 29568, "quantization_config": AWQ}, 1, ""),
        ({"intermediate_size": 29568, "quantization_config": AWQ}, 2, "no whole groups of 128 awq"),
        ({"intermediate_size": 29696, "quantization_config": AWQ}, 2, ""),
        ({"intermediate_size": 13696, "quantization_config": FP8_BLOCKS}, 2, "groups of 128 fp8"),
        ({"intermediate_size": 13824, "quantization_config": FP8_BLOCKS}, 2, ""),
    ],
)  # fmt: skip
def test_sizes_that_do_not_divide(changes: dict[str, Any], tensor: int, why: str) -> None:
    found = plan(LLAMA_8B | changes, tensor=tensor)
    assert any(why in one for one in found.blocked) if why else not found.blocked
    assert (found.verdict == DOES_NOT_FIT) == bool(why)


def test_latent_vectors_are_on_every_card_and_need_not_divide() -> None:
    assert not plan(DEEPSEEK_LITE, tensor=8).blocked


def test_more_stages_than_layers_are_refused() -> None:
    found = plan(LLAMA_8B | {"num_hidden_layers": 4}, pipeline=8)
    assert found.blocked == ("4 layers cannot be shared by 8 cards",)


@pytest.mark.parametrize(
    ("said", "asked", "why"),
    [
        (AWQ, {}, ""),
        (AWQ, {"quantization": "awq_marlin"}, ""),
        (AWQ, {"quantization": "fp8"}, "the model comes quantized with awq"),
        (AWQ, {"dtype": "float32"}, "awq weights are computed in float16 or bfloat16"),
        (AWQ | {"bits": 8}, {}, "awq weights of 4 bits, these have 8"),
        ({"quant_method": "gptq", "bits": 3}, {}, "gptq weights of 4 or 8 bits"),
        ({"quant_method": "gptq", "bits": 4, "sym": False}, {}, "without zero points"),
        ({"quant_method": "gptq", "bits": 4, "group_size": 256}, {}, "these are of 256"),
        ({"quant_method": "gptq", "bits": 4, "group_size": -1}, {}, ""),
        ({"quant_method": "mxfp4"}, {"dtype": "float16"}, "mxfp4 weights are computed in bfloat16"),
        ({"quant_method": "hqq"}, {}, "quantized with hqq, which vLLM does not have"),
        ({"quant_method": "aqlm"}, {}, "quantized with aqlm"),
        ({"quant_method": "exl3", "bits": 4}, {}, "quantized with exl3"),
        ({"bits": 4, "group_size": 64}, {}, "quantized with mlx"),
        ({"quant_method": "modelopt", "quant_algo": "W4A8_AWQ"}, {}, "modelopt W4A8_AWQ"),
        ({"quant_method": "fbgemm_fp8"}, {}, "--allow-deprecated-quantization"),
        ({"quant_method": "fbgemm_fp8"}, {"deprecated": True}, ""),
        ({"quant_method": "auto-round", "bits": 4}, {}, ""),
        ({"quant_method": "compressed_tensors"}, {}, ""),
        (None, {"quantization": "fp8"}, ""),
        (None, {"quantization": "awq"}, "the model's weights are not quantized so"),
        (None, {"quantization": "made-up"}, "QUANTIZATION names made-up"),
    ],
)  # fmt: skip
def test_quantizations_vllm_refuses(
    said: dict[str, Any] | None, asked: dict[str, Any], why: str
) -> None:
    found = plan(LLAMA_8B | {"quantization_config": said}, **asked)
    assert any(why in one for one in found.blocked) if why else not found.blocked


def test_an_older_vllm_is_not_judged_by_the_newer_one_s_list() -> None:
    assert not plan(LLAMA_8B | {"quantization_config": {"quant_method": "hqq"}},
                    version="0.9.2").blocked  # fmt: skip


def test_what_amd_cards_may_not_is_told() -> None:
    said = {"quant_method": "experts_int8"}
    found = plan(LLAMA_8B | {"quantization_config": said}, RX_7900_XTX, version="0.33.0")
    assert any("no experts_int8 weights on AMD cards" in one for one in found.blocked)


@pytest.mark.parametrize(
    ("config", "arch", "dtype", "blocked"),
    [
        (LLAMA_8B, "7.5", "", False),  # falls back to float16
        (LLAMA_8B, "7.5", "bfloat16", True),
        (GEMMA_1B, "7.5", "", True),  # only bfloat16 and float32, and float32 is to be asked for
        (GEMMA_1B, "8.9", "float16", True),
        (GEMMA_1B, "8.9", "", False),
        (LLAMA_8B, "8.9", "float16", False),
    ],
)
def test_types_to_compute_in(
    config: dict[str, Any], arch: str, dtype: str, *, blocked: bool
) -> None:
    found = plan(config, replace(H100, arch=arch), dtype=dtype)
    assert bool(found.blocked) == blocked


def test_a_class_that_vllm_dropped_is_refused() -> None:
    qwen = LLAMA_8B | {"model_type": "qwen", "architectures": ["QWenLMHeadModel"]}
    found = plan(qwen)
    assert found.blocked == (
        "vLLM has no model for QWenLMHeadModel since 0.23.0: take another model",
    )
    assert not plan(qwen, version="0.22.1").blocked


def test_a_class_that_vllm_never_had_is_a_condition() -> None:
    old = {"model_type": "gpt_neo", "architectures": ["GPTNeoForCausalLM"]}
    found = plan(LLAMA_8B | old | {"is_encoder_decoder": True})
    assert found.verdict == FITS_IF
    assert any("own code serves GPTNeoForCausalLM" in one for one in found.conditions)
    assert any("an encoder" in one for one in found.notes)


@pytest.mark.parametrize(
    ("name", "pools"),
    [
        ("LlamaForCausalLM", False),
        ("InternVLChatModel", False),
        ("BertModel", True),
        ("Qwen3ForSequenceClassification", True),
    ],
)
def test_what_does_not_write_is_told(name: str, *, pools: bool) -> None:
    found = plan(LLAMA_8B | {"architectures": [name]})
    assert any("it does not chat" in one for one in found.cautions) == pools
    assert found.conditions == ()


def test_a_dropped_class_that_transformers_has_is_a_condition() -> None:
    mpt = LLAMA_8B | {"model_type": "mpt", "architectures": ["MPTForCausalLM"]}
    found = plan(mpt, length=2048)
    assert found.verdict == FITS_IF
    assert any("transformers' own code serves MPTForCausalLM" in one for one in found.conditions)
    assert plan(mpt, length=2048, version="0.27.0").verdict == FITS


def test_a_class_for_a_plugin_is_refused() -> None:
    bart = LLAMA_8B | {"architectures": ["BartForConditionalGeneration"]}
    assert any("plugin only" in one for one in plan(bart).blocked)


def test_packed_weights_go_with_a_word_for_them() -> None:
    header = {"model.layers.0.mlp.up_proj.qweight": tensors.Tensor("I32", (512, 14336))}
    packed = tensors.model("m", architecture.parse(LLAMA_8B), header, source="headers")
    found = fit.plan(packed, H100, Wanted(length=4096, quantization="gptq", version="0.32.0"))
    assert not found.blocked
    assert found.verdict == FITS_IF
