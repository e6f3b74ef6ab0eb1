"""What a command did can be read afterwards, without secrets, and costs nobody the work."""

from pathlib import Path

import pytest

from lifecycle import run_log
from lifecycle.errors import CommandFailed
from lifecycle.run_log import RunLog
from lifecycle.step import Step

STEP = Step("docker.installed", "Docker is installed", lambda _: "")


def written(log: RunLog) -> str:
    assert log.path is not None
    return log.path.read_text()


def test_steps_reasons_actions_output_and_the_failure_are_kept(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log", "setup.docker")
    log.step(STEP, "it is not installed\nat all")
    log.action("apt-get install docker.io")
    log.line("Reading package lists…")
    log.ended("failed")
    error = CommandFailed("this command failed (exit 100)", why="no such package", fix="Mend it.")
    log.failure(error)
    text = written(log)
    for part in (
        "docker.installed: Docker is installed", "it is not installed\nat all",
        "$ apt-get install docker.io", "Reading package lists…", "[failed, 0.0 s]",
        "failed: this command failed (exit 100)\nno such package\nMend it.",
    ):  # fmt: skip
        assert part in text
    assert error.log == str(log.path)
    assert log.path is not None
    assert log.path.stat().st_mode & 0o777 == 0o600
    assert "-setup.docker-" in log.path.name


def test_without_work_there_is_no_file(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "log", "up")
    error = CommandFailed("the port is taken")
    log.failure(error)
    assert (log.path, error.log) == (None, "")
    assert not (tmp_path / "log").exists()


def test_secrets_are_hidden(tmp_path: Path) -> None:
    log = RunLog(tmp_path, "up", ("sk-local-1", ""))
    log.line("key sk-local-1 at https://me:pass@proxy:3128/")
    assert "key … at https://…@proxy:3128/" in written(log)


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    log = RunLog(tmp_path / "log", "up")
    log.step(STEP, "why")
    error = CommandFailed("failed")
    log.failure(error)
    assert (log.path, error.log) == (None, "")


def test_an_interruption_is_kept_by_its_name(tmp_path: Path) -> None:
    log = RunLog(tmp_path, "up")
    log.step(STEP, "why")
    log.failure(KeyboardInterrupt())
    assert "ended: KeyboardInterrupt" in written(log)


def test_the_oldest_go(tmp_path: Path) -> None:
    for number in range(run_log.KEPT + 5):
        (tmp_path / f"20260101-{number:06}-up-1.log").touch()
    log = RunLog(tmp_path, "up")
    log.line("new")
    kept = run_log.files(tmp_path)
    assert (len(kept), kept[-1]) == (run_log.KEPT, log.path)


@pytest.mark.parametrize(
    ("argv", "name"),
    [(["inv", "--dry", "up"], "up"), (["inv", "setup.cuda", "--toolkit"], "setup.cuda")],
)
def test_a_log_is_named_after_its_command(
    argv: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", argv)
    log = run_log.of_this_command(tmp_path)
    log.line("x")
    assert log.path is not None
    assert log.path.name.split("-")[2] == name
