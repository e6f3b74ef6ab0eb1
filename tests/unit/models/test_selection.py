"""What is fetched is what vLLM loads, and what it cannot load is told apart."""

import pytest

from lifecycle.errors import ModelUnavailable
from lifecycle.hub.repo import File
from lifecycle.models.selection import Selection, index_in, select

TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
HF = ("config.json", "generation_config.json", *TOKENIZER)
INDEX = "model.safetensors.index.json"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
MISTRAL = ("params.json", "tekken.json", "consolidated.safetensors")


def files(*paths: str) -> list[File]:
    return [File(path, 10, "git:0") for path in paths]


def chosen(*paths: str, index: object = None) -> Selection:
    named = {"weight_map": index} if isinstance(index, dict) else None
    return select("org/model", files(*paths), named)


def paths(selection: Selection) -> set[str]:
    return {file.path for file in selection.files}


def refused(*names: str, index: object = None) -> ModelUnavailable:
    with pytest.raises(ModelUnavailable) as caught:
        select("org/model", files(*names), index)  # type: ignore[arg-type]
    assert caught.value.fix
    return caught.value


def test_one_file_of_weights_with_all_that_is_small() -> None:
    found = chosen(*HF, "model.safetensors", "chat_template.jinja", "preprocessor_config.json")
    assert found.format == "safetensors"
    assert found.weights == ("model.safetensors",)
    assert not found.left_out
    assert found.size == 70


@pytest.mark.parametrize(
    "path",
    [
        "tekken.json", "tokenizer.model", "tokenizer.model.v3", "vocab.json", "merges.txt",
        "vocab.txt", "qwen.tiktoken", "spiece.model", "chat_template.json", "chat_template.jinja",
        "special_tokens_map.json", "added_tokens.json", "processor_config.json",
        "video_preprocessor_config.json", "quantize_config.json", "hf_quant_config.json",
        "modeling_thing.py", "additional_chat_templates/tools.jinja", "1_Pooling/config.json",
        "modules.json", "sparse_attention_config.json",
    ],
)  # fmt: skip
def test_a_start_may_need_it(path: str) -> None:
    assert path in paths(chosen(*HF, "model.safetensors", path))


@pytest.mark.parametrize(
    "path",
    [
        "original/consolidated.00.pth", "original/params.json", "original/tokenizer.model",
        "pytorch_model.bin", "pytorch_model.bin.index.json", "model.gguf", "tf_model.h5",
        "flax_model.msgpack", "onnx/model.onnx", "onnx/config.json", "openvino_model.bin",
        "coreml/x.mlpackage/weights.bin", "weights.npz", "training_args.bin", "optimizer.pt",
        "README.md", "LICENSE", "LICENSE.txt", "USE_POLICY.md", ".gitattributes", "picture.png",
        "trainer_state.json", "eval_results.json", "adapter_model.safetensors", "params.json",
        "consolidated.safetensors", "consolidated.safetensors.index.json", "requirements.txt",
        "metal/model.safetensors",
    ],
)  # fmt: skip
def test_vllm_never_opens_it(path: str) -> None:
    found = chosen(*HF, "model.safetensors", path)
    assert path not in paths(found)
    assert [file.path for file in found.left_out] == [path]
    assert found.weights == ("model.safetensors",)


def test_an_index_decides_which_weights() -> None:
    known = (*HF, INDEX, *SHARDS, "model.fp32.safetensors")
    assert index_in(files(*known)) == INDEX
    found = chosen(*known, index={"a": SHARDS[0], "b": SHARDS[1], "c": SHARDS[1]})
    assert found.weights == SHARDS
    assert INDEX in paths(found)


def test_without_an_index_all_weights_of_the_root_are_loaded() -> None:
    known = (*HF, *SHARDS, "draft/model.safetensors")
    assert index_in(files(*known)) == ""
    assert chosen(*known).weights == SHARDS


def test_the_format_of_all_tools_comes_before_mistrals_own() -> None:
    found = chosen(*HF, *MISTRAL, "model.safetensors")
    # One consolidated file would make vLLM read that format, params.json its config.
    assert {"params.json", "consolidated.safetensors"} & paths(found) == set()
    assert found.format == "safetensors"


def test_mistrals_own_format_when_there_is_no_other() -> None:
    known = ("config.json", *MISTRAL, "consolidated.safetensors.index.json")
    assert index_in(files(*known)) == "consolidated.safetensors.index.json"
    found = chosen(*known, index={"a": "consolidated.safetensors"})
    assert found.format == "mistral"
    assert found.weights == ("consolidated.safetensors",)
    assert {"params.json", "tekken.json"} <= paths(found)
    assert chosen(*MISTRAL).format == "mistral"


def test_older_formats_are_taken_in_vllms_order() -> None:
    assert chosen(*HF, "pytorch_model.bin", "model.pt").weights == ("pytorch_model.bin",)
    assert chosen(*HF, "model.pt", "scheduler.pt").weights == ("model.pt",)
    sharded = chosen(*HF, "pytorch_model-1.bin", "pytorch_model.bin.index.json")
    assert sharded.format == "bin"
    assert index_in(files(*HF, "pytorch_model-1.bin", "pytorch_model.bin.index.json")) == ""


def test_code_is_told() -> None:
    assert chosen(*HF, "model.safetensors", "modeling_x.py").code == ("modeling_x.py",)


def test_small_files_come_first() -> None:
    known = [File("model.safetensors", 999, ""), File("config.json", 5, "")]
    assert [file.path for file in select("o/m", known).files] == [
        "config.json", "model.safetensors",
    ]  # fmt: skip


def test_an_adapter_is_no_model() -> None:
    found = refused("adapter_config.json", "adapter_model.safetensors", *TOKENIZER, "README.md")
    assert "adapter" in found.what
    assert "--enable-lora" in found.fix


def test_an_adapter_beside_a_config_is_no_model_either() -> None:
    assert "adapter" in refused("config.json", "adapter_config.json", "adapter_model.bin").what


def test_gguf_alone_is_another_engines() -> None:
    found = refused("config.json", "model-Q4_K_M.gguf", "README.md")
    assert "GGUF only" in found.what
    assert "safetensors" in found.why


def test_weights_of_other_engines_are_named() -> None:
    assert "ONNX, TensorFlow" in refused("config.json", "tf_model.h5", "onnx/model.onnx").why


def test_no_weights_at_all() -> None:
    assert "no weights" in refused("config.json", "README.md").what


def test_weights_without_a_config() -> None:
    assert "no config.json" in refused("model.safetensors").what


def test_a_pipeline_of_models() -> None:
    assert "diffusers" in refused("model_index.json", "unet/model.safetensors").what


def test_an_index_that_names_missing_files() -> None:
    found = refused(*HF, INDEX, SHARDS[0], index={"weight_map": {"a": SHARDS[0], "b": SHARDS[1]}})
    assert found.what == f"org/model is missing 1 of its 2 weight files, e.g. {SHARDS[1]}"


@pytest.mark.parametrize("index", [{}, {"weight_map": {}}, {"weight_map": ["a"]}])
def test_a_broken_index(index: object) -> None:
    assert INDEX in refused(*HF, INDEX, *SHARDS, index=index).what
