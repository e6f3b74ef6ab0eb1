"""Where the planner's figures of a model come from; the hub is asked once."""

import json
from pathlib import Path
from typing import Any

import pytest

from lifecycle.errors import ModelUnavailable
from lifecycle.hub.repo import File, Repo
from lifecycle.models import figures
from lifecycle.models.figures import Loaded
from lifecycle.paths import Paths

REPO, COMMIT = "acme/tiny", "c" * 40
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8,
    "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
    "intermediate_size": 16, "vocab_size": 32, "max_position_embeddings": 64,
    "torch_dtype": "bfloat16", "tie_word_embeddings": True,
}  # fmt: skip
HEADER = {
    "__metadata__": {"format": "pt"},
    "model.embed_tokens.weight": {"dtype": "BF16", "shape": [32, 8], "data_offsets": [0, 512]},
    "model.layers.0.self_attn.q_proj.weight": {
        "dtype": "F32", "shape": [8, 8], "data_offsets": [512, 768],
    },
}  # fmt: skip
WEIGHTS = 32 * 8 * 2 + 8 * 8 * 2
"""Bytes as vLLM holds them: what is float32 on disk is cast."""


class Hub:
    """Answers from memory, and notes what it was asked."""

    def __init__(self, *paths: str, gated: str = "") -> None:
        files = tuple(File(path, 10, f"git:{'1' * 40}") for path in paths)
        self.repo = Repo(REPO, COMMIT, gated, files)
        self.asked: list[str] = []

    def url(self, repo: str, sha: str, path: str) -> str:
        return f"https://hub/{repo}/{sha}/{path}"

    def info(self, repo: str, revision: str, *_: object) -> Repo:
        self.asked.append(f"info {repo} {revision}")
        return self.repo

    def access(self, repo: str) -> None:
        self.asked.append(f"access {repo}")

    def config(self, _: str, sha: str, path: str) -> dict[str, Any]:
        assert sha == COMMIT
        self.asked.append(path)
        if path.endswith(".index.json"):
            return {"weight_map": {"a": "model-2.safetensors"}}
        return CONFIG

    def headers(self, _: str, __: str, paths: list[str]) -> dict[str, dict[str, Any]]:
        self.asked.append(f"headers of {', '.join(paths)}")
        return dict.fromkeys(paths, HEADER)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(root=tmp_path, home=tmp_path / "home", models=tmp_path / "models")


def learn(hub: Hub, paths: Paths, revision: str = "main") -> None:
    figures.learn(hub, paths, REPO, revision)  # type: ignore[arg-type]


def test_what_the_hub_told_is_kept_for_its_revision(paths: Paths) -> None:
    assert figures.of_hub(paths, REPO, "main", Loaded()) is None
    learn(Hub("config.json", "model.safetensors"), paths)
    found = figures.of_hub(paths, REPO, "main", Loaded())
    assert found
    assert (found.name, found.source) == (REPO, figures.ON_HUB)
    assert found.weights == WEIGHTS
    assert figures.asked(paths, REPO, "main")
    assert not figures.asked(paths, REPO, "v2")
    assert figures.of_hub(paths, REPO, "v2", Loaded()) is None


def test_a_branch_with_a_slash_is_a_file_as_well(paths: Paths) -> None:
    learn(Hub("config.json", "model.safetensors"), paths, "refs/pr/1")
    assert figures.asked(paths, REPO, "refs/pr/1")
    (kept,) = (paths.home / "figures").iterdir()
    assert kept.is_file()


def test_only_the_headers_of_what_vllm_loads_are_asked_for(paths: Paths) -> None:
    hub = Hub(
        "config.json", "model-1.safetensors", "model-2.safetensors",
        "model.safetensors.index.json", "pytorch_model.bin",
    )  # fmt: skip
    learn(hub, paths)
    assert hub.asked == [
        f"info {REPO} main", "model.safetensors.index.json", "config.json",
        "headers of model-2.safetensors",
    ]  # fmt: skip


def test_a_gated_repo_is_asked_for_its_files_first(paths: Paths) -> None:
    hub = Hub("config.json", "model.safetensors", gated="auto")
    learn(hub, paths)
    assert hub.asked[1] == f"access {REPO}"


def test_weights_without_headers_are_estimated(paths: Paths) -> None:
    learn(Hub("config.json", "pytorch_model.bin"), paths)
    found = figures.of_hub(paths, REPO, "main", Loaded())
    assert found
    assert found.source == "config.json"


def test_what_vllm_cannot_load_is_not_kept(paths: Paths) -> None:
    with pytest.raises(ModelUnavailable, match="GGUF only"):
        learn(Hub("config.json", "tiny.gguf"), paths)
    assert not figures.asked(paths, REPO, "main")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"config": {}}'])
def test_a_broken_note_is_as_none(paths: Paths, text: str) -> None:
    learn(Hub("config.json", "model.safetensors"), paths)
    (kept,) = (paths.home / "figures").iterdir()
    kept.write_text(text)
    assert figures.of_hub(paths, REPO, "main", Loaded()) is None


def written(folder: Path, config: str) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(config)
    header = json.dumps(HEADER).encode()
    whole = len(header).to_bytes(8, "little") + header + bytes(768)
    (folder / "model.safetensors").write_bytes(whole)
    return folder


def test_a_folder_is_read(tmp_path: Path) -> None:
    folder = written(tmp_path / "model", json.dumps(CONFIG))
    found = figures.of_folder(folder, "mine", Loaded())
    assert (found.name, found.source, found.weights) == ("mine", figures.ON_DISK, WEIGHTS)


def test_a_type_that_was_asked_for_counts(tmp_path: Path) -> None:
    folder = written(tmp_path / "model", json.dumps(CONFIG))
    wide = figures.of_folder(folder, "mine", Loaded(dtype="float32"))
    own = figures.of_folder(folder, "mine", Loaded(dtype="auto"))
    assert (wide.weights, own.weights) == (2 * WEIGHTS, WEIGHTS)


@pytest.mark.parametrize("config", ["{", "[]", "{}"])
def test_a_folder_with_a_broken_config_is_told(tmp_path: Path, config: str) -> None:
    with pytest.raises(ModelUnavailable):
        figures.of_folder(written(tmp_path / "model", config), "mine", Loaded())


def test_the_catalogue_knows_one_revision_of_a_model() -> None:
    found = figures.of_catalogue("qwen3-8b")
    assert found
    assert figures.of_catalogue("Qwen/Qwen3-8B") == found
    assert figures.of_catalogue("qwen3-8b", revision="another") is None
    assert figures.of_catalogue("acme/unknown") is None


PARAMS = {"dim": 64, "n_layers": 2, "head_dim": 16, "hidden_dim": 128, "n_heads": 4,
          "n_kv_heads": 2, "vocab_size": 256, "rope_theta": 1e6}  # fmt: skip
SEES = {"hidden_size": 32, "num_channels": 3, "image_size": 64, "patch_size": 16,
        "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}  # fmt: skip
MISTRAL_HEADER = {
    "tok_embeddings.weight": {"dtype": "BF16", "shape": [256, 64]},
    "output.weight": {"dtype": "BF16", "shape": [256, 64]},
    "layers.0.attention.wq.weight": {"dtype": "BF16", "shape": [64, 64]},
    "vision_encoder.transformer.layers.2.attention.wq.weight": {"dtype": "BF16", "shape": [32, 32]},
}
QUANTIZED = {"producer": {"name": "modelopt"},
             "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}  # fmt: skip
FP8_HEADER = HEADER | {"model.layers.0.mlp.up_proj.weight": {"dtype": "F8_E4M3", "shape": [16, 8]}}


def files(folder: Path, weights: str, header: dict[str, Any], **others: dict[str, Any]) -> Path:
    """A folder of JSON files and one with weights."""
    folder.mkdir()
    for name, content in others.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    text = json.dumps(header).encode()
    (folder / weights).write_bytes(len(text).to_bytes(8, "little") + text)
    return folder


def test_mistral_s_own_format_is_read(tmp_path: Path) -> None:
    # Field case F07: a traceback once.
    place = files(tmp_path / "m", "consolidated.safetensors", MISTRAL_HEADER, params=PARAMS)
    found = figures.of_folder(place, "pixtral", Loaded())
    read = found.architecture
    assert {(one.kind, one.kv_heads, one.head_dim) for one in read.layers} == {("full", 2, 16)}
    assert (len(read.layers), read.vocab, read.hidden) == (2, 256, 64)
    assert read.longest == 128_000  # vLLM's, where the file names none
    assert found.held.embedding == found.held.head == 256 * 64 * 2


def test_what_sees_in_mistral_s_format_counts(tmp_path: Path) -> None:
    seeing = PARAMS | {"vision_encoder": SEES, "max_seq_len": 4096}
    place = files(tmp_path / "m", "consolidated.safetensors", MISTRAL_HEADER, params=seeing)
    found = figures.of_folder(place, "pixtral", Loaded())
    assert found.architecture.vision.depth == 3
    assert found.architecture.longest == 4096
    assert found.held.vision == 32 * 32 * 2


def test_a_broken_params_file_is_told_by_its_name(tmp_path: Path) -> None:
    broken = PARAMS | {"n_layers": "two"}
    place = files(tmp_path / "m", "consolidated.safetensors", MISTRAL_HEADER, params=broken)
    with pytest.raises(ModelUnavailable) as caught:
        figures.of_folder(place, "mine", Loaded())
    assert "params.json" in caught.value.what
    assert "config.json" not in caught.value.what


def test_of_both_formats_vllm_takes_mistral_s(tmp_path: Path) -> None:
    place = files(tmp_path / "m", "consolidated.safetensors", MISTRAL_HEADER,
                  params=PARAMS, config=CONFIG | {"max_position_embeddings": 512})  # fmt: skip
    text = json.dumps(HEADER).encode()
    (place / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    found = figures.of_folder(place, "both", Loaded())
    assert len(found.architecture.layers) == 2
    assert found.architecture.longest == 512  # what is missing comes from config.json
    assert found.held.embedding == 256 * 64 * 2


def test_params_without_mistral_s_weights_are_no_config(tmp_path: Path) -> None:
    place = files(tmp_path / "m", "model.safetensors", HEADER, params=PARAMS)
    with pytest.raises(ModelUnavailable, match=r"no config\.json"):
        figures.of_folder(place, "mine", Loaded())


def test_quantization_that_stands_apart_is_read(tmp_path: Path) -> None:
    # Field case F08: ModelOpt until 0.29.
    place = files(tmp_path / "m", "model.safetensors", FP8_HEADER,
                  config=CONFIG, hf_quant_config=QUANTIZED)  # fmt: skip
    kind = figures.of_folder(place, "mine", Loaded()).architecture.quantization
    assert (kind.method, kind.formats, kind.kv_cache) == ("modelopt", ("fp8",), "fp8")


def test_a_config_s_own_quantization_comes_first(tmp_path: Path) -> None:
    own = CONFIG | {"quantization_config": {"quant_method": "awq", "bits": 4}}
    place = files(
        tmp_path / "m", "model.safetensors", HEADER, config=own, hf_quant_config=QUANTIZED
    )
    kind = figures.of_folder(place, "mine", Loaded()).architecture.quantization
    assert (kind.method, kind.kv_cache) == ("awq", "")


class Quantized(Hub):
    """A hub whose repo keeps its quantization apart, or has Mistral's files."""

    def config(self, _: str, sha: str, path: str) -> dict[str, Any]:
        super().config(_, sha, path)
        apart: dict[str, dict[str, Any]] = {
            "hf_quant_config.json": QUANTIZED,
            "params.json": PARAMS,
        }
        return apart.get(path, CONFIG)


def test_the_hub_is_asked_for_quantization_apart(paths: Paths) -> None:
    learn(Quantized("config.json", "hf_quant_config.json", "model.safetensors"), paths)
    found = figures.of_hub(paths, REPO, "main", Loaded())
    assert found
    assert found.architecture.quantization.kv_cache == "fp8"


def test_the_hub_is_asked_for_mistral_s_params(paths: Paths) -> None:
    hub = Quantized("params.json", "consolidated.safetensors", "tekken.json")
    learn(hub, paths)
    assert "config.json" not in hub.asked
    found = figures.of_hub(paths, REPO, "main", Loaded())
    assert found
    assert len(found.architecture.layers) == 2


def test_notes_that_missed_something_are_asked_for_anew(paths: Paths) -> None:
    learn(Hub("config.json", "model.safetensors"), paths)
    (kept,) = (paths.home / "figures").iterdir()
    old = {key: value for key, value in json.loads(kept.read_text()).items() if key != "form"}
    kept.write_text(json.dumps(old))
    assert not figures.asked(paths, REPO, "main")
    assert figures.of_hub(paths, REPO, "main", Loaded()) is None
