"""A look at Docker where the other side behaves badly: bounded, and told."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.facts import docker
from lifecycle.machine import HURRY, Here
from lifecycle.shell import Shell
from lifecycle.steps import docker_engine


@pytest.fixture
def listener(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What docker is told to ask; it has an address and does not listen yet."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 's'}")
        yield made


def look() -> tuple[str, float]:
    began = time.monotonic()
    seen = docker.look(Here(Shell(), HURRY), HURRY)
    assert seen.engine == ""
    return seen.problem, time.monotonic() - began


@pytest.mark.usefixtures("listener")
def test_nobody_listens() -> None:
    problem, seconds = look()
    assert "nobody listens at unix:///" in problem
    assert seconds < HURRY


# The library drops its client, unclosed, when it cannot even learn the engine's version.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_somebody_listens_and_never_answers(listener: socket.socket) -> None:
    listener.listen(8)
    problem, seconds = look()
    assert "no answer in 1 s" in problem
    assert seconds < HURRY


@pytest.mark.parametrize("script", [docker_engine.START, docker_engine.WAIT])
def test_the_shell_that_starts_the_engine_is_sound(script: str) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run(
        [shellcheck, "--shell=sh", "-"], input=script, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
