"""The disk under a folder: there, not there yet, in the way, closed."""

import os
import shutil
from pathlib import Path

import pytest

from lifecycle.facts import disk


def test_a_folder_that_is_there(tmp_path: Path) -> None:
    found = disk.look(tmp_path)
    assert (found.path, found.writable, found.problem) == (tmp_path, True, "")
    assert found.free > 0


def test_a_folder_that_is_not_there_yet_is_judged_by_its_nearest_parent(tmp_path: Path) -> None:
    found = disk.look(tmp_path / "a" / "b")
    assert (found.path, found.writable) == (tmp_path / "a" / "b", True)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_the_way_is_told(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    found = disk.look(tmp_path / "file" / below)
    assert (found.writable, found.problem) == (
        False,
        f"{tmp_path / 'file'} is a file, not a folder",
    )


def test_a_folder_of_somebody_else_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert disk.look(tmp_path).problem == f"no permission to write in {tmp_path}"


def test_a_disk_that_cannot_be_asked_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(shutil, "disk_usage", broken)
    assert "Input/output error" in disk.look(tmp_path).problem


def test_a_parent_that_cannot_be_entered_is_a_problem_not_an_exception(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, stat = tmp_path / "closed", Path.stat

    def guarded(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if closed in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, follow_symlinks=follow_symlinks)

    closed.mkdir()
    monkeypatch.setattr(Path, "stat", guarded)
    assert disk.look(closed / "inside").problem
