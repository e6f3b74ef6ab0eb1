"""Whether a folder can be loaded, and whether it is still what was written."""

import os
from pathlib import Path

import pytest

from lifecycle.models import folder
from lifecycle.models.convert_gguf import MANIFEST
from tests.unit.models.folder import index, make, seal


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return make(tmp_path / "model")


def test_a_good_folder_has_no_problem(good: Path) -> None:
    assert folder.problem(good) == ""


def test_a_good_folder_of_shards_has_no_problem(tmp_path: Path) -> None:
    place = make(tmp_path / "model", "a.safetensors", "b.safetensors")
    index(place, "a.safetensors", "b.safetensors", "b.safetensors")
    assert folder.problem(place) == ""


def test_an_absent_folder_is_told(tmp_path: Path) -> None:
    assert folder.problem(tmp_path / "x") == f"{tmp_path / 'x'} does not exist"


def test_a_folder_without_configuration_is_no_model(good: Path) -> None:
    (good / "config.json").unlink()
    assert "no config.json" in folder.problem(good)


def test_a_folder_without_weights_is_told(good: Path) -> None:
    (good / "model.safetensors").unlink()
    assert "has no weights" in folder.problem(good)


def test_a_shard_that_the_index_names_and_is_not_there_is_told(tmp_path: Path) -> None:
    place = make(tmp_path / "model", "a.safetensors")
    index(place, "a.safetensors", "b.safetensors", "c.safetensors")
    assert folder.problem(place) == f"{place} lacks 2 of its weight files, e.g. b.safetensors"


def test_a_link_to_nothing_is_an_unfinished_download(good: Path) -> None:
    (good / "model.safetensors").unlink()
    (good / "model.safetensors").symlink_to(good / "blob")
    assert "is a link to nothing" in folder.problem(good)


def test_a_git_lfs_pointer_is_not_weights(good: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (good / "model.safetensors").write_text(pointer)
    assert "git lfs pull" in folder.problem(good)


@pytest.mark.parametrize("text", ["[]", '{"weight_map": []}', '{"weight_map": null}', "{}", "{"])
def test_a_broken_index_is_told_and_does_not_raise(good: Path, text: str) -> None:
    (good / "model.safetensors.index.json").write_text(text)
    assert "model.safetensors.index.json" in folder.problem(good)


def test_the_size_is_that_of_all_files_links_followed(good: Path) -> None:
    blob = good.parent / "blob"
    blob.write_bytes(b"x" * 100)
    (good / "more.safetensors").symlink_to(blob)
    assert folder.size(good) == 2 + len("weights of model.safetensors") + 100


def test_a_folder_as_written_has_not_changed(good: Path) -> None:
    assert folder.changed(seal(good), "a package") == ""


def test_a_file_with_other_content_has_changed(good: Path) -> None:
    (seal(good) / "model.safetensors").write_bytes(b"other")
    assert (
        folder.changed(good, "a package")
        == "model.safetensors is not what was written (sha256 differs)"
    )


def test_other_content_of_the_same_size_has_changed(good: Path) -> None:
    file = seal(good) / "model.safetensors"
    file.write_bytes(bytes(len(file.read_bytes())))
    os.utime(file, ns=(0, 0))
    assert "sha256 differs" in folder.changed(good, "a package")


def test_a_touched_file_with_the_same_content_has_not_changed(good: Path) -> None:
    os.utime(seal(good) / "model.safetensors", ns=(0, 0))
    assert folder.changed(good, "a package") == ""


def test_an_untouched_file_is_not_read_again(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seal(good)
    monkeypatch.setattr(folder, "digest", lambda file: pytest.fail(f"read {file}"))
    assert folder.changed(good, "a package") == ""


def test_a_folder_made_of_something_else_has_changed(good: Path) -> None:
    assert "made from another package" in folder.changed(seal(good, "another"), "a package")


def test_a_file_that_went_away_has_changed(good: Path) -> None:
    (seal(good) / "model.safetensors").unlink()
    assert "cannot be checked" in folder.changed(good, "a package")


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "[]",
        "{}",
        '{"made_from": "a package"}',
        '{"made_from": "a package", "files": 1}',
        '{"made_from": "a package", "files": {"config.json": 1}}',
        '{"made_from": "a package", "files": {"config.json": {}}}',
    ],
)
def test_a_manifest_that_cannot_be_read_is_told(good: Path, text: str | None) -> None:
    if text is not None:
        (good / MANIFEST).write_text(text)
    assert "manifest cannot be checked" in folder.changed(good, "a package")
