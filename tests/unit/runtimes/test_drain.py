"""Waiting for requests in flight: as long as there are any, and no longer than told."""

from types import SimpleNamespace

import pytest

from lifecycle import http
from lifecycle.host import Launch
from lifecycle.runtimes import drain
from lifecycle.runtimes.drain import Patience
from tests.fake_vllm.metrics import RECORDED


class World:
    """What the server says of itself, look by look, and a clock that only sleeping moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.says: list[int | None] = []
        self.looks = 0
        self.now = 0.0
        monkeypatch.setattr(http, "unfinished", self._look)
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=self._sleep)
        monkeypatch.setattr(drain, "time", clock)

    def _look(self, url: str) -> int | None:
        assert url in {"http://x", "http://127.0.0.1:8000"}
        self.looks += 1
        return self.says.pop(0) if len(self.says) > 1 else self.says[0]

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, limit: float = 30) -> int | None:
        return drain.wait("http://x", limit)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.parametrize(
    ("says", "looks"),
    [([0], 2), ([3, 2, 0], 4), ([0, 1, 0], 4), ([1, 0, 2, 0], 5)],
)
def test_it_ends_when_there_was_nothing_to_do_twice_in_a_row(
    world: World, says: list[int | None], looks: int
) -> None:
    world.says = says
    assert world.wait() == 0
    assert world.looks == looks


def test_what_takes_longer_than_told_is_left(world: World) -> None:
    world.says = [5, 2]
    assert world.wait(limit=10) == 2
    assert world.now == pytest.approx(10, abs=drain.ASK_SECONDS)


@pytest.mark.parametrize("says", [[None], [2, None]])
def test_a_server_that_does_not_tell_or_is_gone_is_not_waited_for(
    world: World, says: list[int | None]
) -> None:
    world.says = says
    assert world.wait() is None


@pytest.mark.parametrize(
    ("drains", "now", "says", "told", "waits"),
    [
        ("45", False, [2], ["waiting for 2 requests in flight, 45 s at most"], False),
        ("45", False, [0], [], False),
        ("45", True, [2], [], False),
        ("0", False, [2], [], False),
        ("", False, [1, 0], ["waiting for 1 request in flight, 30 s at most"], True),
        ("", False, [3], ["waiting for 3 requests", "3 requests not done after 30 s"], True),
    ],
    ids=["by itself", "idle", "now", "not wanted", "an old server", "an old server, too long"],
)
def test_who_stops_a_server_says_whom_it_waits_for(
    world: World, drains: str, says: list[int | None], told: list[str], *, now: bool, waits: bool
) -> None:
    world.says = says
    lines: list[str] = []
    settings = {"PORT": "8000", **({drain.KEY: drains} if drains else {})}
    drain.begin(Launch("venv", settings), Patience(now=now, tell=lines.append))
    assert len(lines) == len(told)
    assert all(line.startswith(begin) for line, begin in zip(lines, told, strict=True))
    assert (world.now > 0) == waits, "a server of now waits by itself, once it is told to end"


@pytest.mark.parametrize(("drains", "seconds"), [(0, 20), (5, 20), (30, 40), (600, 610)])
def test_a_stop_has_the_time_of_the_requests_and_some_to_end(drains: int, seconds: int) -> None:
    assert drain.stop_seconds(drains) == seconds


def counted(monkeypatch: pytest.MonkeyPatch, text: str, *, ok: bool = True) -> int | None:
    answer = SimpleNamespace(text=text, ok=ok)
    session = SimpleNamespace(get=lambda *_, **__: answer)
    monkeypatch.setattr(http, "_session", lambda: session)
    return http.unfinished("http://x")


def test_requests_are_counted_over_all_engines_and_none_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorded = RECORDED.read_text()
    assert counted(monkeypatch, recorded) == 0
    busy = recorded.replace('num_requests_running{engine="0",model_name="smollm2-135m"} 0.0',
                            'num_requests_running{engine="0",model_name="a b}"} 2.0')  # fmt: skip
    busy = busy.replace('reason="capacity"} 0.0', 'reason="capacity"} 1.0')
    waiting = '\nvllm:num_requests_waiting{engine="1",model_name="x"} 1.0\n'
    assert counted(monkeypatch, busy + waiting) == 3


@pytest.mark.parametrize("text", ["", "vllm:num_requests_running{} many\n", "<html>"])
def test_what_tells_nothing_is_not_taken_for_idle(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    assert counted(monkeypatch, text) is None
    assert counted(monkeypatch, RECORDED.read_text(), ok=False) is None


@pytest.mark.parametrize(
    ("says", "idle"),
    [([0], True), ([2], False), ([None], False), ([0, 0, 1, 0], False)],
    ids=["nothing to do", "busy", "silent", "busy again"],
)
def test_a_server_that_only_hangs_is_told_by_its_counters(
    world: World, says: list[int | None], *, idle: bool
) -> None:
    world.says = says
    hangs = drain.Idle(Launch("venv", {"PORT": "8000"}))
    looks = []
    for _ in range(5):
        looks.append(hangs())
        world.now += drain.ENDING / 4
    assert looks == [False, False, False, False, idle]
