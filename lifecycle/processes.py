"""The door to what runs already: whose memory, whose port, and the end of what was left behind."""

import contextlib
import ipaddress
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A running process; memory in bytes, `since` in seconds since the epoch."""

    pid: int
    parent: int
    memory: int
    since: float


def session(leader: int, started: int) -> list[Process]:
    """All processes of a session, whoever their parent is by now.

    A crashed vLLM leaves its engine process behind under another parent, with all its memory;
    its session is the one thing it cannot lose.

    Args:
        leader: number of the process that leads (or led) the session.
        started: the tick of its start; a leader with another one is not ours.
    """
    import psutil

    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{leader}/stat").read_text()
        if int(stat.rpartition(")")[2].split()[19]) != started:
            return []
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(process.pid) == leader and process.status() != "zombie":
                memory = process.memory_info().rss
                found.append(Process(process.pid, process.ppid(), memory, process.create_time()))
    return found


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
        for process in processes:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, number)
        deadline = time.monotonic() + grace
        while processes and time.monotonic() < deadline:
            processes = [process for process in processes if _alive(process.pid)]
            time.sleep(0.05)


def listener(port: int) -> str:
    """Who listens on a TCP port of this machine, e.g. `python (pid 42)`; "" when nobody does."""
    return next((_who(pid) for _, one, pid in _listening() if one == port), "")


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


def _who(pid: int | None) -> str:
    import psutil

    if pid is None:
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
