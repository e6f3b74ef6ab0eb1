"""The door to supervisord: one per server, asked over its unix socket.

https://supervisord.org/api.html
"""

import contextlib
import http.client
import os
import xmlrpc.client
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "vllm"
SILENT = (OSError, http.client.HTTPException, xmlrpc.client.Error)
"""What a supervisord that is absent, starting or ending makes us see."""


@dataclass(frozen=True)
class Supervised:
    """supervisord's view of the server.

    Args:
        state: RUNNING, STARTING, BACKOFF, STOPPING, EXITED, FATAL, or "" without supervisord.
        pid: the guard's process.
        since: start of the present process, seconds since the epoch.
        why: what supervisord says about a failed start.
    """

    state: str = ""
    pid: int = 0
    since: float = 0
    why: str = ""


def ask(socket: Path, program: str = PROGRAM) -> Supervised:
    """The state of the program behind a socket; never raises."""
    if not socket.exists():
        return Supervised()
    try:
        with _proxy(socket) as proxy:
            info = proxy.supervisor.getProcessInfo(program)
    except SILENT:
        return Supervised()
    assert isinstance(info, dict)  # noqa: S101 - XML-RPC is untyped; for mypy
    return Supervised(
        state=str(info["statename"]),
        pid=int(info["pid"]),
        since=float(info["start"]),
        why=str(info["spawnerr"]),
    )


@contextlib.contextmanager
def _proxy(socket: Path) -> Iterator[xmlrpc.client.ServerProxy]:
    """The way to a socket, however long its path is: the kernel takes 107 characters at most
    (https://man7.org/linux/man-pages/man7/unix.7.html), so the folder is named by a descriptor.
    """
    from supervisor.xmlrpc import SupervisorTransport

    folder = os.open(socket.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        place = f"unix:///proc/self/fd/{folder}/{socket.name}"
        transport = SupervisorTransport(None, None, serverurl=place)
        yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
    finally:
        os.close(folder)
