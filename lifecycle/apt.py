"""apt-get and dpkg in their turn: whoever else is at work is waited for, what was cut off is ended.

In the first minutes of a fresh Ubuntu its own services hold the locks, and `apt-get update` gives
up at once: DPkg::Lock::Timeout does not count for the lists (apt 2.6 and 2.9, tried).
"""

import re
import time
from collections.abc import Callable
from dataclasses import replace

from lifecycle.errors import CommandFailed
from lifecycle.shell import Shell
from lifecycle.step import Command

LOCK_SECONDS = 600
"""How long a lock of somebody else's is waited for: unattended-upgrades takes minutes."""
PAUSE_SECONDS = 2
ENGLISH = {"LC_ALL": "C"}
"""What is read below must not be translated. sudo lets it through: env_check of sudoers(5)."""
HELD = re.compile(
    r"Could not get lock (?P<file>[^ ]+?)\.? It is held by process (?P<pid>\d+) \((?P<name>[^)]*)\)"
    r"|locked by another process with pid (?P<only_pid>\d+)"
    r"|Could not get lock (?P<only_file>[^ ]+)"
)
"""apt-pkg/contrib/fileutl.cc (GetLock) and dpkg's lib/dpkg/dbmodify.c."""
INTERRUPTED = "dpkg was interrupted"
"""apt-pkg/deb/debsystem.cc (debSystem::Lock)."""


def run(
    shell: Shell, command: Command, on_line: Callable[[str], None], tell: Callable[[str], None]
) -> None:
    """Run a command of apt's or dpkg's; tells once whom it waits for.

    Raises:
        CommandFailed: for any other reason, or when the lock was not free in `LOCK_SECONDS`.
    """
    until = time.monotonic() + LOCK_SECONDS
    told: set[str] = set()
    mended = False

    def watch(line: str) -> None:
        held = HELD.search(line)
        if held and holder(held) not in told:
            told.add(holder(held))
            tell(
                f"apt is in use by {holder(held)}: "
                f"waiting, for {LOCK_SECONDS // 60} minutes at most"
            )
        on_line(line)

    while True:
        try:
            shell.run(replace(command, env={**command.env, **ENGLISH}), watch)
        except CommandFailed as failure:
            if INTERRUPTED in failure.why and not mended:
                mended = True
                tell("an installation was cut off before: finishing it first")
                shell.run(finishing(command), on_line)
                continue
            held = HELD.search(failure.why)
            if not held:
                raise
            if time.monotonic() >= until:
                failure.fix = f"Wait for {holder(held)} to end, then run the same command again."
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return


def holder(held: re.Match[str]) -> str:
    """Who has the lock: `unattended-upgr (process 812)`, as far as the message tells."""
    pid = held["pid"] or held["only_pid"]
    if held["name"]:
        return f"{held['name']} (process {pid})"
    return f"process {pid}" if pid else f"whoever holds {held['only_file'].rstrip('.')}"


def finishing(command: Command) -> Command:
    """What ends an installation that was cut off, by the same way to root."""
    first = ("sudo",) if command.argv[0] == "sudo" else ()
    quiet = ("env", "DEBIAN_FRONTEND=noninteractive")
    return Command((*first, *quiet, "dpkg", "--configure", "-a"), env=ENGLISH)
