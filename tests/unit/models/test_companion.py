"""Adapters, draft models and tokenizers of EXTRA_ARGS: where they are, and what they lack."""

import json
from pathlib import Path

import pytest

from lifecycle.arguments import Place
from lifecycle.errors import ModelUnavailable
from lifecycle.hub.repo import File
from lifecycle.models import companion, selection
from lifecycle.models.figures import PLAIN
from lifecycle.paths import Paths
from tests.unit.models.cache import COMMIT, link

SAFE = "adapter_model.safetensors"
ADAPTER = json.dumps({"r": 8, "rank_pattern": {"q_proj": 32}}).encode()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path, tmp_path / "home", tmp_path / "models")


def of_hub(paths: Paths, *files: str) -> Path:
    repo = paths.models / "hub" / "models--org--lora"
    for name in files:
        link(repo, name, ADAPTER if name == "adapter_config.json" else b"x")
    return repo


def test_an_adapter_of_the_hub_is_found_with_its_rank_and_what_to_mount(paths: Paths) -> None:
    repo = of_hub(paths, "adapter_config.json", "adapter_model.safetensors")
    found = companion.look(Place("--lora-modules", "org/lora", "adapter"), paths, PLAIN)
    assert (found.problem, found.rank) == ("", 32)
    assert (found.path, found.root) == (repo / "snapshots" / COMMIT, repo)


@pytest.mark.parametrize(
    ("files", "lacks"),
    [
        ((), "is in no Hugging Face cache"),
        (("adapter_config.json",), "has no weights"),
        (("model.safetensors",), "is no LoRA adapter"),
    ],
)
def test_what_an_adapter_lacks(paths: Paths, files: tuple[str, ...], lacks: str) -> None:
    of_hub(paths, *files)
    place = Place("--lora-modules", "org/lora", "adapter")
    assert lacks in companion.look(place, paths, PLAIN).problem


def test_of_a_snapshot_by_its_path_the_whole_repo_is_mounted(paths: Paths) -> None:
    repo = of_hub(paths, "adapter_config.json", "adapter_model.safetensors")
    place = Place("--lora-modules", str(repo / "snapshots" / COMMIT), "adapter")
    assert companion.look(place, paths, PLAIN).root == repo
    assert companion.source_of(place) is None


def test_a_model_that_is_an_adapter_guesses_nothing(paths: Paths) -> None:
    of_hub(paths, "adapter_config.json", "adapter_model.safetensors")
    found = companion.look(Place("--spec-model", "org/lora", "model"), paths, PLAIN)
    assert "is a LoRA adapter" in found.problem


def test_a_word_that_names_nothing_is_told_with_its_flag(paths: Paths) -> None:
    found = companion.look(Place("--tokenizer", "nothing", "tokenizer"), paths, PLAIN)
    assert found.problem == "--tokenizer: there is no folder and no repo called nothing"


def test_a_revision_is_asked_for() -> None:
    source = companion.source_of(Place("--spec-model", "o/n", "model", "v1"))
    assert source is not None
    assert (source.repo, source.revision) == ("o/n", "v1")


def files(*names: str) -> list[File]:
    return [File(name, 1, "d") for name in names]


def test_of_an_adapter_two_files_are_fetched() -> None:
    chosen = selection.adapter(
        "o/n",
        files("adapter_config.json", "adapter_model.bin", SAFE, "a.md"),
    )
    assert [one.path for one in chosen.files] == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert chosen.format == "safetensors"


def test_what_is_no_adapter_is_not_fetched_as_one() -> None:
    for names in (("config.json", "model.safetensors"), ("adapter_config.json",)):
        with pytest.raises(ModelUnavailable, match="no LoRA adapter"):
            selection.adapter("o/n", files(*names))
