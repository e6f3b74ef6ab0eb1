"""A real apt-get behind a real lock, in folders of its own."""

import fcntl
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lifecycle import apt
from lifecycle.errors import CommandFailed
from lifecycle.shell import Shell
from lifecycle.step import Command

pytestmark = pytest.mark.skipif(not shutil.which("apt-get"), reason="there is no apt-get here")
SOME_SECONDS = 3
HOLDER = """
import fcntl, sys, time
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def update(tmp_path: Path) -> Command:
    """`apt-get update` with no lists to fetch, and folders that are nobody else's."""
    (tmp_path / "lists/partial").mkdir(parents=True)
    (tmp_path / "cache/archives/partial").mkdir(parents=True)
    own = {
        "Dir::State::Lists": tmp_path / "lists",
        "Dir::Cache": tmp_path / "cache",
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": "/dev/null",
        "APT::Sandbox::User": "root",
    }
    options = [word for name, value in own.items() for word in ("-o", f"{name}={value}")]
    return Command(("apt-get", "update", "-q", *options), in_turn=True)


def test_update_waits_for_whoever_holds_the_lists(tmp_path: Path, update: Command) -> None:

    lock = tmp_path / "lists/lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(CommandFailed, match="exit 100"):
            Shell().run(update)
        threading.Timer(SOME_SECONDS, holder.stdin.close).start()
        told: list[str] = []
        apt.run(Shell(), update, lambda _: None, told.append)
    assert len(told) == 1
    assert f"(process {holder.pid})" in told[0]


def test_update_that_nobody_holds_up_waits_for_nobody(tmp_path: Path, update: Command) -> None:
    told: list[str] = []
    apt.run(Shell(), update, lambda _: None, told.append)
    assert told == []
    with (tmp_path / "lists/lock").open("w") as free:
        fcntl.lockf(free, fcntl.LOCK_EX | fcntl.LOCK_NB)
