"""The cache's layout, and what is believed of it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from lifecycle.files import HERE, Files
from lifecycle.transfer import Place, missing_bytes
from lifecycle.transfer.cache import Cache
from tests.unit.transfer.given import COMMIT, item


def cached(place: Place, data: dict[str, bytes], record: Callable[..., None] | None = None) -> None:
    cache = Cache(place)
    items = [item(one, path) for path, one in data.items()]
    for one in items:
        (place.blobs / one.name).write_bytes(data[one.path])
    files = Files.of((one.path, one.size) for one in items)
    assert cache.missing(items, files, record or (lambda: None)) == {}
    cache.publish(items)


def test_a_snapshot_has_relative_links_and_a_reference(place: Place) -> None:
    cached(place, {"config.json": b"{}", "sub/model.safetensors": b"weights"})
    link = place.snapshot / "sub" / "model.safetensors"
    assert link.readlink() == Path("../../../blobs") / item(b"weights").name
    assert link.read_bytes() == b"weights"
    assert place.reference.read_text() == COMMIT


def test_a_cache_can_be_moved(place: Place, tmp_path: Path) -> None:
    cached(place, {"config.json": b"{}"})
    moved = tmp_path / "elsewhere" / place.repo.name
    shutil.copytree(place.repo, moved, symlinks=True)
    assert (moved / "snapshots" / COMMIT / "config.json").read_text() == "{}"


def test_a_commit_needs_no_reference(tmp_path: Path) -> None:
    by_commit = Place(tmp_path / "models--org--name", COMMIT, COMMIT)
    by_commit.blobs.mkdir(parents=True)
    cached(by_commit, {"config.json": b"{}"})
    assert not (by_commit.repo / "refs").exists()
    assert (by_commit.snapshot / "config.json").read_bytes() == b"{}"


def test_what_others_put_there_is_hashed_once(place: Place) -> None:
    shown: list[str] = []
    cached(place, {"model.safetensors": b"weights"}, lambda: shown.append("a look"))
    assert shown
    shown.clear()
    cache = Cache(place)
    wanted = [item(b"weights")]
    files = Files.of([("model.safetensors", 7)])
    assert cache.missing(wanted, files, lambda: shown.append("a look")) == {}
    assert not shown
    assert files.files["model.safetensors"].state == HERE


def test_wrong_bytes_of_others_are_set_aside(place: Place) -> None:
    wanted = item(b"weights")
    (place.blobs / wanted.name).write_bytes(b"weirdos")
    files = Files.of([(wanted.path, wanted.size)])
    assert Cache(place).missing([wanted], files, lambda: None) == {wanted.name: [wanted]}
    assert (place.blobs / f"{wanted.name}.corrupt").read_bytes() == b"weirdos"
    assert not (place.blobs / wanted.name).exists()
    assert "set aside" in files.events[0]


def test_wrong_bytes_are_not_kept_where_two_of_them_have_no_room(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = item(b"weights")
    (place.blobs / wanted.name).write_bytes(b"weirdos")
    full = SimpleNamespace(free=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    Cache(place).missing([wanted], Files.of([(wanted.path, wanted.size)]), lambda: None)
    assert list(place.blobs.iterdir()) == []


def test_a_file_that_changed_later_is_looked_at_again(place: Place) -> None:
    cached(place, {"model.safetensors": b"weights"})
    wanted = item(b"weights")
    blob = place.blobs / wanted.name
    blob.write_bytes(b"weirdos")
    os.utime(blob, ns=(1, 1))
    files = Files.of([(wanted.path, wanted.size)])
    assert Cache(place).missing([wanted], files, lambda: None) == {wanted.name: [wanted]}


@pytest.mark.parametrize("text", ["", "[]", "[3]", "{", '{"blobs/x": 3}'])
def test_a_broken_record_costs_a_second_look_only(place: Place, text: str) -> None:
    cached(place, {"config.json": b"{}"})
    (place.repo / ".verified.json").write_text(text)
    shown: list[str] = []
    cached(place, {"config.json": b"{}"}, lambda: shown.append("a look"))
    assert shown


def test_without_links_the_snapshot_holds_the_files(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refused)
    both = {"one.bin": b"weights", "two.bin": b"weights"}
    cached(place, both)
    for name in both:
        assert not (place.snapshot / name).is_symlink()
        assert (place.snapshot / name).read_bytes() == b"weights"
    assert list(place.blobs.iterdir()) == []
    items = [item(b"weights", name) for name in both]
    assert missing_bytes(items, place) == 0
    Cache(place).publish(items)
    assert (place.snapshot / "two.bin").read_bytes() == b"weights"


def test_one_content_under_two_names_is_wanted_once(place: Place) -> None:
    items = [item(b"weights", "one.bin"), item(b"weights", "two.bin")]
    files = Files.of((one.path, one.size) for one in items)
    assert missing_bytes(items, place) == 7
    assert Cache(place).missing(items, files, lambda: None) == {items[0].name: items}
