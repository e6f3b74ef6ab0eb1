"""Headers of safetensors files: what is in them, and what of it vLLM keeps."""

import json
from pathlib import Path
from typing import Any

import pytest

from lifecycle.errors import ModelUnavailable
from lifecycle.models import tensors
from lifecycle.models.tensors import Tensor
from lifecycle.planner import architecture, weights
from tests.unit.planner.configs import AWQ, LLAMA_8B

SMALL = LLAMA_8B | {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 1000,
}  # fmt: skip


def header(config: dict[str, Any], dtype: str = "BF16") -> dict[str, Tensor]:
    """Every tensor of a checkpoint of this kind."""
    read = architecture.parse(config)
    hidden, inner, kv_dim = read.hidden, read.intermediate, 16 * 2
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (read.vocab, hidden)}
    for index in range(len(read.layers)):
        prefix = f"model.layers.{index}"
        shapes |= {
            f"{prefix}.self_attn.q_proj.weight": (hidden, hidden),
            f"{prefix}.self_attn.k_proj.weight": (kv_dim, hidden),
            f"{prefix}.self_attn.v_proj.weight": (kv_dim, hidden),
            f"{prefix}.self_attn.o_proj.weight": (hidden, hidden),
            f"{prefix}.mlp.gate_proj.weight": (inner, hidden),
            f"{prefix}.mlp.up_proj.weight": (inner, hidden),
            f"{prefix}.mlp.down_proj.weight": (hidden, inner),
            f"{prefix}.input_layernorm.weight": (hidden,),
            f"{prefix}.post_attention_layernorm.weight": (hidden,),
        }
    shapes |= {"model.norm.weight": (hidden,), "lm_head.weight": (read.vocab, hidden)}
    return {name: Tensor(dtype, shape) for name, shape in shapes.items()}


def held(config: dict[str, Any], found: dict[str, Tensor], **options: str) -> int:
    read = architecture.parse(config)
    return tensors.model("m", read, found, source="test", **options).weights


def sizes(found: dict[str, Tensor]) -> int:
    return sum(one.size for one in found.values())


def written(file: Path, entries: dict[str, Any]) -> Path:
    text = json.dumps(entries).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + b"weights")
    return file


def test_a_header_is_read_without_the_weights(tmp_path: Path) -> None:
    entry = {"dtype": "BF16", "shape": [3, 4], "data_offsets": [0, 24]}
    file = written(tmp_path / "a.safetensors", {"__metadata__": {"format": "pt"}, "x": entry})
    assert tensors.read(file) == {"x": Tensor("BF16", (3, 4))}
    assert tensors.folder(tmp_path) == {"x": Tensor("BF16", (3, 4))}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x10\x00\x00\x00\x00\x00\x00\x00{}",
        b"\xff" * 20,
        b"\x02\x00\x00\x00\x00\x00\x00\x00[]",
        (15).to_bytes(8, "little") + b'{"x": {"a": 1}}',
        (38).to_bytes(8, "little") + b'{"x": {"dtype": "NEW9", "shape": [1]}}',
        (38).to_bytes(8, "little") + b'{"x": {"dtype": "BF16", "shape":[-1]}}',
    ],
)
def test_a_broken_file_is_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.safetensors"
    file.write_bytes(content)
    with pytest.raises(ModelUnavailable) as caught:
        tensors.read(file)
    assert "a.safetensors" in caught.value.what


def test_what_is_on_disk_is_what_is_held() -> None:
    found = header(SMALL)
    assert held(SMALL, found) == sizes(found)


def test_headers_and_estimate_agree() -> None:
    read = architecture.parse(SMALL)
    assert held(SMALL, header(SMALL)) == pytest.approx(weights.estimate(read).total, rel=0.01)


def test_a_tied_head_is_held_once() -> None:
    found = header(SMALL)
    tied = SMALL | {"tie_word_embeddings": True}
    assert held(tied, found) == sizes(found) - found["lm_head.weight"].size


def test_float32_is_cast() -> None:
    found = header(SMALL | {"torch_dtype": "float32"}, "F32")
    assert held(SMALL | {"torch_dtype": "float32"}, found) == sizes(found) // 2
    assert held(SMALL, found, dtype="float32") == sizes(found)


def test_layers_for_guessing_ahead_are_not_loaded() -> None:
    found = header(SMALL)
    spare = {"model.layers.2.mlp.up_proj.weight": Tensor("BF16", (9, 9)),
             "mtp.layers.0.mlp.up_proj.weight": Tensor("BF16", (9, 9)),
             "model.layers.0.self_attn.rotary_emb.inv_freq": Tensor("F32", (8,))}  # fmt: skip
    assert held(SMALL, found | spare) == sizes(found)


def test_scales_and_packed_weights_stay_as_they_are() -> None:
    found = header(SMALL)
    packed = {"model.layers.0.mlp.up_proj.qweight": Tensor("I32", (64, 16)),
              "model.layers.0.mlp.up_proj.qzeros": Tensor("I32", (1, 16)),
              "model.layers.0.mlp.up_proj.weight_scale_inv": Tensor("F32", (1, 1))}  # fmt: skip
    config = SMALL | {"quantization_config": AWQ}
    assert held(config, found | packed) == sizes(found) + sizes(packed)


def test_weights_can_be_quantized_at_the_start() -> None:
    found = header(SMALL)
    linear = sum(one.size for name, one in found.items()
                 if "layers" in name and len(one.shape) == 2)  # fmt: skip
    reached = held(SMALL, found, online="fp8")
    assert reached == pytest.approx(sizes(found) - linear / 2, rel=0.001)


def test_a_quantized_model_is_not_quantized_again() -> None:
    config = SMALL | {"quantization_config": AWQ}
    assert held(config, header(SMALL), online="fp8") == sizes(header(SMALL))


def test_types_on_disk_are_told() -> None:
    read = architecture.parse(SMALL)
    found = header(SMALL) | {"x.qweight": Tensor("I32", (2, 2))}
    model = tensors.model("m", read, found, source="test")
    assert model.by_dtype["I32"] == 16
    assert model.exact
    assert not tensors.estimated("m", read, source="test").exact


@pytest.mark.parametrize(
    ("tensor", "pipeline", "share"), [(1, 1, 1.0), (2, 1, 0.5), (4, 1, 0.25), (1, 2, 0.5)]
)
def test_cards_share_weights(tensor: int, pipeline: int, share: float) -> None:
    whole = weights.estimate(architecture.parse(LLAMA_8B))
    part = weights.on_card(whole, 32, tensor, pipeline)
    assert part == pytest.approx(whole.total * share, rel=0.01)


@pytest.mark.parametrize(
    ("skipped", "left"),
    [
        ([], 0.0),
        (["lm_head"], 0.0),
        (["self_attn"], 1.0),
        (["re:.*self_attn.*"], 1.0),
        (["model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.k_proj"], 0.25),
        (["model.language_model.layers.1.self_attn"], 0.5),
        (["re:("], 0.0),
    ],
)
def test_modules_left_alone_keep_their_size(skipped: list[str], left: float) -> None:
    said = {"quant_method": "gptq", "bits": 4, "modules_to_not_convert": skipped}
    plain = architecture.parse(SMALL)
    read = architecture.parse(SMALL | {"quantization_config": said})
    packed = architecture.parse(
        SMALL | {"quantization_config": said | {"modules_to_not_convert": []}}
    )
    gained = weights.estimate(read).layers - weights.estimate(packed).layers
    whole = plain.parameters.attention * (2 - weights.per_weight(read.quantization))
    assert gained == pytest.approx(left * whole, abs=2)


def header_of(**dtypes: str) -> dict[str, tensors.Tensor]:
    return {
        name.replace("__", "."): tensors.Tensor(dtype, (8, 8)) for name, dtype in dtypes.items()
    }


def test_float8_weights_count_whatever_the_words_say() -> None:
    read = architecture.parse(LLAMA_8B)
    found = tensors.settled(read, header_of(model__layers__0__mlp__up_proj__weight="F8_E4M3"))
    assert found.quantization.formats == ("fp8",)
    assert tensors.UNDESCRIBED in found.unknown
    awq = architecture.parse(LLAMA_8B | {"quantization_config": AWQ})
    mixed = tensors.settled(awq, header_of(model__layers__0__mlp__up_proj__weight="F8_E5M2"))
    assert mixed.quantization.formats == ("int4", "fp8")
    assert mixed.unknown == ()


def test_float8_scales_are_no_float8_weights() -> None:
    nvfp4 = {"quant_method": "modelopt", "quant_algo": "NVFP4"}
    read = architecture.parse(LLAMA_8B | {"quantization_config": nvfp4})
    header = header_of(model__layers__0__mlp__up_proj__weight="U8",
                       model__layers__0__mlp__up_proj__weight_scale="F8_E4M3")  # fmt: skip
    assert tensors.settled(read, header).quantization.formats == ("nvfp4",)


@pytest.mark.parametrize(
    ("word", "stored", "dtype"),
    [
        (None, "F16", "float16"),
        (None, "BF16", "bfloat16"),
        (None, "F32", "bfloat16"),
        ("float8_e4m3fn", "F16", "float16"),  # no type to compute in
        ("bfloat16", "F16", "bfloat16"),  # vLLM takes the word
    ],
)
def test_without_a_word_the_weights_say_the_type(word: str | None, stored: str, dtype: str) -> None:
    read = architecture.parse(LLAMA_8B | {"torch_dtype": word})
    assert tensors.settled(read, header_of(model__embed_tokens__weight=stored)).dtype == dtype


def test_packed_weights_without_a_word_are_a_condition() -> None:
    # Old GPTQ repos keep it in quantize_config.json: vLLM reads that only with QUANTIZATION.
    read = architecture.parse(LLAMA_8B)
    found = tensors.settled(read, header_of(model__layers__0__mlp__up_proj__qweight="I32"))
    assert tensors.PACKED in found.unknown
    known = architecture.parse(LLAMA_8B | {"quantization_config": AWQ})
    assert tensors.settled(known, header_of(a__qweight="I32")).unknown == ()
