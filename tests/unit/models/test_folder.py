"""Whether a folder can be loaded, and whether it is still what was written."""

import json
import os
from pathlib import Path

import pytest

from lifecycle.models import folder
from lifecycle.models.convert_gguf import MANIFEST
from tests.unit.models.folder import index, make, seal, weights_of


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
    assert folder.problem(place) == f"{place} is missing 2 of its weight files, e.g. b.safetensors"


def test_a_link_to_nothing_is_an_unfinished_download(good: Path) -> None:
    (good / "model.safetensors").unlink()
    (good / "model.safetensors").symlink_to(good / "blob")
    assert "is a link to nothing" in folder.problem(good)


def test_a_git_lfs_pointer_is_not_weights(good: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (good / "model.safetensors").write_text(pointer)
    assert "git lfs pull" in folder.problem(good)


def test_a_file_is_no_folder(good: Path) -> None:
    assert "is a file" in folder.problem(good / "model.safetensors")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"a": ', "\x00"])
def test_a_broken_configuration_is_told(good: Path, text: str) -> None:
    (good / "config.json").write_text(text)
    assert folder.problem(good).startswith(f"config.json in {good} cannot be read: ")


@pytest.mark.parametrize("with_config", [False, True])
def test_an_adapter_is_no_model_by_itself(tmp_path: Path, *, with_config: bool) -> None:
    place = make(tmp_path / "lora", "adapter_model.safetensors")
    (place / "adapter_config.json").write_text('{"base_model_name_or_path": "Qwen/Qwen3-8B"}')
    if not with_config:
        (place / "config.json").unlink()
    why = folder.problem(place)
    assert "is a LoRA adapter" in why
    assert "(Qwen/Qwen3-8B)" in why
    assert f"--lora-modules lora={place}" in why


def test_a_model_that_brings_an_adapter_along_is_a_model(good: Path) -> None:
    (good / "adapter_config.json").write_text("{}")
    (good / "adapter_model.safetensors").write_bytes(weights_of("adapter"))
    assert folder.problem(good) == ""


@pytest.mark.parametrize("with_config", [False, True])
def test_a_folder_of_gguf_files_only_is_told(good: Path, *, with_config: bool) -> None:
    (good / "model.safetensors").rename(good / "Q4_K_M.gguf")
    if not with_config:
        (good / "config.json").unlink()
    assert "GGUF only" in folder.problem(good)


def test_a_gguf_file_beside_the_weights_does_not_matter(good: Path) -> None:
    (good / "Q4_K_M.gguf").touch()
    assert folder.problem(good) == ""


def test_mistrals_own_format_is_a_model(tmp_path: Path) -> None:
    place = make(tmp_path / "model", "consolidated.safetensors")
    (place / "config.json").rename(place / "params.json")
    assert folder.problem(place) == ""


def test_weights_that_were_cut_off_are_told(good: Path) -> None:
    file = good / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    told = f"model.safetensors was cut off: it has {len(whole) - 1} of {len(whole)} bytes"
    assert folder.problem(good) == told


@pytest.mark.parametrize(
    "content", [b"x", b"\xff" * 64, b"\2" + bytes(7) + b"[]", b"\2" + bytes(7) + b"{x"]
)
def test_what_is_no_safetensors_file_is_told(good: Path, content: bytes) -> None:
    (good / "model.safetensors").write_bytes(content)
    assert folder.problem(good).startswith("model.safetensors is no safetensors file")


@pytest.mark.parametrize("text", ["[]", '{"weight_map": []}', '{"weight_map": null}', "{}", "{"])
def test_a_broken_index_is_told_and_does_not_raise(good: Path, text: str) -> None:
    (good / "model.safetensors.index.json").write_text(text)
    assert "model.safetensors.index.json" in folder.problem(good)


def test_the_size_is_that_of_all_files_links_followed(good: Path) -> None:
    blob = good.parent / "blob"
    blob.write_bytes(b"x" * 100)
    (good / "more.safetensors").symlink_to(blob)
    assert folder.size(good) == 2 + 100 + len(weights_of("model.safetensors"))


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


def test_other_content_of_the_same_size_and_time_has_changed(good: Path) -> None:
    file = seal(good) / "model.safetensors"
    then = file.stat().st_mtime_ns
    file.write_bytes(bytes(len(file.read_bytes())))
    os.utime(file, ns=(then, then))
    assert "sha256 differs" in folder.changed(good, "a package")


def test_a_manifest_of_before_november_has_no_time_of_change(good: Path) -> None:
    manifest = seal(good) / MANIFEST
    known = json.loads(manifest.read_text())
    for entry in known["files"].values():
        del entry["ctime_ns"]
    manifest.write_text(json.dumps(known))
    assert folder.changed(good, "a package") == ""


def test_every_file_is_hashed_where_somebody_asks(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal(good)
    monkeypatch.setattr(folder, "digest", lambda _: "another")
    assert "sha256 differs" in folder.changed(good, "a package", whole=True)


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
