"""Waiting for a server: until it generates, dies, or makes no progress."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from lifecycle import http
from lifecycle.errors import ServerDied, ServerUnhealthy
from lifecycle.paths import paths
from lifecycle.runtimes import boot_log, ready
from lifecycle.step import AwaitReady
from tests.fake_vllm.boot import BOOT, CRASH
from tests.unit.given import KEY, PATHS

ACTION = AwaitReady("cpu", "venv", "http://127.0.0.1:8000", "mine", KEY, stall=10)
BOOTED = BOOT.read_text()
FIGURES = Path(__file__).parent / "memory_log" / "v0-0.7-negative.log"


class World:
    """A server that can be listed after some polls, and a clock that only sleeping moves."""

    listed: Iterator[tuple[str, ...] | None]

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.listed = iter(())
        self.why_dead = self.log = self.broken = ""
        self.now = 0.0
        self.phases: list[str] = []
        server = SimpleNamespace(starts=lambda *_: 3, dead=self._dead, log=lambda *_: self.log)
        monkeypatch.setattr(ready, "runtime", lambda _: server)
        monkeypatch.setattr(ready, "ASK_SECONDS", 1.0)
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=self._sleep)
        monkeypatch.setattr(ready, "time", clock)
        monkeypatch.setattr(http, "models", lambda *_: next(self.listed, None))
        monkeypatch.setattr(http, "generation", lambda *_: self.broken)

    def _dead(self, backend: str, paths: object, starts: int) -> str:
        assert (backend, paths, starts) == ("cpu", PATHS, 3)
        return self.why_dead

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self) -> None:
        ready.wait(ACTION, PATHS, lambda phase, _: self.phases.append(phase))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_it_ends_when_the_name_is_listed_and_a_generation_came_back(world: World) -> None:
    world.listed, world.log = iter((None, None, ("mine",))), BOOTED
    world.wait()
    assert (world.now, world.phases) == (2.0, ["warm-up"] * 3)


def test_a_dead_server_is_told_with_its_cause(world: World) -> None:
    world.why_dead = "ValueError: too big"
    with pytest.raises(ServerDied, match="the server of cpu died in phase start") as caught:
        world.wait()
    assert (caught.value.why, world.now) == ("ValueError: too big", 0.0)
    assert "inv logs --gpu cpu" in caught.value.fix


def test_a_log_that_does_not_grow_is_no_progress(world: World) -> None:
    world.log = "one line"
    with pytest.raises(ServerUnhealthy, match="no progress for 10 s in phase start") as caught:
        world.wait()
    assert "one line" in caught.value.why
    assert world.now == 11.0


def test_a_server_that_lists_and_does_not_generate_is_unhealthy(world: World) -> None:
    world.listed, world.broken = iter((("mine",),)), "HTTP 500"
    with pytest.raises(ServerUnhealthy, match="does not generate") as caught:
        world.wait()
    assert caught.value.why == "HTTP 500"


def test_another_server_on_the_port_is_told(world: World) -> None:
    world.listed = iter((("theirs",),))
    with pytest.raises(ServerUnhealthy, match="serves theirs, not mine"):
        world.wait()


def test_a_start_that_lacked_memory_names_the_length_that_fits(world: World) -> None:
    world.log, world.why_dead = "", boot_log.cause(CRASH.read_text())
    with pytest.raises(ServerDied) as caught:
        world.wait()
    assert "(0.18 GiB KV cache is needed" in caught.value.why
    assert "MAX_MODEL_LEN=768 or less in env/cpu.env" in caught.value.fix
    assert "inv logs --gpu cpu" in caught.value.fix


def test_it_names_the_file_where_the_model_was_chosen(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chosen = tmp_path / "env" / "local" / "cpu.env"
    chosen.parent.mkdir(parents=True)
    chosen.write_text("MODEL=m\n")
    monkeypatch.setattr(f"{__name__}.PATHS", paths({"LIFECYCLE_HOME": "home"}, tmp_path))
    world.why_dead = boot_log.cause(CRASH.read_text())
    with pytest.raises(ServerDied) as caught:
        world.wait()
    assert "MAX_MODEL_LEN=768 or less in env/local/cpu.env" in caught.value.fix


def test_figures_of_the_log_are_added_to_a_cause_without_any(world: World) -> None:
    world.log = FIGURES.read_text()

    def die(*_: str) -> None:
        world.why_dead = "ValueError: No available memory for the cache blocks."

    with pytest.raises(ServerDied) as caught:
        ready.wait(ACTION, PATHS, die)
    assert "weights 5.20 GiB" in caught.value.why
    assert "GPU_MEMORY_UTILIZATION" in caught.value.fix
