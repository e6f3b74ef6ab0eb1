"""The conversion's parts that need no torch: it checks first, and appears only when complete."""

import json
from pathlib import Path

import pytest

from lifecycle.models import convert_gguf, folder
from tests.unit.models.folder import make

DEFAULTS = '{"sampling": {"temperature": 0.0}, "chat_template": "plain"}'


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    return file


def written(_: Path, target: Path) -> None:
    make(target)
    (target / "generation_config.json").write_text('{"eos_token_id": 2, "temperature": 1.0}')


def interrupted(_: Path, target: Path) -> None:
    make(target)
    raise KeyboardInterrupt


def test_another_file_than_expected_is_refused_before_anything_is_written(gguf: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        convert_gguf.main(gguf, "0" * 64, gguf.parent / "target", DEFAULTS)
    assert "model.gguf is not the file it should be" in str(ended.value)
    assert list(gguf.parent.iterdir()) == [gguf]


def test_the_folder_appears_whole_with_a_manifest_that_holds(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = make(gguf.parent / "target", "left-over.bin")
    monkeypatch.setattr(convert_gguf, "convert", written)
    sha256 = convert_gguf.digest(gguf)
    convert_gguf.main(gguf, sha256, target, DEFAULTS)
    assert folder.problem(target) == folder.changed(target, f"{sha256} {DEFAULTS}") == ""
    assert not (target / "left-over.bin").exists()
    assert sorted(gguf.parent.iterdir()) == [gguf, target]


def test_an_interrupted_conversion_leaves_what_was_there(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = make(gguf.parent / "target", "before.bin")
    monkeypatch.setattr(convert_gguf, "convert", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert_gguf.main(gguf, convert_gguf.digest(gguf), target, DEFAULTS)
    assert (target / "before.bin").exists()


def test_a_left_over_of_an_interrupted_conversion_is_cleared(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(gguf.parent / ".target.partial", "half.bin")
    monkeypatch.setattr(convert_gguf, "convert", written)
    target = gguf.parent / "target"
    convert_gguf.main(gguf, convert_gguf.digest(gguf), target, DEFAULTS)
    assert not (target / "half.bin").exists()


def test_recommended_sampling_is_added_to_what_the_model_says(tmp_path: Path) -> None:
    file = tmp_path / "generation_config.json"
    file.write_text('{"eos_token_id": 2, "temperature": 1.0}')
    convert_gguf.recommend(tmp_path, {"temperature": 0.0}, "")
    assert json.loads(file.read_text()) == {"eos_token_id": 2, "temperature": 0.0}


def test_the_chat_template_takes_the_place_of_the_files_own(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text("{}")
    (tmp_path / "chat_template.jinja").write_text("with a persona")
    convert_gguf.recommend(tmp_path, {}, "without one")
    assert (tmp_path / "chat_template.jinja").read_text() == "without one"


def test_the_manifest_names_every_file_but_itself(tmp_path: Path) -> None:
    place = make(tmp_path / "model")
    (place / convert_gguf.MANIFEST).write_text("{}")
    manifest = convert_gguf.manifest(place)
    assert list(manifest) == ["config.json", "model.safetensors"]
    assert manifest["config.json"]["size"] == 2
    assert manifest["config.json"]["sha256"] == convert_gguf.digest(place / "config.json")
