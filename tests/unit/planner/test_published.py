"""Published config files with names and defaults of their own, read as their classes do."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lifecycle.errors import ModelUnavailable, UnknownKind
from lifecycle.host import GIB
from lifecycle.model import Layer
from lifecycle.models import tensors
from lifecycle.planner import architecture, fit
from lifecycle.planner.fit import Card, Wanted
from tests.unit.planner.configs import DEEPSEEK_LITE, LLAMA_8B

ROWS = json.loads((Path(__file__).parent / "published.json").read_text())["models"]
BY_NAME = {row["name"]: row["config"] for row in ROWS}
RTX_4090 = Card("cuda", 24 * GIB, int(23.5 * GIB), "8.9", "RTX 4090")


def plan(config: dict[str, Any], card: Card = RTX_4090, **wanted: Any) -> fit.Plan:
    read = architecture.parse(config)
    model = tensors.estimated("m", read, source="config.json")
    return fit.plan(model, card, Wanted(**({"version": "0.32.0"} | wanted)))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_a_published_model_is_read(row: dict[str, Any]) -> None:
    read = architecture.parse(row["config"])
    kept = Counter(f"{one.kind} {one.kv_heads}x{one.head_dim}" for one in read.layers)
    assert kept == row["layers"]
    assert read.longest == row["longest"]
    if "billions" in row:
        assert read.parameters.total / 1e9 == pytest.approx(row["billions"], rel=0.02)


def test_minicpm3_keeps_full_heads() -> None:
    # Field case F04: 952,320 bytes a token, 27 times what its latent vector would take.
    found = plan(BY_NAME["minicpm3-4b"])
    assert found.token_bytes == 952_320
    assert 11_000 < found.longest < 15_000
    assert found.verdict == fit.FITS_WITH
    assert found.exact


@pytest.mark.parametrize("family", ["youtu_llm", "mistral4", "invented"])
def test_latent_attention_nobody_knows_is_never_sure(family: str) -> None:
    found = plan(DEEPSEEK_LITE | {"model_type": family, "quantization_config": None}, length=1024,
                 card=Card("cuda", 80 * GIB, 79 * GIB, "9.0"))  # fmt: skip
    assert found.verdict == fit.FITS_IF
    assert not found.fits
    assert not found.exact
    assert any("latent attention" in one and family in one for one in found.conditions)
    assert found.token_bytes == 27 * 16 * (192 + 192) * 2


@pytest.mark.parametrize("family", ["deepseek_v3", "glm4_moe_lite", "kimi_k2", "sarvam_mla"])
def test_the_families_of_vllm_s_registry_keep_one_vector(family: str) -> None:
    read = architecture.parse(DEEPSEEK_LITE | {"model_type": family})
    assert set(read.layers) == {Layer("latent", kv_heads=1, head_dim=576)}
    assert read.unknown == ()


def test_a_null_rank_is_no_latent_attention() -> None:
    # DeepSeek-VL2-tiny and DeepSeek-OCR say so; their class assumes 512 for what is left out.
    read = architecture.parse(BY_NAME["deepseek-ocr"])
    assert {one.kind for one in read.layers} == {"full"}
    assert any("sees" in one for one in read.unsure)


def test_glm_4_reaches_what_vllm_reached() -> None:
    # Field case F05: xorbitsai/inference#2440, 53,376 tokens on a 4090.
    card = Card("cuda", 24564 * 1024**2, 23012 * 1024**2, "8.9", "RTX 4090")
    found = plan(BY_NAME["glm-4-9b"], card, utilization=0.9)
    assert found.longest == pytest.approx(53_376, rel=0.05)


def test_a_family_nobody_knows_is_planned_with_a_condition() -> None:
    found = plan(LLAMA_8B | {"model_type": "brand_new"}, length=4096)
    assert found.verdict == fit.FITS_IF
    assert any("brand_new is a kind we do not know" in one for one in found.conditions)


def test_a_class_that_vllm_has_is_no_unknown_family() -> None:
    # internlm2 and exaone keep their config's class in their repo.
    known = LLAMA_8B | {"model_type": "internlm2", "architectures": ["InternLM2ForCausalLM"]}
    assert architecture.parse(known).unknown == ()


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "vocab_size"])
def test_a_name_we_do_not_know_is_no_broken_file(key: str) -> None:
    config = {k: v for k, v in LLAMA_8B.items() if k != key} | {"model_type": "brand_new"}
    with pytest.raises(UnknownKind) as caught:
        architecture.parse(config)
    assert key in caught.value.why
    assert "inv up starts it" in caught.value.fix
    assert "Fetch it anew" not in caught.value.fix


def test_a_broken_number_is_still_a_broken_file() -> None:
    with pytest.raises(ModelUnavailable) as caught:
        architecture.parse(LLAMA_8B | {"num_hidden_layers": "many"})
    assert not isinstance(caught.value, UnknownKind)
    assert "Fetch it anew" in caught.value.fix


def test_a_length_nobody_names_is_said() -> None:
    unnamed = {k: v for k, v in LLAMA_8B.items() if k != "max_position_embeddings"}
    found = plan(unnamed | {"model_type": "internlm2", "architectures": ["InternLM2ForCausalLM"]})
    assert found.derived == 0
    assert any("name no length" in one for one in found.notes)


def test_longrope_takes_more_when_asked() -> None:
    read = architecture.parse(BY_NAME["phi4-mm"])
    assert (read.longest, read.furthest) == (4096, 131_072)
    old = BY_NAME["phi4-mm"] | {"rope_scaling": {"type": "su"}}
    assert architecture.parse(old).longest == 4096
    assert not any("refuses more" in one for one in plan(BY_NAME["phi4-mm"], length=32_768).notes)


def test_null_means_none_and_not_the_class_s_value() -> None:
    mistral = {k: v for k, v in LLAMA_8B.items() if k != "rope_scaling"} | {"model_type": "mistral"}
    assert architecture.parse(mistral).layers[0].window == 4096
    assert architecture.parse(mistral | {"sliding_window": None}).layers[0].kind == "full"


def test_a_whole_s_length_is_not_its_language_part_s() -> None:
    # Isaac's max_sequence_length is of the whole; vLLM asks the language part alone.
    text = {k: v for k, v in LLAMA_8B.items() if k != "rope_scaling"}
    seeing = {"model_type": "llava", "max_sequence_length": 512, "text_config": text}
    assert architecture.parse(seeing).longest == 131_072
    unnamed = {k: v for k, v in text.items() if k != "max_position_embeddings"}
    other = seeing | {"text_config": unnamed | {"model_type": "brand_new"}}
    assert architecture.parse(other).longest == 512


def test_a_part_that_does_not_say_what_it_is_is_what_its_whole_assumes() -> None:
    text = {k: v for k, v in LLAMA_8B.items() if k != "model_type"}
    read = architecture.parse({"model_type": "llava", "text_config": text})
    assert read.family == "llama"
    assert architecture.parse({"model_type": "llava"}).hidden == 4096  # all of it is assumed


def test_auto_is_no_number() -> None:
    mamba = {"model_type": "mamba", "time_step_rank": "auto", "num_hidden_layers": 4}
    assert {one.kind for one in architecture.parse(mamba).layers} == {"state"}


def test_layers_that_differ_keep_heads_of_their_own() -> None:
    read = architecture.parse(BY_NAME["nemotron-super-49b"])
    assert [one.kind for one in read.layers] == ["full", "none", "full"]
    assert read.intermediate == 28_672  # 5.25 x 8192 x 2 / 3, to the next 256
