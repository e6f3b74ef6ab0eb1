"""Files: whole or not at all, with the mode asked for. Processes are tested in integration."""

import errno
import os
import stat
from pathlib import Path

import pytest

from lifecycle import programs
from lifecycle import shell as shells
from lifecycle.errors import CommandFailed, HostNotReady
from lifecycle.shell import Shell
from lifecycle.step import Command, EditFile, Remove, WriteFile
from tests.unit.given import KEY


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def dry(said: list[str]) -> Shell:
    return Shell(dry=True, say=said.append)


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


@pytest.mark.parametrize("wanted", [0o600, 0o644, 0o755])
def test_a_file_has_its_text_and_its_mode(tmp_path: Path, wanted: int) -> None:
    file = tmp_path / "deep" / "file"
    Shell().write(WriteFile(file, "täxt\n", wanted))
    assert (file.read_text(encoding="utf-8"), mode(file)) == ("täxt\n", wanted)
    assert list(file.parent.iterdir()) == [file]


def test_a_file_is_closed_to_others_before_the_first_byte_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    sync = os.fsync

    def watch(handle: int) -> None:
        seen.append(stat.S_IMODE(os.fstat(handle).st_mode))
        sync(handle)

    monkeypatch.setattr(os, "fsync", watch)
    Shell().write(WriteFile(tmp_path / "file", KEY, 0o600))
    assert seen == [0o600]


def test_a_file_replaces_the_old_one_and_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(0o666)
    Shell().write(WriteFile(file, "new", 0o600))
    assert (file.read_text(), mode(file)) == ("new", 0o600)


@pytest.mark.parametrize("function", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_failing_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, failure: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise failure

    file = tmp_path / "file"
    file.write_text("old")
    monkeypatch.setattr(os, function, fail)
    with pytest.raises(type(failure)):
        Shell().write(WriteFile(file, "new"))
    assert (file.read_text(), list(tmp_path.iterdir())) == ("old", [file])


def test_what_is_removed_may_be_a_file_a_folder_or_absent(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    for name in ("file", "folder", "absent"):
        Shell().remove(Remove(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["folder", "nothing"])
def test_a_link_is_removed_and_not_what_it_points_to(tmp_path: Path, target: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").touch()
    (tmp_path / "link").symlink_to(tmp_path / target)
    Shell().remove(Remove(tmp_path / "link"))
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "kept").exists()


def test_a_dry_shell_says_each_change_and_makes_none(
    tmp_path: Path, dry: Shell, said: list[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    dry.write(WriteFile(file, KEY, 0o600))
    dry.remove(Remove(file))
    dry.run(Command(("rm", "-r", "two words"), env={"KEY": KEY}))
    assert said == [f"write {file} (mode 600)", f"remove {file}", "rm -r 'two words'"]
    assert (file.read_text(), list(tmp_path.iterdir())) == ("old", [file])


def test_a_dry_lock_makes_nothing(tmp_path: Path, dry: Shell, said: list[str]) -> None:
    with dry.lock(tmp_path / "run" / "up.lock", said.append):
        assert list(tmp_path.iterdir()) == []
    assert said == []


def test_a_free_lock_is_taken_without_a_word_and_can_be_taken_again(
    tmp_path: Path, said: list[str]
) -> None:
    for _ in range(2):
        with Shell().lock(tmp_path / "run" / "up.lock", said.append):
            assert (tmp_path / "run").is_dir()
    assert said == []


def test_a_lock_is_given_back_when_the_work_under_it_fails(tmp_path: Path, said: list[str]) -> None:
    path = tmp_path / "up.lock"
    with pytest.raises(ZeroDivisionError), Shell().lock(path, said.append):
        raise ZeroDivisionError
    with Shell().lock(path, said.append):
        assert said == []


def test_a_program_gets_our_environment_and_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    found = programs.environment(Command(("x",), env={"ITS": "2"}))
    assert (found["OURS"], found["ITS"]) == ("1", "2")


def test_a_clean_environment_keeps_only_what_every_program_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("HF_TOKEN", "x")
    found = programs.environment(Command(("x",), env={"ITS": "2"}, clean_env=True))
    assert set(found) <= {*programs.KEPT, "ITS"}
    assert {"PATH", "HOME", "ITS"} <= set(found)


def edited(file: Path, old: str | None, new: str) -> None:
    Shell().edit(EditFile(file, old, new))


def test_a_persons_file_keeps_its_line_ends_and_its_old_text_beside_it(tmp_path: Path) -> None:
    file = tmp_path / ".wslconfig"
    file.write_bytes(b"\xef\xbb\xbf[wsl2]\r\n# mine\r\n")
    edited(file, "[wsl2]\n# mine\n", "[wsl2]\nmemory=8GB\n# mine\n")
    assert file.read_bytes() == b"\xef\xbb\xbf[wsl2]\r\nmemory=8GB\r\n# mine\r\n"
    kept = EditFile(file, "", "").backup
    assert kept.read_bytes() == b"\xef\xbb\xbf[wsl2]\r\n# mine\r\n"


def test_the_first_backup_stays_for_it_is_the_persons_own(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("first\n")
    edited(file, "first\n", "second\n")
    edited(file, "second\n", "third\n")
    assert EditFile(file, "", "").backup.read_text() == "first\n"
    assert file.read_text() == "third\n"


def test_a_file_that_was_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("somebody's\n")
    with pytest.raises(HostNotReady, match="was changed"):
        edited(file, "what we saw\n", "new\n")
    with pytest.raises(HostNotReady, match="was changed"):
        edited(file, None, "new\n")
    assert file.read_text() == "somebody's\n"
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_was_not_there_is_made_without_a_backup(tmp_path: Path) -> None:
    edited(tmp_path / "file", None, "new\n")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("file", "new\n")]


def test_a_dry_edit_shows_the_difference_only(tmp_path: Path, dry: Shell, said: list[str]) -> None:
    dry.edit(EditFile(tmp_path / "file", "a\nb\n", "a\nc\n"))
    assert not list(tmp_path.iterdir())
    assert "    -b\n    +c" in said[0]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("WSL 版本: 2.9.4\r\n".encode("utf-16-le"), "WSL 版本: 2.9.4\n"),
        (b"\xff\xfe" + "Gerät\r\n".encode("utf-16-le"), "Gerät\n"),
        ("plain Gerät\n".encode(), "plain Gerät\n"),
        (b"\xef\xbb\xbfwith mark", "with mark"),
        (b"caf\x82", "caf\ufffd"),
        (b"", ""),
    ],
)
def test_what_a_windows_program_says_can_be_read(raw: bytes, text: str) -> None:
    assert shells.decoded(raw) == text


# Programs: found by ourselves


def program(folder: Path, kind: str) -> Path:
    """Something called `nvidia-smi` on a path of its own."""
    file = folder / kind / "nvidia-smi"
    file.parent.mkdir()
    match kind:
        case "folder":
            file.mkdir()
        case "dangling":
            file.symlink_to("nowhere")
        case "loop":
            file.symlink_to(file.name)
        case "no-program":
            file.write_text("#!/bin/sh\n")
        case "program":
            file.write_text("#!/bin/sh\n")
            file.chmod(0o755)
    return file


@pytest.mark.parametrize("kind", ["folder", "dangling", "loop", "no-program", "absent"])
def test_what_is_no_program_is_not_there_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    file = program(tmp_path, kind)
    monkeypatch.setenv("PATH", str(file.parent))
    for name in ("nvidia-smi", str(file)):
        said = Shell().read(name, "--query-gpu=name")
        assert (said.code, said.text) == (127, "")
        assert "not found" in said.errors


@pytest.mark.parametrize("kind", ["folder", "dangling", "loop", "no-program", "absent"])
def test_a_program_further_on_is_found_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    first, good = program(tmp_path, kind), program(tmp_path, "program")
    monkeypatch.setenv("PATH", f"{first.parent}{os.pathsep}{good.parent}")
    assert programs.executable("nvidia-smi") == str(good)


def test_a_command_that_is_not_there_is_said_to_be_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandFailed) as caught:
        Shell().replace(Command(("tailscale", "up")))
    assert caught.value.why == "tailscale: not found"
