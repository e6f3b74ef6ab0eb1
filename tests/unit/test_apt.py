"""apt's locks: whom we wait for, for how long, and what was cut off before."""

import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from lifecycle import apt
from lifecycle.errors import CommandFailed
from lifecycle.shell import Shell, nothing
from lifecycle.step import Command

UPDATE = Command(("sudo", "apt-get", "update", "-q"), in_turn=True)
LISTS = (
    "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 812 (apt-get)\n"
    "E: Unable to lock directory /var/lib/apt/lists/"
)
FRONTEND = (
    "E: Could not get lock /var/lib/dpkg/lock-frontend. "
    "It is held by process 99 (unattended-upgr)\n"
    "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process "
    "using it?"
)
OLD = "E: Could not get lock /var/lib/apt/lists/lock - open (11: Resource temporarily unavailable)"
DPKG = "dpkg: error: dpkg frontend lock was locked by another process with pid 4711"
CLOSED = "E: Could not open lock file /var/lib/apt/lists/lock - open (13: Permission denied)"
CUT = (
    "E: dpkg was interrupted, you must manually run 'sudo dpkg --configure -a' "
    "to correct the problem."
)


class Busy(Shell):
    """Fails as often as it has words for; writes down what it was given to run."""

    def __init__(self, *said: str) -> None:
        super().__init__()
        self.said = list(said)
        self.ran: list[Command] = []

    def run(self, command: Command, on_line: Callable[[str], None] = nothing) -> None:
        self.ran.append(command)
        if self.said and "dpkg" not in command.argv:
            text = self.said.pop(0)
            for line in text.splitlines():
                on_line(line)
            raise CommandFailed(f"this command failed (exit 100): {command}", why=text)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a person is told; time passes only where somebody sleeps."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(apt, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=sleep))
    return []


@pytest.mark.parametrize(
    ("said", "who"),
    [
        (LISTS, "apt-get (process 812)"),
        (FRONTEND, "unattended-upgr (process 99)"),
        (DPKG, "process 4711"),
        (OLD, "whoever holds /var/lib/apt/lists/lock"),
    ],
)
def test_a_held_lock_is_waited_for_and_its_holder_named_once(
    said: str, who: str, told: list[str]
) -> None:
    shell = Busy(said, said, said)
    apt.run(shell, UPDATE, lambda _: None, told.append)
    assert len(shell.ran) == 4
    assert told == [f"apt is in use by {who}: waiting, for 10 minutes at most"]


def test_the_next_holder_is_named_too(told: list[str]) -> None:
    apt.run(Busy(LISTS, FRONTEND), UPDATE, lambda _: None, told.append)
    assert [re.search(r"process \d+", one)[0] for one in told] == ["process 812", "process 99"]  # type: ignore[index]


def test_a_lock_that_is_never_free_ends_it_with_whom_to_wait_for(told: list[str]) -> None:
    shell = Busy(*[LISTS] * 10_000)
    with pytest.raises(CommandFailed) as caught:
        apt.run(shell, UPDATE, lambda _: None, told.append)
    assert "apt-get (process 812)" in caught.value.fix
    assert len(shell.ran) == apt.LOCK_SECONDS / apt.PAUSE_SECONDS + 1


@pytest.mark.parametrize(
    "said", [CLOSED, "E: Unable to locate package nvidia-container-toolkit", ""]
)
def test_whatever_waiting_does_not_mend_is_told_at_once(said: str, told: list[str]) -> None:
    shell = Busy(said)
    with pytest.raises(CommandFailed):
        apt.run(shell, UPDATE, lambda _: None, told.append)
    assert (len(shell.ran), told) == (1, [])


@pytest.mark.parametrize("root", [True, False])
def test_an_installation_that_was_cut_off_is_ended_first_and_once(
    root: bool,  # noqa: FBT001 - a parameter of the test
    told: list[str],
) -> None:
    install = Command((*(() if root else ("sudo",)), "apt-get", "install", "x"), in_turn=True)
    shell = Busy(CUT)
    apt.run(shell, install, lambda _: None, told.append)
    mended = " ".join(shell.ran[1].argv)
    assert (
        mended == f"{'' if root else 'sudo '}env DEBIAN_FRONTEND=noninteractive dpkg --configure -a"
    )
    assert [one.argv for one in shell.ran] == [install.argv, shell.ran[1].argv, install.argv]
    with pytest.raises(CommandFailed):
        apt.run(Busy(CUT, CUT), install, lambda _: None, told.append)


def test_it_is_read_in_english_whatever_the_language_here(told: list[str]) -> None:
    shell = Busy()
    apt.run(shell, UPDATE, lambda _: None, told.append)
    assert shell.ran[0].env["LC_ALL"] == "C"
    assert shell.ran[0].argv == UPDATE.argv
