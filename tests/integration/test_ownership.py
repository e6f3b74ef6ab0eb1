"""Whose server it is, and what there is when notes are lost: real supervisord, vLLM's double.

Each test is a drill that once lost a server, or called it stopped while it went on.
"""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import requests

from lifecycle.errors import HostNotReady, ServerUnhealthy
from lifecycle.runtimes import venv
from tests.integration import stand_in_engine
from tests.integration.checkout import Checkout, free_port

TOKENS = 160
SLOW = ("--token-seconds", "0.25")
"""An answer of so many tokens takes 40 s: on a busy machine `inv` alone may take half of that."""
DRAIN = "120"
HOLDS_A_LOCK = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("engine")
    stand_in_engine.install(home)
    return home / "engines"


@pytest.fixture
def home(tmp_path: Path, installed: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "engines").symlink_to(installed)
    return folder


@pytest.fixture
def server(tmp_path: Path, home: Path) -> Iterator[Checkout]:
    """A server that runs; whatever a test does to it, nothing of it is left."""
    made = stand_in_engine.checkout(tmp_path / "one", home, f"own-{os.getpid()}", *SLOW)
    made.env["DRAIN_SECONDS"] = DRAIN
    assert made.up().returncode == 0
    run = home / "run" / made.backend
    yield made
    for folder in (run, tmp_path / "moved" / "run" / made.backend):
        for process in venv.processes_of(folder):
            with_suppressed(lambda pid=process.pid: os.kill(pid, signal.SIGKILL))  # type: ignore[misc]


def with_suppressed(action: Callable[[], None]) -> None:
    try:
        action()
    except ProcessLookupError:
        return


def run_of(server: Checkout) -> Path:
    return Path(server.env["LIFECYCLE_HOME"]) / "run" / server.backend


def second(server: Checkout, tmp_path: Path) -> Checkout:
    """Another clone on the same home, with the same backend and a key to be made."""
    root = tmp_path / "two"
    other = Checkout.copy(root, server.backend, server.port)
    other.env = dict(server.env)
    other.env_file.write_text(server.env_file.read_text())
    return other


def pids(server: Checkout) -> set[int]:
    return {process.pid for process in venv.processes_of(run_of(server))}


def down(server: Checkout, *words: str, limit: float = 180) -> subprocess.CompletedProcess[str]:
    return server.inv("down", "--gpu", server.backend, *words, limit=limit)


def assert_gone(server: Checkout, before: set[int]) -> None:
    assert before
    assert not [pid for pid in before if psutil.pid_exists(pid) and is_running(pid)]
    assert server.status()["phase"] == "stopped"


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_another_checkout_is_told_whose_server_it_is_and_leaves_it_alone(
    server: Checkout, tmp_path: Path
) -> None:
    other, before = second(server, tmp_path), pids(server)
    entry = other.status()
    assert (entry["phase"], entry["owner"]) == ("ready", str(server.root))
    model = "smollm2-135m-instruct"
    for words in (("up",), ("restart",), ("tune",), ("chat", "hi"), ("switch", model)):
        done = other.inv(*words, "--gpu", other.backend, limit=60)
        assert done.returncode == HostNotReady.exit_code, (words, done.stderr)
        assert f"checkout {server.root}" in done.stderr
        assert "--take-over" in done.stderr
    assert not (other.root / ".env").exists(), "no key is made for a server that is not ours"
    done = other.inv("down")
    assert done.returncode == 0
    assert f"left: {server.backend}, of the checkout {server.root}" in done.stderr
    assert "stopped:" not in done.stderr
    assert pids(server) == before
    assert (server.status()["phase"], server.status()["owner"]) == ("ready", None)


def test_a_checkout_with_the_same_key_uses_the_server(server: Checkout, tmp_path: Path) -> None:
    other, before = second(server, tmp_path), pids(server)
    shutil.copy(server.root / ".env", other.root / ".env")
    done = other.up()
    assert done.returncode == 0, done.stderr
    assert f"runs as wanted already: checkout {server.root}" in done.stderr
    assert other.inv("chat", "hi", "--max-tokens", "2", "--gpu", other.backend).returncode == 0
    assert "left:" in down(other).stderr
    assert pids(server) == before


def test_it_is_taken_over_only_when_asked_and_then_belongs_to_the_other(
    server: Checkout, tmp_path: Path
) -> None:
    other = second(server, tmp_path)
    done = other.up("--take-over")
    assert done.returncode == 0, done.stderr
    assert f"taking over the server of {server.backend}: checkout {server.root}" in done.stderr
    assert other.status()["owner"] is None
    assert server.status()["owner"] == str(other.root)
    assert server.up().returncode == HostNotReady.exit_code, "no ping-pong"
    done = down(server, "--take-over")
    assert "stopped:" in done.stderr
    assert other.status()["phase"] == "stopped"


def test_a_checkout_that_is_gone_locks_nothing(server: Checkout, tmp_path: Path) -> None:
    other, before = second(server, tmp_path), pids(server)
    shutil.rmtree(server.root)
    done = other.up()
    assert done.returncode == HostNotReady.exit_code
    assert "it belongs to a checkout that is gone" in done.stderr
    assert "which is gone" in down(other).stderr
    assert down(other, "--take-over").returncode == 0
    assert_gone(other, before)


def test_a_checkout_that_was_renamed_keeps_its_server(server: Checkout, tmp_path: Path) -> None:
    before = pids(server)
    server.root.rename(tmp_path / "renamed")
    moved = dataclasses.replace(server, root=tmp_path / "renamed")
    assert (moved.status()["phase"], moved.status()["owner"]) == ("ready", None)
    assert "stopped:" in down(moved).stderr
    assert_gone(moved, before)


def remove_socket(run: Path) -> None:
    (run / "supervisor.sock").unlink()


def remove_notes(run: Path) -> None:
    for name in ("supervisor.sock", "session", "launch.json", "starts"):
        (run / name).unlink()


def damage_launch(run: Path) -> None:
    (run / "launch.json").write_text('{"runtime": "ve')


def empty_folder(run: Path) -> None:
    for file in run.iterdir():
        file.unlink()


@pytest.mark.parametrize("harm", [remove_socket, remove_notes, damage_launch, empty_folder])
def test_lost_notes_hide_no_server(server: Checkout, harm: Callable[[Path], None]) -> None:
    before = pids(server)
    harm(run_of(server))
    entry = server.status()
    assert (entry["phase"], entry["owner"]) == ("ready", None)
    assert server.inv("chat", "hi", "--max-tokens", "2", "--gpu", server.backend).returncode == 0
    done = server.up()
    assert done.returncode == 0, done.stderr
    # It carries what it was started with itself. With all notes the verdict on its answers is lost:
    # they are asked for anew, and nothing is started.
    assert "  start  " not in done.stderr
    assert pids(server) == before
    done = down(server)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, f"stopped: {server.backend}")
    assert_gone(server, before)


def test_another_login_finds_the_server(tmp_path: Path, installed: Path) -> None:
    """A state folder too long for a socket's path, and other temporary folders."""
    home = tmp_path / ("deep" * 20) / ("ü" * 20)
    home.mkdir(parents=True)
    (home / "engines").symlink_to(installed)
    made = stand_in_engine.checkout(tmp_path / "one", home, f"far-{os.getpid()}")
    try:
        assert made.up().returncode == 0
        assert (run_of(made) / "supervisor.sock").is_socket()
        before = pids(made)
        for name in ("XDG_RUNTIME_DIR", "TMPDIR"):
            made.env[name] = str(tmp_path / name)
            (tmp_path / name).mkdir()
        made.env["LC_ALL"] = "C"
        assert made.status()["phase"] == "ready"
        assert "nothing to do" in made.up().stderr
    finally:
        done = down(made)
    assert done.returncode == 0, done.stderr
    assert_gone(made, before)


def test_a_home_by_a_link_is_the_same_home(server: Checkout, tmp_path: Path) -> None:
    before = pids(server)
    (tmp_path / "link").symlink_to(server.env["LIFECYCLE_HOME"])
    server.env["LIFECYCLE_HOME"] = str(tmp_path / "link")
    assert server.status()["phase"] == "ready"
    assert "stopped:" in down(server).stderr
    assert_gone(server, before)


def test_a_home_that_was_moved_takes_its_server_along(server: Checkout, tmp_path: Path) -> None:
    before = pids(server)
    Path(server.env["LIFECYCLE_HOME"]).rename(tmp_path / "moved")
    server.env["LIFECYCLE_HOME"] = str(tmp_path / "moved")
    assert server.status()["phase"] == "ready"
    assert "stopped:" in down(server).stderr
    assert_gone(server, before)


def test_a_killed_supervisor_is_a_failure_and_the_next_up_brings_a_new_one(
    server: Checkout,
) -> None:
    (leader,) = (one for one in venv.processes_of(run_of(server)) if one.pid == one.session)
    os.kill(leader.pid, signal.SIGKILL)
    done = server.up()
    assert done.returncode == 0, done.stderr
    assert "taken by" not in done.stderr
    assert leader.pid not in pids(server)
    assert server.status()["phase"] == "ready"


def test_a_port_that_a_server_of_another_home_has_is_named_by_its_checkout(
    server: Checkout, tmp_path: Path, installed: Path
) -> None:
    other = second(server, tmp_path)
    away = tmp_path / "away"
    away.mkdir()
    (away / "engines").symlink_to(installed)
    other.env["LIFECYCLE_HOME"] = str(away)
    done = other.up()
    assert done.returncode == HostNotReady.exit_code
    assert f"the server of {server.backend} of the checkout {server.root}" in done.stderr


def test_what_a_person_runs_in_the_state_folder_is_no_server(server: Checkout) -> None:
    with subprocess.Popen(["sleep", "60"], cwd=run_of(server), start_new_session=True) as theirs:
        assert down(server).returncode == 0
        assert theirs.poll() is None
        theirs.kill()


def test_down_waits_for_another_inv_no_longer_than_it_says(
    server: Checkout, tmp_path: Path
) -> None:
    assert down(server).returncode == 0
    lock = run_of(server) / "up.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_A_LOCK, str(lock)], stdout=subprocess.PIPE, cwd=tmp_path
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        done = down(server)
        holder.kill()
    assert done.returncode == HostNotReady.exit_code
    assert f"(pid {holder.pid}) is at work on {server.backend}" in done.stderr
    assert "10 s at most" in done.stderr


def test_down_while_up_waits_stops_the_server_and_up_says_so(server: Checkout) -> None:
    assert down(server).returncode == 0
    (server.root / "model" / stand_in_engine.OPTIONS).write_text("--boot-seconds 60")
    up = server.begin("up", "--gpu", server.backend)
    deadline = time.monotonic() + 60
    while not pids(server) and time.monotonic() < deadline:
        time.sleep(0.1)
    before = pids(server)
    done = down(server)
    out, _ = up.communicate(timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"stopped: {server.backend}" in done.stderr
    assert up.returncode == ServerUnhealthy.exit_code, out
    assert "it was stopped meanwhile (inv down)" in out
    assert_gone(server, before)


class Stream(threading.Thread):
    """A client in the middle of a long answer."""

    def __init__(self, server: Checkout) -> None:
        super().__init__()
        self.tokens, self.whole = 0, False
        self.begun = threading.Event()
        self._url = f"http://127.0.0.1:{server.port}/v1/completions"
        self._key = server.key
        self.start()
        assert self.begun.wait(30)

    def run(self) -> None:
        body = {
            "model": stand_in_engine.SERVED, "prompt": "Hello", "max_tokens": TOKENS,
            "ignore_eos": True, "stream": True,
        }  # fmt: skip
        headers = {"Authorization": f"Bearer {self._key}"}
        try:
            with requests.post(
                self._url, json=body, headers=headers, stream=True, timeout=60
            ) as answer:
                for line in answer.iter_lines():
                    self._take(line)
        except requests.RequestException:
            return

    def _take(self, line: bytes) -> None:
        if line == b"data: [DONE]":
            self.whole = True
        elif line.startswith(b"data: "):
            self.tokens += 1
            self.begun.set()


@pytest.mark.parametrize("command", ["down", "restart", "switch"])
def test_an_answer_in_flight_is_finished(server: Checkout, tmp_path: Path, command: str) -> None:
    stream = Stream(server)
    words = {"switch": (str(stand_in_engine.model(tmp_path / "another")),)}.get(command, ())
    done = server.inv(command, *words, "--gpu", server.backend, limit=180)
    stream.join(60)
    assert done.returncode == 0, done.stderr
    assert f"waiting for 1 request in flight, {DRAIN} s at most" in done.stderr
    assert (stream.whole, stream.tokens >= TOKENS) == (True, True)


def test_now_does_not_wait(server: Checkout) -> None:
    stream, before = Stream(server), pids(server)
    done = down(server, "--now")
    stream.join(60)
    assert done.returncode == 0, done.stderr
    assert not stream.whole
    assert_gone(server, before)


def test_ctrl_c_while_it_waits_ends_the_server_at_once(server: Checkout) -> None:
    stream, before = Stream(server), pids(server)
    stopping = server.begin("down", "--gpu", server.backend)
    assert stopping.stdout is not None
    said = stopping.stdout.readline()
    assert "Ctrl-C cuts them off" in said
    os.killpg(stopping.pid, signal.SIGINT)
    out, _ = stopping.communicate(timeout=60)
    stream.join(30)
    assert stopping.returncode == 0, out
    assert "not waiting any longer" in out
    assert not stream.whole
    assert_gone(server, before)


def test_the_state_is_unknown_while_the_engine_of_its_container_is_silent(
    tmp_path: Path, home: Path
) -> None:
    made = stand_in_engine.checkout(tmp_path / "one", home, f"mute-{os.getpid()}")
    made.env["DOCKER_HOST"] = f"unix://{tmp_path}/no.sock"
    kept = run_of(made) / "launch.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"runtime": "docker", "settings": {"PORT": str(free_port())}}))
    entry = made.status()
    assert entry["phase"] == "unknown"
    assert "the Docker Engine does not answer" in entry["detail"]
    chat = made.inv("chat", "hi", limit=90)
    assert chat.returncode == HostNotReady.exit_code
    assert "is unknown" in chat.stderr
    done = down(made)
    assert done.returncode == HostNotReady.exit_code
    assert f"{made.backend} was not stopped: whether it runs is unknown" in done.stderr
    assert kept.exists(), "nothing is forgotten before it is sure"
