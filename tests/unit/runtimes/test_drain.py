"""Waiting for requests in flight: as long as there are any, and no longer than told."""

from types import SimpleNamespace

import pytest

from lifecycle import http
from lifecycle.runtimes import drain
from tests.fake_vllm.metrics import RECORDED


class World:
    """What the server says of itself, look by look, and a clock that only sleeping moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.says: list[int | None] = []
        self.looks = 0
        self.now = 0.0
        self.told: list[int] = []
        monkeypatch.setattr(http, "unfinished", self._look)
        clock = SimpleNamespace(monotonic=lambda: self.now, sleep=self._sleep)
        monkeypatch.setattr(drain, "time", clock)

    def _look(self, url: str) -> int | None:
        assert url == "http://x"
        self.looks += 1
        return self.says.pop(0) if len(self.says) > 1 else self.says[0]

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def wait(self, limit: float = 30) -> int | None:
        return drain.wait("http://x", self.told.append, limit)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.mark.parametrize(
    ("says", "looks", "told"),
    [([0], 2, []), ([3, 2, 0], 4, [3]), ([0, 1, 0], 4, [1]), ([1, 0, 2, 0], 5, [1])],
)
def test_it_ends_when_there_was_nothing_to_do_twice_in_a_row(
    world: World, says: list[int | None], looks: int, told: list[int]
) -> None:
    world.says = says
    assert world.wait() == 0
    assert (world.looks, world.told) == (looks, told)


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
