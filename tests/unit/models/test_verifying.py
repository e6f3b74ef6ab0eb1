"""Damage is seen: quickly where a file was touched, by its hash where somebody asks."""

import os
from pathlib import Path

import pytest

from lifecycle.files import Files
from lifecycle.models import cache, verifying
from lifecycle.paths import Paths
from tests.unit.models.cache import COMMIT, REPO, link, seal

WEIGHTS, OTHERS = b"weights", b"weirdos"


def nobody(_: Files) -> None:
    pass


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "theirs"))
    return Paths(root=tmp_path, home=tmp_path, models=tmp_path / "models")


def filled(hub: Path) -> tuple[Path, Path]:
    """A sealed snapshot of two files; the blob of its weights beside it."""
    repo = cache.repo_folder(hub, REPO)
    link(repo, "config.json", b"{}")
    blob = link(repo, "model.safetensors", WEIGHTS)
    return repo / "snapshots" / COMMIT, blob


@pytest.fixture
def seeded(paths: Paths) -> tuple[Path, Path]:
    place, blob = filled(cache.ours(paths))
    seal(place.parent.parent)
    return place, blob


def change(blob: Path, *, keep_mtime: bool) -> None:
    """Other bytes of the same size, as a failing disk or a careless hand leaves them."""
    then = blob.stat().st_mtime_ns
    blob.write_bytes(OTHERS)
    os.utime(blob, ns=(then, then if keep_mtime else then + 1))


def settle(paths: Paths) -> Path | None:
    return cache.settled(paths, REPO, "main", nobody)


@pytest.mark.parametrize("keep_mtime", [True, False])
def test_a_change_of_the_same_size_is_seen_without_reading(
    seeded: tuple[Path, Path], *, keep_mtime: bool
) -> None:
    place, blob = seeded
    assert cache.problem(place) == ""
    change(blob, keep_mtime=keep_mtime)
    assert "model.safetensors" in cache.problem(place)
    assert "changed since it was verified" in cache.problem(place)
    assert not cache.sealed(place)


def test_a_blob_that_was_replaced_is_seen(seeded: tuple[Path, Path]) -> None:
    place, blob = seeded
    old = blob.stat()
    other = blob.with_name("other")
    other.write_bytes(OTHERS)
    os.utime(other, ns=(old.st_mtime_ns, old.st_mtime_ns))
    other.replace(blob)
    assert verifying.touched(place, ["config.json", "model.safetensors"]) == ["model.safetensors"]


def test_what_was_only_touched_is_hashed_once_and_nobody_is_asked(
    paths: Paths, seeded: tuple[Path, Path]
) -> None:
    place, blob = seeded
    blob.touch()
    assert settle(paths) == place
    assert cache.problem(place) == ""
    assert settle(paths) is None, "there is nothing to settle any more"


def test_what_differs_stays_a_problem_until_it_was_fetched(
    paths: Paths, seeded: tuple[Path, Path]
) -> None:
    place, blob = seeded
    change(blob, keep_mtime=False)
    assert settle(paths) is None
    assert "model.safetensors" in cache.problem(place)
    assert blob.read_bytes() == OTHERS, "it is set aside when the good one comes"


def test_a_missing_file_is_not_settled_by_hashing(paths: Paths, seeded: tuple[Path, Path]) -> None:
    place, blob = seeded
    blob.unlink()
    assert settle(paths) is None
    assert "is missing 1 of its 2 files" in cache.problem(place)


def test_a_record_of_before_november_counts_by_what_it_has(seeded: tuple[Path, Path]) -> None:
    place, blob = seeded
    record = place.parent.parent / ".verified.json"
    stat = blob.stat()
    record.write_text(
        f'{{"blobs/{blob.name}": [{stat.st_size}, {stat.st_mtime_ns}]}}', encoding="utf-8"
    )
    assert verifying.touched(place, ["model.safetensors"]) == []
    change(blob, keep_mtime=False)
    assert verifying.touched(place, ["model.safetensors"]) == ["model.safetensors"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"blobs/x": 3}', "null", '"x"'])
def test_a_broken_record_is_mended_by_hashing(
    paths: Paths, seeded: tuple[Path, Path], text: str
) -> None:
    place, _ = seeded
    (place.parent.parent / ".verified.json").write_text(text)
    assert not cache.sealed(place)
    assert settle(paths) == place


def test_all_of_it_can_be_hashed_and_a_silent_change_is_found(seeded: tuple[Path, Path]) -> None:
    place, blob = seeded
    both = ["config.json", "model.safetensors"]
    assert verifying.damaged(place, both, nobody, ours=True) == []
    change(blob, keep_mtime=True)
    record = place.parent.parent / ".verified.json"
    stat = blob.stat()
    noted = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    record.write_text(f'{{"blobs/{blob.name}": {noted}}}')
    assert verifying.touched(place, ["model.safetensors"]) == []
    assert verifying.damaged(place, both, nobody, ours=True) == ["model.safetensors"]
    assert verifying.touched(place, both) == ["model.safetensors"], "up must not take it now"


def test_others_caches_can_be_verified_and_nothing_is_written_there(
    paths: Paths, tmp_path: Path
) -> None:
    place, blob = filled(tmp_path / "theirs")
    assert verifying.of_cache(place) == ["config.json", "model.safetensors"]
    change(blob, keep_mtime=True)
    wrong = verifying.damaged(place, verifying.of_cache(place), nobody, ours=False)
    assert wrong == ["model.safetensors"]
    assert not (place.parent.parent / ".verified.json").exists()
    assert cache.find(paths, REPO) == place


def test_files_without_a_digest_for_a_name_are_passed_over(tmp_path: Path) -> None:
    place, _ = filled(tmp_path / "theirs")
    (place / "README.md").write_text("plain")
    (place / "gone").symlink_to("../../blobs/" + "0" * 40)
    assert verifying.of_cache(place) == ["config.json", "model.safetensors"]
