"""The guard with a stand-in for vLLM: whoever dies first, nothing is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lifecycle.runtimes import guard

SERVER = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("engine", child.pid, flush=True)
time.sleep(600)
"""
LEADER = """
import subprocess, sys
print(subprocess.Popen(sys.argv[1:]).wait(), flush=True)
"""


def eventually(holds: Callable[[], bool], limit: float = 10) -> bool:
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.05)
    return False


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Family:
    """A session leader in supervisord's place, a guard, a server, its engine process."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, guard.__file__, str(folder), sys.executable, "-c", SERVER]
        self.leader = subprocess.Popen(
            [sys.executable, "-c", LEADER, *command],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.leader.stdout is not None
        assert self.leader.stdout.readline().startswith("=== start 1")
        self.engine = int(self.leader.stdout.readline().split()[1])
        (self.guard,) = (p.pid for p in psutil.Process(self.leader.pid).children())
        (self.server,) = (p.pid for p in psutil.Process(self.guard).children())

    def end(self) -> None:
        for pid in (self.leader.pid, self.guard, self.server, self.engine):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.leader.communicate()


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    made = Family(tmp_path)
    yield made
    made.end()


def test_a_killed_server_takes_its_engine_along(family: Family) -> None:
    os.kill(family.server, signal.SIGKILL)
    assert eventually(lambda: not alive(family.engine))
    assert eventually(lambda: not alive(family.guard))


def test_a_killed_leader_takes_all_along(family: Family) -> None:
    os.kill(family.leader.pid, signal.SIGKILL)
    for pid in (family.server, family.engine, family.guard):
        assert eventually(lambda pid=pid: not alive(pid)), pid  # type: ignore[misc]


def test_a_killed_guard_takes_the_server_along_and_the_next_one_sweeps(
    family: Family, tmp_path: Path
) -> None:
    os.kill(family.guard, signal.SIGKILL)
    assert eventually(lambda: not alive(family.server))
    assert (tmp_path / guard.STARTS).read_text() == "1"
    leader, _ = (tmp_path / guard.SESSION).read_text().split()
    assert int(leader) == family.leader.pid


def test_asked_to_stop_it_ends_well(family: Family) -> None:
    os.kill(family.guard, signal.SIGTERM)
    out, _ = family.leader.communicate(timeout=10)
    assert out.splitlines()[-1] == "0"
    assert not alive(family.engine)
