"""Where a model is: packaged, a folder, a repo in a cache, or nowhere."""

import os
from pathlib import Path

import pytest

from lifecycle import tables
from lifecycle.facts import weights
from lifecycle.host import Weights
from lifecycle.models import cache
from tests.unit.given import Checkout, backend
from tests.unit.models.folder import make, seal, weights_of

REPO = "Qwen/Qwen3-8B"
PACKAGED = "smollm2-135m-instruct"
MADE_FROM = tables.serving.packaged_models()[PACKAGED].made_from


def look(checkout: Checkout, model: str) -> Weights:
    return weights.look(backend(MODEL=model), checkout.paths)


def cached(hub: Path, *, finished: bool = True) -> Path:
    repo = hub / "models--Qwen--Qwen3-8B"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("abc123\n")
    make(repo / "blobs")
    snapshot = repo / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        source = name if finished or name == "config.json" else "unfinished"
        (snapshot / name).symlink_to(f"../../blobs/{source}")
    return repo


def test_a_packaged_model_is_a_folder_of_its_name_with_a_manifest(checkout: Checkout) -> None:
    place = seal(make(checkout.paths.models / PACKAGED), MADE_FROM)
    found = look(checkout, PACKAGED)
    assert (found.path, found.root, found.problem) == (place, place, "")
    assert found.size > 0


def test_a_packaged_model_that_is_not_there_is_a_problem_with_a_place(checkout: Checkout) -> None:
    found = look(checkout, PACKAGED)
    assert (found.path, found.size) == (checkout.paths.models / PACKAGED, 0)
    assert "does not exist" in found.problem


def test_a_packaged_model_that_was_changed_is_a_problem(checkout: Checkout) -> None:
    place = seal(make(checkout.paths.models / PACKAGED), MADE_FROM)
    (place / "model.safetensors").write_bytes(weights_of("another"))
    assert "sha256 differs" in look(checkout, PACKAGED).problem


def test_a_packaged_model_of_another_version_is_a_problem(checkout: Checkout) -> None:
    seal(make(checkout.paths.models / PACKAGED), "another")
    assert "made from another package" in look(checkout, PACKAGED).problem


def test_when_a_model_was_written_is_told(checkout: Checkout) -> None:
    place = make(checkout.root / "mine")
    os.utime(place / "config.json", (0, 86_400))
    assert look(checkout, "./mine").written.startswith("1970-01-0")


def test_a_local_folder_may_be_absolute_or_beside_the_env_files(checkout: Checkout) -> None:
    place = make(checkout.root / "mine")
    for model in (str(place), "./mine"):
        found = look(checkout, model)
        assert (found.path, found.root, found.problem) == (place, place, "")


def test_a_local_folder_may_be_in_the_home_folder(checkout: Checkout) -> None:
    place = make(Path("~/mine").expanduser())
    assert look(checkout, "~/mine").path == place


@pytest.mark.parametrize("name", ["mine", "org/mine"])
def test_a_local_folder_may_be_in_the_models_folder(checkout: Checkout, name: str) -> None:
    place = make(checkout.paths.models / name)
    assert look(checkout, name).path == place


def test_a_local_folder_that_is_not_there_is_told(checkout: Checkout) -> None:
    assert "/absent does not exist" in look(checkout, "/absent").problem


def test_a_repo_is_found_in_the_cache_of_hf_home(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    repo = cached(tmp_path / "hf" / "hub")
    found = look(checkout, REPO)
    assert (found.path, found.root) == (repo / "snapshots" / "abc123", repo)
    assert (found.problem, found.size) == ("", 2 + len(weights_of("model.safetensors")))


def test_our_own_cache_comes_first(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(checkout.root / "theirs"))
    cached(checkout.root / "theirs")
    ours = cached(checkout.paths.models / "hub")
    assert look(checkout, REPO).root == ours


def test_a_repo_whose_download_was_not_finished_is_a_problem(checkout: Checkout) -> None:
    cached(checkout.paths.models / "hub", finished=False)
    assert "link to nothing" in look(checkout, REPO).problem


def test_a_repo_in_no_cache_names_where_it_was_looked_for(checkout: Checkout) -> None:
    found = look(checkout, REPO)
    assert found.path is None
    for one in cache.caches(checkout.paths):
        assert str(one) in found.problem


def test_a_misspelled_name_names_the_nearest_one(checkout: Checkout) -> None:
    problem = look(checkout, "smollm2-135m-instruc").problem
    assert problem.endswith(f"Did you mean {PACKAGED}?")


def test_a_name_like_no_other_is_told_as_it_is(checkout: Checkout) -> None:
    assert look(checkout, "zzz").problem == "there is no folder and no known model called zzz."


def test_why_a_kind_cannot_be_read_is_kept(checkout: Checkout) -> None:
    place = make(checkout.root / "strange")
    (place / "config.json").write_text('{"model_type": "strange", "width": 8}')
    found = look(checkout, str(place))
    assert (found.problem, found.model) == ("", None)
    assert "no hidden_size" in found.unread


def test_mistral_s_own_format_is_found_by_its_name(checkout: Checkout) -> None:
    place = make(checkout.paths.models / "own")
    (place / "config.json").rename(place / "params.json")
    assert look(checkout, "own").path == place
