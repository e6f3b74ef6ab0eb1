"""The reference: the same server as `inv up` starts, started as a person would by hand."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from lifecycle import http
from lifecycle.backend import Backend
from lifecycle.host import Launch
from lifecycle.processes import memory_below
from lifecycle.programs import KEPT
from lifecycle.step import Command
from lifecycle.steps import docker, venv
from tests.bench.results import NotMeasured
from tests.bench.workplace import Workplace, tail, uninterrupted

START_LIMIT = 600
STOP_SECONDS = 10
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Started:
    """A server that answered.

    Args:
        seconds: from its command to its first generated answer.
        pid: the process above all of its others.
    """

    seconds: float
    pid: int

    @property
    def memory(self) -> int:
        return memory_below(self.pid)


@contextmanager
def in_venv(place: Workplace, backend: Backend) -> Iterator[Started]:
    """The server's own command line with its own environment, in a session of its own."""
    host = place.look(backend)
    argv = venv.command(backend, place.paths, host)
    (start,) = (
        action
        for action in venv.start(backend, place.paths, host, Launch())
        if isinstance(action, Command)
    )
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    log = place.folder / "by-hand.log"
    with log.open("w") as out:
        begun = time.monotonic()
        process = subprocess.Popen(
            argv, env={**kept, **start.env}, cwd=place.folder, stdin=subprocess.DEVNULL,
            stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        _await(backend, lambda: process.poll() is not None, log.read_text)
        yield Started(time.monotonic() - begun, process.pid)
    finally:
        with uninterrupted():
            _end(process)


@contextmanager
def in_docker(place: Workplace, backend: Backend) -> Iterator[Started]:
    """`docker run` with the image, mounts, environment and arguments that compose gets."""
    host = place.look(backend)
    values = docker.environment(backend, place.paths, host)
    name = f"{place.checkout.backend}-by-hand"
    begun = time.monotonic()
    try:
        _docker(*_run(name, values), env=values)
        _await(backend, lambda: _state(name) == "exited", lambda: _docker("logs", name))
        seconds = time.monotonic() - begun
        yield Started(seconds, int(_inspect(name, "{{.State.Pid}}")))
    finally:
        with uninterrupted(), suppress(NotMeasured):
            _docker("rm", "--force", name)


def _run(name: str, values: dict[str, str]) -> list[str]:
    ours = {"IMAGE", "PORT", "RUN_AS", "CACHE_SOURCE", "MODEL_SOURCE", "MODEL_TARGET", "VLLM_ARGS"}
    # Names only: the key must not stand in a command line.
    passed = [word for key in sorted(values.keys() - ours) for word in ("--env", key)]
    return [
        "run", "--detach", "--name", name, "--init", "--user", values["RUN_AS"],
        "--publish", f"127.0.0.1:{values['PORT']}:8000", "--shm-size", "4g", *passed,
        "--env", "VLLM_CACHE_ROOT=/cache/vllm", "--env", "HOME=/cache", "--env", "USER=vllm",
        "--env", "TORCHINDUCTOR_CACHE_DIR=/cache/inductor",
        "--volume", f"{values['MODEL_SOURCE']}:{values['MODEL_TARGET']}:ro",
        "--volume", f"{values['CACHE_SOURCE']}:/cache",
        values["IMAGE"], *shlex.split(values["VLLM_ARGS"]),
    ]  # fmt: skip


def _await(backend: Backend, ended: Callable[[], bool], log: Callable[[], str]) -> None:
    """Return when a generated answer came back."""
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if http.models(backend.url, backend.api_key, limit=1):
            why = http.generation(backend.url, backend.api_key, backend.served_name)
            if why:
                raise NotMeasured(why)
            return
        if ended():
            raise NotMeasured(f"the server by hand ended: {tail(log())}")
        time.sleep(POLL_SECONDS)
    raise NotMeasured(f"the server by hand was not ready in {START_LIMIT} s: {tail(log())}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Ask the server to end, then end what is left of its session."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _state(name: str) -> str:
    return _inspect(name, "{{.State.Status}}")


def _inspect(name: str, form: str) -> str:
    return _docker("inspect", "--format", form, name).strip()


def _docker(*words: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        ("docker", *words), env={**os.environ, **(env or {})}, text=True, timeout=120,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    if done.returncode:
        raise NotMeasured(f"docker {words[0]} failed: {tail(done.stdout)}")
    return done.stdout
