"""What starts took is kept for the next estimate, and used only where it holds."""

import dataclasses
import json
import stat
from pathlib import Path

import pytest

from lifecycle.host import GIB
from lifecycle.measured import Measured
from lifecycle.models.measured import FOLDER, KEPT, Notes, Start, Subject, path
from lifecycle.shell import Shell

SUBJECT = Subject("Qwen/Qwen3-8B", "NVIDIA GeForce RTX 4090", "vllm/vllm-openai:v0.33.0")
SETTINGS = {"GPU_MEMORY_UTILIZATION": "0.9", "MAX_MODEL_LEN": "8192", "MAX_NUM_SEQS": "64"}
FOUND = Measured(
    weights=15 * GIB, kv_available=5 * GIB, kv_tokens=36_400, concurrency=4.44, at_length=8192,
    total=24 * GIB, utilization=0.9, budget=22 * GIB, load_seconds=3.5,
)  # fmt: skip


def keep(home: Path, found: Measured = FOUND, **settings: str) -> list[str]:
    told: list[str] = []
    start = Start.now({**SETTINGS, **settings}, found)
    Notes(home, SUBJECT).keep(start, Shell(), told.append)
    return told


def test_nothing_is_known_before_the_first_start(tmp_path: Path) -> None:
    notes = Notes(tmp_path, SUBJECT)
    assert (notes.starts(), notes.overhead(SETTINGS)) == ([], None)
    assert not list(tmp_path.iterdir())


def test_a_start_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    assert keep(tmp_path) == []
    (start,) = Notes(tmp_path, SUBJECT).starts()
    assert (start.found, start.settings) == (FOUND, SETTINGS)
    assert start.date.endswith("+00:00")


def test_the_overhead_is_what_weights_and_kv_cache_left_of_the_budget(tmp_path: Path) -> None:
    keep(tmp_path)
    assert Notes(tmp_path, SUBJECT).overhead(SETTINGS) == 2 * GIB


def test_the_newest_start_counts(tmp_path: Path) -> None:
    keep(tmp_path)
    keep(tmp_path, dataclasses.replace(FOUND, kv_available=4 * GIB))
    assert Notes(tmp_path, SUBJECT).overhead(SETTINGS) == 3 * GIB


def test_a_start_that_does_not_tell_is_passed_by(tmp_path: Path) -> None:
    keep(tmp_path)
    for silent in ({"weights": None}, {"budget": None}, {"kv_available": None}, {"kv_given": True}):
        keep(tmp_path, dataclasses.replace(FOUND, **silent))
    assert Notes(tmp_path, SUBJECT).overhead(SETTINGS) == 2 * GIB


def test_it_is_counted_against_the_memory_that_the_estimate_counts_with(tmp_path: Path) -> None:
    seen = dataclasses.replace(FOUND, total=round(23.55 * GIB), budget=round(23.55 * 0.9 * GIB))
    keep(tmp_path, seen)
    notes, said = Notes(tmp_path, SUBJECT), round(23.99 * GIB)
    told = notes.overhead(SETTINGS, total=said)
    assert told == round(0.9 * said) - 20 * GIB
    assert told > (notes.overhead(SETTINGS) or 0), "what CUDA hides must not become KV cache"


def test_weights_that_an_estimate_has_wrong_leave_the_sum_right(tmp_path: Path) -> None:
    keep(tmp_path)
    notes = Notes(tmp_path, SUBJECT)
    assert notes.overhead(SETTINGS, weights=14 * GIB) == 3 * GIB
    keep(tmp_path, dataclasses.replace(FOUND, weights=None, kv_available=4 * GIB))
    assert notes.overhead(SETTINGS, weights=14 * GIB) == 4 * GIB


def test_an_engine_that_does_not_tell_the_cards_memory_is_used_with_the_callers(
    tmp_path: Path,
) -> None:
    keep(tmp_path, dataclasses.replace(FOUND, total=None, budget=None, utilization=None))
    notes = Notes(tmp_path, SUBJECT)
    assert notes.overhead(SETTINGS) is None
    assert notes.overhead(SETTINGS, total=24 * GIB) == round(0.9 * 24 * GIB) - 20 * GIB
    nameless = {**SETTINGS, "GPU_MEMORY_UTILIZATION": ""}
    Notes(tmp_path / "other", SUBJECT).keep(
        Start.now(nameless, dataclasses.replace(FOUND, utilization=None)), Shell(), print
    )
    assert Notes(tmp_path / "other", SUBJECT).overhead(nameless, total=24 * GIB) is None


def test_only_a_few_starts_are_kept(tmp_path: Path) -> None:
    for number in range(KEPT + 2):
        keep(tmp_path, dataclasses.replace(FOUND, kv_tokens=number))
    kept = Notes(tmp_path, SUBJECT).starts()
    assert [one.found.kv_tokens for one in kept] == list(range(KEPT + 1, 1, -1))


@pytest.mark.parametrize(
    "other",
    [
        {"MAX_NUM_SEQS": "256"},
        {"MAX_NUM_SEQS": ""},
        {"KV_CACHE_DTYPE": "fp8"},
        {"TENSOR_PARALLEL": "2"},
        {"EXTRA_ARGS": "sha256:0123"},
    ],
)
def test_settings_that_shape_it_must_be_the_same(tmp_path: Path, other: dict[str, str]) -> None:
    keep(tmp_path)
    assert Notes(tmp_path, SUBJECT).overhead({**SETTINGS, **other}) is None


@pytest.mark.parametrize("other", [{"GPU_MEMORY_UTILIZATION": "0.5"}, {"MAX_MODEL_LEN": "16384"}])
def test_share_and_length_do_not_shape_it(tmp_path: Path, other: dict[str, str]) -> None:
    keep(tmp_path)
    assert Notes(tmp_path, SUBJECT).overhead({**SETTINGS, **other}) == 2 * GIB


def test_before_v1_the_length_shapes_it(tmp_path: Path) -> None:
    keep(tmp_path, dataclasses.replace(FOUND, sized_by_length=True))
    notes = Notes(tmp_path, SUBJECT)
    assert notes.overhead(SETTINGS) == 2 * GIB
    assert notes.overhead({**SETTINGS, "MAX_MODEL_LEN": "16384"}) is None


@pytest.mark.parametrize(
    "other",
    [{"model": "Qwen/Qwen3-4B"}, {"card": "NVIDIA GeForce RTX 3090"}, {"engine": "cuda-0.32.0"}],
)
def test_model_card_and_engine_are_apart(tmp_path: Path, other: dict[str, str]) -> None:
    keep(tmp_path)
    another = dataclasses.replace(SUBJECT, **other)
    assert Notes(tmp_path, another).overhead(SETTINGS) is None
    assert path(tmp_path, another) != path(tmp_path, SUBJECT)


@pytest.mark.parametrize("model", ["/mnt/models/../x y/Ünï", "a" * 300, "org/name.v1"])
def test_every_model_gets_a_plain_file_name(tmp_path: Path, model: str) -> None:
    file = path(tmp_path, dataclasses.replace(SUBJECT, model=model))
    assert file.parent == tmp_path / FOLDER
    assert len(file.name) < 100
    assert file.name.isascii()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"starts": 5}',
        '{"starts": ["x"]}',
        '{"starts": [{"date": "d", "settings": {}, "found": {"weights": "many"}}]}',
        '{"starts": [{"date": "d", "settings": {}}]}',
    ],
)
def test_a_broken_file_is_told_once_and_replaced(tmp_path: Path, text: str) -> None:
    file = path(tmp_path, SUBJECT)
    file.parent.mkdir()
    file.write_text(text)
    assert Notes(tmp_path, SUBJECT).overhead(SETTINGS) is None
    (told,) = keep(tmp_path)
    assert str(file) in told
    assert "replaced" in told
    assert keep(tmp_path) == []
    assert len(Notes(tmp_path, SUBJECT).starts()) == 2


def test_a_file_of_another_version_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    keep(tmp_path)
    file = path(tmp_path, SUBJECT)
    data = json.loads(file.read_text())
    data["starts"][0]["found"]["not_yet_invented"] = [1]
    del data["starts"][0]["found"]["graphs"]
    file.write_text(json.dumps(data))
    assert Notes(tmp_path, SUBJECT).overhead(SETTINGS) == 2 * GIB


def test_a_dry_run_keeps_nothing(tmp_path: Path) -> None:
    Notes(tmp_path, SUBJECT).keep(Start.now(SETTINGS, FOUND), Shell(dry=True), print)
    assert not list(tmp_path.iterdir())


def test_the_file_is_whole_and_for_anyone_to_read(tmp_path: Path) -> None:
    keep(tmp_path)
    (file,) = (tmp_path / FOLDER).iterdir()
    assert file == path(tmp_path, SUBJECT)
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert json.loads(file.read_text())["model"] == SUBJECT.model
