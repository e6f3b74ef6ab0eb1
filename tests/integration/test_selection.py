"""vLLM's own loader opens exactly the weights we select, out of the folder we would make."""

import json
import subprocess
from pathlib import Path

import pytest

from lifecycle.hub.repo import File
from lifecycle.models import selection

ASK = """\
import json, sys
from pathlib import Path
from vllm.config.load import LoadConfig
from vllm.model_executor.model_loader.default_loader import DefaultModelLoader
from vllm.transformers_utils.repo_utils import is_mistral_model_repo

def opened(folder):
    loader = DefaultModelLoader(LoadConfig())
    _, files, safe, _ = loader._prepare_weights(folder, None, None, True, None)
    mistral = is_mistral_model_repo(folder) and (Path(folder) / "params.json").is_file()
    return {"files": sorted(Path(one).name for one in files), "mistral": mistral}

print("ANSWER" + json.dumps([opened(folder) for folder in json.load(sys.stdin)]))
"""
HF = ("config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json")
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
INDEX = "model.safetensors.index.json"
REPOS = {
    "plain": (*HF, "model.safetensors", "pytorch_model.bin", "README.md", "model.gguf"),
    "llama": (*HF, INDEX, *SHARDS, "original/consolidated.00.pth", "original/params.json"),
    "llama, newer": (*HF, INDEX, *SHARDS, "original/consolidated.00.safetensors"),
    "mistral, both": (
        *HF,
        INDEX,
        *SHARDS,
        "consolidated.safetensors",
        "params.json",
        "tekken.json",
    ),
    "mistral, its own": ("config.json", "consolidated.safetensors", "params.json", "tekken.json"),
    "more than the index": (*HF, INDEX, *SHARDS, "model.fp32.safetensors"),
    "with an adapter": (*HF, "model.safetensors", "adapter_model.safetensors"),
    "bin": (*HF, "pytorch_model-1.bin", "pytorch_model-2.bin", "training_args.bin"),
    "pt": (*HF, "model.pt", "optimizer.pt"),
}


def contents(path: str) -> str:
    mapped = {"a": SHARDS[0], "b": SHARDS[1]}
    return json.dumps({"weight_map": mapped}) if path == INDEX else "{}"


def seeded(folder: Path, paths: tuple[str, ...]) -> selection.Selection:
    """The folder as seeding would leave it."""
    chosen = selection.select(
        "org/model", [File(path, 2, "") for path in paths], json.loads(contents(INDEX))
    )
    folder.mkdir()
    for file in chosen.files:
        (folder / file.path).write_text(contents(file.path))
    return chosen


@pytest.fixture(scope="module")
def python(engine: Path) -> Path:
    """The Python of a complete engine."""
    return engine / "bin" / "python"


def test_vllm_opens_what_was_selected(python: Path, tmp_path: Path) -> None:
    chosen = {name: seeded(tmp_path / name, paths) for name, paths in REPOS.items()}
    done = subprocess.run(
        [str(python), "-c", ASK], input=json.dumps([str(tmp_path / name) for name in REPOS]),
        env={"HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert "ANSWER" in done.stdout, done.stderr[-3000:]
    answers = json.loads(done.stdout.rpartition("ANSWER")[2])
    opened = {name: tuple(answer["files"]) for name, answer in zip(REPOS, answers, strict=True)}
    assert opened == {name: one.weights for name, one in chosen.items()}
    mistral = [name for name, answer in zip(REPOS, answers, strict=True) if answer["mistral"]]
    assert mistral == [name for name, one in chosen.items() if one.format == "mistral"]
