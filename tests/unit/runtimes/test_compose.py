"""A container's state, from what the engine says of it."""

import pytest

from lifecycle import engine, processes
from lifecycle.engine import Container
from lifecycle.host import Launch
from lifecycle.paths import Paths
from lifecycle.runtimes import answer, compose
from tests.unit.given import KEY, Checkout, backend

STARTED = Launch("docker", {"PORT": "8000"})
LOG = "ValueError: too big\n"


class World:
    """An engine with one container, or none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.container: Container | None = None
        monkeypatch.setattr(engine, "container", lambda _: self.container)
        self.log = LOG
        monkeypatch.setattr(engine, "log", lambda *_: self.log)
        monkeypatch.setattr(processes, "memory_below", lambda _: 7)
        monkeypatch.setattr(answer, "look", lambda *_: ("ready", ("m",), ""))

    def has(self, state: str, restarts: int = 0, code: int = 0, *, oom: bool = False) -> None:
        self.container = Container("vllm-cpu-vllm-1", state, 42, 100.0, restarts, code, oom)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.fixture
def where(checkout: Checkout) -> Paths:
    return checkout.paths


def test_the_project_is_marked_as_ours_and_reads_no_env_file() -> None:
    command = compose.command("cpu", "ps")
    assert command[:4] == ("docker", "compose", "--project-name", "vllm-cpu")
    assert command[4:] == ("--env-file", "/dev/null", "ps")
    assert KEY not in " ".join(command)


def test_without_a_container_it_is_stopped(world: World, where: Paths) -> None:
    assert world.container is None
    assert compose.status(backend(), where, STARTED).phase == "stopped"
    assert compose.dead("cpu", where, 1) == "its container is gone"
    assert (compose.starts("cpu", where), compose.log("cpu", where)) == (1, "")


def test_a_running_container_is_what_its_server_says(world: World, where: Paths) -> None:
    world.has("running", restarts=2)
    found = compose.status(backend(), where, STARTED)
    assert (found.phase, found.pid, found.restarts, found.memory) == ("ready", 42, 2, 7)
    assert found.log == "docker logs vllm-cpu-vllm-1"


@pytest.mark.parametrize("state", ["exited", "dead"])
def test_a_container_that_ended_has_failed_with_its_cause(
    world: World, where: Paths, state: str
) -> None:
    world.has(state)
    assert compose.status(backend(), where, STARTED).detail == "ValueError: too big"
    assert compose.dead("cpu", where, 1) == "ValueError: too big"


@pytest.mark.parametrize(
    ("state", "oom", "told"),
    [
        ("exited", False, "killed by signal 9 (perhaps out of memory), tried 3 times"),
        ("restarting", True, "killed by signal 9 (out of memory: the kernel ended it), tried 3"),
    ],
)
def test_a_container_that_was_killed_says_so_and_its_answers_are_no_cause(
    world: World, where: Paths, state: str, told: str, *, oom: bool
) -> None:
    world.log = 'INFO:     127.0.0.1:1 - "GET /v1/models HTTP/1.1" 200 OK\n' * 4
    world.has(state, 2, 137, oom=oom)
    found = compose.status(backend(), where, STARTED)
    assert told in found.detail
    assert "GET" not in found.detail
    assert found.restarts == 2
    assert told in compose.dead("cpu", where, 1)


@pytest.mark.parametrize(("restarts", "why"), [(0, ""), (1, "ValueError: too big")])
def test_a_container_that_was_started_again_had_died(
    world: World, where: Paths, restarts: int, why: str
) -> None:
    world.has("running", restarts)
    assert compose.dead("cpu", where, 1) == why


def test_the_log_of_a_container_is_followed_and_that_of_a_gone_one_was_kept(
    world: World, where: Paths
) -> None:
    world.has("running")
    followed = compose.follow("cpu", where, 5, on=True)
    assert followed[:2] == ("docker", "compose")
    assert {"logs", "--no-log-prefix", "--follow"} <= set(followed)
    kept = where.run("cpu") / compose.LOG
    kept.parent.mkdir(parents=True)
    kept.write_text(LOG)
    world.container = None
    assert compose.follow("cpu", where, 5, on=True)[0] == "tail"
