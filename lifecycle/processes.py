"""The door to what runs already: whose memory, whose port, and the end of what was left behind."""

import contextlib
import ipaddress
import os
import re
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

LOOK_SECONDS = 0.3
SERVERS = re.compile(r"python|traefik|vllm", re.IGNORECASE)
"""What a server's processes are called. A pager or a shell in the same folder is a person's."""


@dataclass(frozen=True)
class Process:
    """A running process; memory in bytes, `since` in seconds since the epoch.

    Args:
        session: number of the process that leads (or led) its session.
    """

    pid: int
    parent: int
    memory: int
    since: float
    session: int = 0


def family(folder: Path, marks: Collection[str], noted: tuple[int, int] | None) -> list[Process]:
    """A supervisor that works in a folder, and all that it started, whoever their parent is by now.

    By what the processes themselves carry, so that lost notes hide nobody. The supervisor and the
    guard name a file of the folder in their command lines, whatever way led to it. All below them
    are of the same session: a crashed vLLM leaves its engine process behind under another parent,
    with all its memory, but it cannot lose its session nor the folder it works in.

    Args:
        marks: names of files in the folder that only our command lines hold.
        noted: leader of the session and the tick of its start, as it was written down; a leader
            with another tick is not ours.
    """
    if not os.path.isdir("/proc"):  # noqa: PTH112 - no servers run on such a system
        return []
    place = os.path.realpath(folder)
    known = [_Entry(int(one.name)) for one in Path("/proc").glob("[0-9]*")]
    sessions = {one.session for one in known if one.works_for(place, marks)}
    if noted and _ticks(noted[0]) in {noted[1], None}:
        sessions.add(noted[0])
    sessions |= {one.session for one in known if one.left_behind(place)}
    return [
        process
        for one in known
        if one.session in sessions and (process := _process(one.pid, one.session))
    ]


def variable(pid: int, name: str) -> str:
    """A variable a process was started with; "" when it has none or may not be looked into."""
    with contextlib.suppress(OSError):
        for pair in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            key, _, value = pair.partition(b"=")
            if key == name.encode():
                return value.decode("utf-8", "replace")
    return ""


def folder(pid: int) -> str:
    """The folder a process works in; "" when nobody tells."""
    with contextlib.suppress(OSError):
        return str(Path(f"/proc/{pid}/cwd").readlink())
    return ""


class _Entry:
    """A process as far as it takes to know whose it is; one that is gone belongs to nobody."""

    def __init__(self, pid: int) -> None:
        self.pid, self.session, self.words = pid, -1, list[str]()
        with contextlib.suppress(OSError):
            self.session = os.getsid(pid)
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
            self.words = [os.fsdecode(word) for word in raw.split(b"\0")]

    def works_for(self, place: str, marks: Collection[str]) -> bool:
        """Whether it is a supervisor or guard of the folder."""
        files = [word for word in self.words if os.path.basename(word) in marks]  # noqa: PTH119
        places = [os.path.realpath(os.path.dirname(word)) for word in files if "/" in word]  # noqa: PTH120
        # Of a folder that was moved meanwhile the kernel knows the new place, the words the old.
        return bool(files) and (place in places or folder(self.pid) == place)

    def left_behind(self, place: str) -> bool:
        """Whether it is a server's process in the folder whose supervisor is gone."""
        return (
            bool(SERVERS.search(os.path.basename(self.words[0]) if self.words else ""))  # noqa: PTH119
            and folder(self.pid) == place
            and _ticks(self.session) is None
        )


def _ticks(pid: int) -> int | None:
    """The tick of a process's start; None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def _process(pid: int, session: int) -> Process | None:
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        if process.status() != psutil.STATUS_ZOMBIE:
            memory = process.memory_info().rss
            return Process(pid, process.ppid(), memory, process.create_time(), session)
    return None


def memory_below(pid: int) -> int:
    """RAM in bytes of a process and all below it; 0 when it cannot be seen."""
    import psutil

    with contextlib.suppress(psutil.Error):
        top = psutil.Process(pid)
        return sum(one.memory_info().rss for one in (top, *top.children(recursive=True)))
    return 0


def ram() -> int:
    """All RAM of this machine in bytes, on any system."""
    import psutil

    return psutil.virtual_memory().total


def end(processes: list[Process], grace: float) -> None:
    """Ask processes to end, and end those that did not within `grace` seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        # Who would start the others again goes first.
        for process in sorted(processes, key=lambda one: one.pid != one.session):
            _send(process, number)
        processes = _wait(processes, grace)


def ask_to_end(
    leader: Process, family: list[Process], grace: float, idle: Callable[[], bool]
) -> None:
    """Ask one process to end all of its family, and wait until they have, `grace` seconds at most.

    Args:
        idle: asked every now and then: nothing is left that is worth waiting for.

    Raises:
        KeyboardInterrupt: whoever waits does not want to any longer.
    """
    _send(leader, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while (family := _wait(family, LOOK_SECONDS)) and time.monotonic() < deadline and not idle():
        continue


def of_others(processes: list[Process]) -> list[Process]:
    """Those that this user may not end."""
    found = []
    for process in processes:
        try:
            os.kill(process.pid, 0)
        except ProcessLookupError:
            continue
        except PermissionError:
            found.append(process)
    return found


def user(pid: int) -> str:
    """Whose process it is."""
    import psutil

    with contextlib.suppress(psutil.Error, KeyError):
        return psutil.Process(pid).username()
    return "somebody"


def _send(process: Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process.pid, number)


def _wait(processes: list[Process], grace: float) -> list[Process]:
    """Those that are still there after so many seconds."""
    deadline = time.monotonic() + grace
    while (processes := [one for one in processes if _alive(one.pid)]) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.05)
    return processes


def listener(port: int) -> str:
    """Who listens on a TCP port of this machine, e.g. `python (pid 42)`; "" when nobody does."""
    pid = listening(port)
    return "" if pid is None else _who(pid)


def listening(port: int) -> int | None:
    """The process that listens on a TCP port: 0 when it is another user's; None: nobody does."""
    return next((pid or 0 for _, one, pid in _listening() if one == port), None)


def beyond_loopback(ports: Iterable[int]) -> dict[int, str]:
    """Those of some TCP ports that other machines may reach, and the address listened on."""
    wanted = set(ports)
    return {
        port: address
        for address, port, _ in (_listening() if wanted else ())
        if port in wanted and not ipaddress.ip_address(address.partition("%")[0]).is_loopback
    }


def _listening() -> Iterator[tuple[str, int, int | None]]:
    """Address, port and process of everybody who listens; without a process: another user's."""
    import psutil

    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr:
            address, port = connection.laddr
            yield address, port, connection.pid


def _who(pid: int) -> str:
    import psutil

    if not pid:
        return "a process of another user"
    with contextlib.suppress(psutil.Error):
        return f"{psutil.Process(pid).name()} (pid {pid})"
    return f"pid {pid}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A zombie is gone in every sense that matters here.
    with contextlib.suppress(OSError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False
