"""Every unit test: no processes, no sockets, and nothing of the developer's own settings."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from lifecycle import processes
from lifecycle.facts import network
from lifecycle.keys import KEYS
from lifecycle.runtimes import traces
from tests.unit.given import Checkout

PROCESSES = (
    "fork", "forkpty", "posix_spawn", "posix_spawnp", "system", "popen",
    "execv", "execve", "execvp", "execvpe",
)  # fmt: skip
SOCKETS = ("connect", "connect_ex", "bind")
OTHERS = (
    "HF_HOME", "HF_HUB_CACHE", "XDG_DATA_HOME", "PIP_FIND_LINKS",
    "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH",
)  # fmt: skip


# Before rich looks: its output must not depend on where the tests run.
for variable in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS"):
    os.environ.pop(variable, None)


def refuse(what: str) -> Callable[..., NoReturn]:
    def refused(*args: object, **_: object) -> NoReturn:
        said = [one for one in args if isinstance(one, str | list | tuple)]
        pytest.fail(f"a unit test may not use {what} (it belongs in tests/integration): {said}")

    return refused


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess.Popen, "__init__", refuse("subprocess.Popen"))
    for name in PROCESSES:
        monkeypatch.setattr(os, name, refuse(f"os.{name}"))
    for name in SOCKETS:
        monkeypatch.setattr(socket.socket, name, refuse(f"socket.{name}"))


@pytest.fixture(autouse=True)
def nobodys_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for name in (*KEYS, *OTHERS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    # The developer's engine, and what runs beside the tests.
    for module in (traces, network):
        monkeypatch.setattr(module, "DOCKER_SOCKET", "unix:///nowhere/docker.sock")
    monkeypatch.setattr(processes, "family", lambda *_: [])


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout with nothing in it but a good `env/cpu.env`."""
    return Checkout(tmp_path / "checkout").env("cpu", "GPU=cpu\nPORT=8000\nMODEL=some-model\n")
