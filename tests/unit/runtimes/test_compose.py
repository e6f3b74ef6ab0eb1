"""A container's state, from what the engine says of it."""

import re
from pathlib import Path

import pytest

from lifecycle import engine, processes
from lifecycle.engine import Container
from lifecycle.host import Launch
from lifecycle.paths import Paths
from lifecycle.runtimes import answer, compose, traces
from lifecycle.runtimes.drain import Patience
from lifecycle.shell import Shell
from tests.unit.given import KEY, PATHS, Checkout, backend

STARTED = Launch("docker", {"PORT": "8000"})
LOG = "ValueError: too big\n"
OURS: dict[str, str] = {}
"""Labels of a container of the checkout that a test is about."""


class World:
    """An engine with one container, or none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.container: Container | None = None
        self.silent = False
        self.log = LOG
        monkeypatch.setattr(engine, "containers", self._containers)
        monkeypatch.setattr(engine, "log", lambda *_: self.log)
        monkeypatch.setattr(processes, "memory_below", lambda _: 7)
        monkeypatch.setattr(answer, "look", lambda *_: ("ready", ("m",), ""))

    def _containers(self, *labels: str) -> list[Container]:
        if self.silent:
            raise engine.EngineSilent(OSError("nobody listens"))
        name, _, value = labels[0].partition("=")
        found = [self.container] if self.container else []
        return [one for one in found if one.labels.get(name) == value]

    def has(
        self,
        state: str,
        restarts: int = 0,
        code: int = 0,
        *,
        oom: bool = False,
        labels: dict[str, str] | None = None,
        cache: str = "",
    ) -> None:
        told = OURS if labels is None else labels
        given = {"/cache": cache} if cache else {}
        name = "vllm-cpu-vllm-1"
        self.container = Container(name, state, 42, 100.0, restarts, code, oom, told, given)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.fixture
def where(checkout: Checkout) -> Paths:
    OURS.clear()
    OURS.update(compose.labels("cpu", checkout.paths, STARTED))
    return checkout.paths


def test_the_project_is_marked_as_ours_and_reads_no_env_file() -> None:
    command = compose.command("cpu", PATHS, "ps")
    assert command[:3] == ("docker", "compose", "--project-name")
    assert re.fullmatch(r"vllm-cpu-[0-9a-f]{6}", command[3])
    assert command[4:] == ("--env-file", "/dev/null", "ps")
    assert KEY not in " ".join(command)


def test_without_a_container_it_is_stopped(world: World, where: Paths) -> None:
    assert world.container is None
    assert compose.status(backend(), where, STARTED).phase == "stopped"
    assert compose.dead("cpu", where, 1) == "it was stopped meanwhile (inv down)"
    where.run("cpu").mkdir(parents=True)
    (where.run("cpu") / "launch.json").touch()
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
    assert followed == ("docker", "logs", "--tail", "5", "--follow", "vllm-cpu-vllm-1")
    kept = where.run("cpu") / compose.LOG
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(LOG)
    world.container = None
    assert compose.follow("cpu", where, 5, on=True)[0] == "tail"


def test_two_homes_have_two_projects() -> None:
    assert compose.project("cpu", Path("/a")) != compose.project("cpu", Path("/b"))
    assert compose.project("cpu", Path("/a")) == compose.project("cpu", Path("/b/../a"))


def test_while_the_engine_is_silent_the_state_is_unknown(world: World, where: Paths) -> None:
    world.silent = True
    found = compose.status(backend(), where, STARTED)
    assert (found.phase, found.alive, found.launch) == ("unknown", False, STARTED)
    assert found.detail == "the Docker Engine does not answer\nnobody listens"
    with pytest.raises(engine.EngineSilent):
        compose.down("cpu", where, Shell(), Patience())


@pytest.mark.parametrize(
    ("labels", "cache", "ours"),
    [
        ({compose.BACKEND: "cpu", compose.HOME: "/elsewhere"}, "", False),
        ({engine.PROJECT: "vllm-cpu"}, "/elsewhere/cache", False),
        ({engine.PROJECT: "vllm-cpu"}, "{home}/cache/vllm-docker/x", True),
        ({engine.PROJECT: "vllm-cpu"}, "{home}-2/cache", False),
        ({engine.PROJECT: "vllm-cpu"}, "", False),
        ({compose.BACKEND: "cpu", compose.HOME: "/gone", compose.CHECKOUT: "{root}"}, "", True),
    ],
    ids=["another home", "another old one", "an old one", "a home with more", "bare", "moved"],
)
def test_a_container_is_of_its_home(
    world: World, where: Paths, labels: dict[str, str], cache: str, *, ours: bool
) -> None:
    put = {"{home}": str(where.home), "{root}": str(where.root)}
    told = {name: put.get(text, text) for name, text in labels.items()}
    world.has("running", labels=told, cache=cache.replace("{home}", str(where.home)))
    assert bool(compose.containers("cpu", where)) == ours


def test_what_a_container_carries_counts_whatever_became_of_the_copy(
    world: World, where: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///x")
    world.has("running")
    assert traces.look("cpu", where) == traces.Traces("docker", STARTED)
    world.silent = True
    assert traces.look("cpu", where) == traces.Traces(), "no note of a container either"
    where.run("cpu").mkdir(parents=True)
    (where.run("cpu") / compose.ENVIRONMENT).touch()
    assert "does not answer" in traces.look("cpu", where).unknown


@pytest.mark.parametrize(
    ("checkout_of_it", "same_key", "owner"),
    [
        ("{root}", False, ""),
        ("/home/me/gone", True, ""),
        ("/home/me/gone", False, "/home/me/gone"),
        ("{other}", True, "{other}"),
        ("", True, ""),
        ("", False, traces.UNKNOWN),
    ],
)
def test_a_server_belongs_to_the_checkout_that_started_it(
    where: Paths, tmp_path: Path, checkout_of_it: str, owner: str, *, same_key: bool
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "tasks.py").touch()
    put = {"{root}": str(where.root), "{other}": str(other)}
    started = Launch("venv", {"VLLM_API_KEY": "a"}, put.get(checkout_of_it, checkout_of_it))
    found = traces.owner(started, where, "a" if same_key else "b")
    assert found == put.get(owner, owner)
