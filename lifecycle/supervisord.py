"""The door to supervisord: one per server, asked over its unix socket.

https://supervisord.org/api.html
"""

import http.client
import xmlrpc.client
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
        info = _proxy(socket).supervisor.getProcessInfo(program)
    except SILENT:
        return Supervised()
    assert isinstance(info, dict)  # noqa: S101 - XML-RPC is untyped; for mypy
    return Supervised(
        state=str(info["statename"]),
        pid=int(info["pid"]),
        since=float(info["start"]),
        why=str(info["spawnerr"]),
    )


def shut_down(socket: Path) -> None:
    """Ask supervisord to stop its server and end; silent when it is gone already."""
    try:
        _proxy(socket).supervisor.shutdown()
    except SILENT:
        return


def _proxy(socket: Path) -> xmlrpc.client.ServerProxy:
    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(None, None, serverurl=f"unix://{socket}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
