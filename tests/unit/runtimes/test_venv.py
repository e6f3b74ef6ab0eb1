"""A supervised server's state, from what supervisord, the guard's files and the log say."""

from pathlib import Path

import pytest

from lifecycle import processes, supervisord
from lifecycle.host import Launch, Server
from lifecycle.paths import Paths
from lifecycle.processes import Process
from lifecycle.runtimes import answer, launch, traces, venv
from lifecycle.supervisord import Supervised
from tests.unit.given import Checkout, backend

STARTED = Launch("venv", {"PORT": "8000"})
LEADER = Process(9, 1, 0, 99.0, 9)
GUARD, SERVER = Process(10, 9, 5, 100.0, 9), Process(11, 10, 7, 101.0, 9)


@pytest.fixture
def where(checkout: Checkout) -> Paths:
    checkout.paths.run("cpu").mkdir(parents=True)
    return checkout.paths


def note(where: Paths, **files: str) -> None:
    for name, text in files.items():
        (where.run("cpu") / name.replace("_", ".")).write_text(text)


def status(
    where: Paths,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    family: tuple[Process, ...] = (LEADER, GUARD, SERVER),
) -> Server:
    told = Supervised(state, pid=10, since=100.0)
    monkeypatch.setattr(supervisord, "ask", lambda _: told)
    monkeypatch.setattr(processes, "family", lambda *_: list(family))
    monkeypatch.setattr(answer, "look", lambda *_: ("ready", ("m",), "said"))
    return venv.status(backend(), where, STARTED)


def test_without_a_supervisor_it_is_stopped(where: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    found = status(where, monkeypatch, "", ())
    assert (found.phase, found.alive, found.launch) == ("stopped", False, STARTED)


def test_without_its_socket_it_is_what_it_answers(
    where: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = status(where, monkeypatch, "")
    assert (found.phase, found.pid, found.memory) == ("ready", 11, 12)


def test_without_its_supervisor_it_has_failed(
    where: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = status(where, monkeypatch, "", (GUARD, SERVER))
    assert (found.phase, found.alive) == ("failed", False)
    assert found.detail == "its supervisor was ended by force; still there: 10, 11"


def test_a_running_server_is_the_child_of_the_guard(
    where: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(where, starts="3", session="9 77")
    found = status(where, monkeypatch, "RUNNING")
    assert (found.phase, found.pid, found.since, found.restarts) == ("ready", 11, 101.0, 2)
    assert (found.memory, found.models) == (12, ("m",))


@pytest.mark.parametrize("state", ["FATAL", "EXITED", "STOPPED"])
def test_a_server_that_was_given_up_has_failed_with_its_cause(
    where: Paths, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    note(where, server_log="=== start 1 at 10:00 ===\nValueError: too big\n=== end: exit 1 ===\n")
    found = status(where, monkeypatch, state)
    assert (found.phase, found.detail) == ("failed", "ValueError: too big")


def test_a_server_that_was_killed_again_and_again_says_so(
    where: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = 'INFO:     127.0.0.1:1 - "GET /v1/models HTTP/1.1" 200 OK\n'
    starts = (f"=== start {n} at 10:00 ===\n{access}=== end: exit -9 ===\n" for n in range(1, 7))
    note(where, starts="6", server_log="".join(starts))
    found = status(where, monkeypatch, "FATAL")
    assert found.detail == "killed by signal 9 (perhaps out of memory), tried 6 times"
    assert found.restarts == 5
    assert venv.dead("cpu", where, 1) == found.detail


def test_a_server_between_two_starts_says_that_it_crashed(
    where: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    note(where, server_log="=== start 1 at 10:00 ===\nValueError: too big\n")
    found = status(where, monkeypatch, "BACKOFF")
    assert (found.phase, found.alive) == ("start", True)
    assert found.detail == "crashed, starting again: ValueError: too big"


@pytest.mark.parametrize(
    ("state", "starts", "why"),
    [
        ("RUNNING", "1", ""),
        ("STARTING", "1", ""),
        ("RUNNING", "2", "ValueError: no"),
        ("FATAL", "1", "ValueError: no"),
        ("", "1", "its supervisor ended"),
    ],
)
def test_it_is_dead_once_it_was_started_again_or_given_up(
    where: Paths, monkeypatch: pytest.MonkeyPatch, state: str, starts: str, why: str
) -> None:
    note(where, starts=starts, server_log="ValueError: no\n", launch_json="{}")
    monkeypatch.setattr(supervisord, "ask", lambda _: Supervised(state))
    assert venv.dead("cpu", where, 1) == why


def test_a_start_that_was_stopped_meanwhile_says_so(
    where: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisord, "ask", lambda _: Supervised())
    assert venv.dead("cpu", where, 1) == "it was stopped meanwhile (inv down)"


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"runtime": "venv"}'])
def test_what_it_carries_counts_whatever_became_of_the_copy(
    where: Paths, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    told = Launch("venv", {"PORT": "8000"}, "/home/me/other")
    note(where, launch_json=damage)
    monkeypatch.setattr(processes, "family", lambda *_: [LEADER, GUARD])
    carried = {GUARD.pid: launch.carried(told)}
    monkeypatch.setattr(processes, "variable", lambda pid, _: carried.get(pid, ""))
    assert traces.look("cpu", where) == traces.Traces("venv", told)


@pytest.mark.parametrize(("text", "number"), [("4", 4), ("", 1), ("many", 1)])
def test_the_number_of_starts_is_the_guards(where: Paths, text: str, number: int) -> None:
    assert venv.starts("cpu", where) == 1
    note(where, starts=text)
    assert venv.starts("cpu", where) == number


def test_the_log_is_that_of_the_present_start(where: Paths) -> None:
    assert venv.log("cpu", where) == ""
    note(where, server_log="=== start 1 ===\nold\n=== start 2 ===\nnew\n")
    assert venv.log("cpu", where) == "=== start 2 ===\nnew\n"


def test_only_the_end_of_a_long_log_is_read(where: Paths) -> None:
    note(where, server_log="x" * 2 * venv.TAIL_BYTES)
    assert len(venv.log("cpu", where)) == venv.TAIL_BYTES


def test_a_log_is_followed_through_its_rotation(where: Paths) -> None:
    file = str(where.run("cpu") / "server.log")
    assert venv.follow("cpu", where, 5, on=True) == ("tail", "-n", "5", "-F", file)
    assert venv.follow("cpu", where, 5, on=False) == ("tail", "-n", "5", file)


def test_the_socket_is_in_the_state_folder_however_long_its_path_is() -> None:
    run = Path("/data") / ("x" * 120) / "run" / "cpu"
    assert venv.socket(run) == run / "supervisor.sock"
