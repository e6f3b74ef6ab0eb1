"""The guard's pure parts; what it does to processes is tested in tests/integration."""

import ast
import os
import sys
from pathlib import Path

import pytest

from lifecycle.runtimes import guard


def test_the_first_start_is_number_one_and_the_next_counts_on(tmp_path: Path) -> None:
    starts = tmp_path / guard.STARTS
    assert [guard.count(starts) for _ in range(3)] == [1, 2, 3]
    assert starts.read_text() == "3"


@pytest.mark.parametrize("text", ["", "many"])
def test_a_broken_count_begins_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / guard.STARTS).write_text(text)
    assert guard.count(tmp_path / guard.STARTS) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_session_is_named_by_its_leader_and_the_tick_of_its_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The leader of whoever runs the tests may live outside our process namespace (getsid is 0).
    monkeypatch.setattr(os, "getsid", lambda _: os.getpid())
    leader, tick = guard.session().split()
    assert int(leader) == os.getpid()
    assert int(tick) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_we_are_among_the_processes_of_our_session() -> None:
    assert os.getpid() in guard.processes()


def test_it_needs_nothing_but_the_standard_library() -> None:
    # It is copied beside the server and outlives the checkout.
    tree = ast.parse(Path(guard.__file__).read_text())
    plain = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    named = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {str(name).split(".")[0] for name in plain | named} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    ("path", "rest"), [("/usr/bin:/bin", ":/usr/bin:/bin"), ("", ""), (None, "")]
)
def test_the_server_finds_the_engines_own_programs_before_all_others(
    path: str | None, rest: str
) -> None:
    environ = {"HOME": "/home/user"} | ({} if path is None else {"PATH": path})
    own = str(Path(sys.executable).parent)
    assert guard.with_own_programs(environ) == {"HOME": "/home/user", "PATH": f"{own}{rest}"}
