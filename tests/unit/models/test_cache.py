"""Where the cache keeps a repo, and whether it is all there: answered from the disk alone."""

from pathlib import Path

import pytest

from lifecycle.hub.repo import File
from lifecycle.models import cache
from lifecycle.paths import Paths
from tests.unit.models.cache import note
from tests.unit.models.folder import weights_of

SHA = "a" * 40
REPO = "org/model"
FILES = (File("config.json", 2, "git:1"), File("sub/model.safetensors", 7, "sha256:2"))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(root=tmp_path, home=tmp_path, models=tmp_path / "models")


def seeded(hub: Path, *, link: str = "main") -> Path:
    folder = cache.repo_folder(hub, REPO)
    place = folder / "snapshots" / SHA
    (place / "sub").mkdir(parents=True)
    (place / "config.json").write_text("{}")
    (place / "sub" / "model.safetensors").write_text("weights")
    (folder / "refs").mkdir()
    (folder / "refs" / link).write_text(SHA)
    note(folder, place / "config.json", place / "sub" / "model.safetensors")
    return place


def test_nothing_is_found_where_nothing_is(paths: Paths) -> None:
    assert cache.find(paths, REPO) is None


@pytest.mark.parametrize("revision", ["main", SHA])
def test_a_snapshot_is_found_by_branch_and_commit(paths: Paths, revision: str) -> None:
    place = seeded(cache.ours(paths))
    assert cache.find(paths, REPO, revision) == place


@pytest.mark.parametrize("revision", ["v2", "b" * 40])
def test_another_revision_is_not_found(paths: Paths, revision: str) -> None:
    seeded(cache.ours(paths))
    assert cache.find(paths, REPO, revision) is None


def test_a_branch_with_a_slash(paths: Paths) -> None:
    place = seeded(cache.ours(paths))
    ref = place.parent.parent / "refs" / "refs" / "pr" / "1"
    ref.parent.mkdir(parents=True)
    ref.write_text(SHA)
    assert cache.find(paths, REPO, "refs/pr/1") == place


def test_the_users_own_cache_is_found_as_huggingface_hub_does(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "kept"))
    assert cache.caches(paths)[1] == tmp_path / "kept" / "huggingface" / "hub"
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert cache.caches(paths)[1] == tmp_path / "home" / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    assert cache.caches(paths)[1] == tmp_path / "cache"


def test_what_was_sealed_is_complete(paths: Paths) -> None:
    place = seeded(cache.ours(paths))
    assert not cache.sealed(place)
    cache.seal(place, FILES)
    assert cache.sealed(place)
    assert cache.problem(place) == ""


def test_a_file_that_went_away_is_missed(paths: Paths) -> None:
    place = seeded(cache.ours(paths))
    cache.seal(place, FILES)
    (place / "sub" / "model.safetensors").unlink()
    assert not cache.sealed(place)
    assert "is missing 1 of its 2 files, e.g. sub/model.safetensors" in cache.problem(place)


def test_a_file_that_was_cut_off_is_missed(paths: Paths) -> None:
    place = seeded(cache.ours(paths))
    cache.seal(place, FILES)
    (place / "sub" / "model.safetensors").write_text("wei")
    assert "sub/model.safetensors" in cache.problem(place)


def test_somebody_elses_snapshot_is_looked_at_as_a_folder(paths: Paths) -> None:
    place = seeded(cache.ours(paths))
    assert "no weights" in cache.problem(place)
    (place / "model.safetensors").write_bytes(weights_of("model.safetensors"))
    assert cache.problem(place) == ""
    assert not cache.sealed(place)


def test_a_broken_seal_counts_as_none(paths: Paths) -> None:
    place = seeded(cache.ours(paths))
    cache.seal(place, FILES)
    record = next((place.parent.parent / ".seeded").iterdir())
    record.write_text("[1")
    assert not cache.sealed(place)
    assert "no weights" in cache.problem(place)
