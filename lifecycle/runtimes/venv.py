"""A server in a plain Python environment: supervisord keeps it, the guard leaves no orphans."""

import time
from pathlib import Path

from lifecycle import shell as processes
from lifecycle import supervisord
from lifecycle.backend import Backend
from lifecycle.host import Launch, Server
from lifecycle.paths import Paths
from lifecycle.runtimes import answer, boot_log, launch
from lifecycle.runtimes.guard import SESSION, STARTS
from lifecycle.shell import Shell
from lifecycle.step import Remove

SOCKET = "supervisor.sock"
LOG = "server.log"
STAMP = ".made-from"
"""In an engine's folder: the digest of the lock it was completely installed from."""
STOP_SECONDS = 8
"""What vLLM gets to end by itself; it needs under one second."""
TAIL_BYTES = 200_000


def status(backend: Backend, paths: Paths, started: Launch) -> Server:
    """Its state now; never raises."""
    run = paths.run(backend.name)
    supervised = supervisord.ask(run / SOCKET)
    where = str(run / LOG)
    if not supervised.state:
        return Server(launch=started, log=where)
    text = log(backend.name, paths)
    if supervised.state in {"FATAL", "EXITED", "STOPPED"}:
        return Server("failed", started, detail=boot_log.cause(text), log=where)
    family = _family(run)
    server = next((p for p in family if p.parent == supervised.pid), None)
    phase, models, detail = answer.look(backend, text)
    if supervised.state == "BACKOFF":
        phase, detail = "start", f"crashed, starting again: {boot_log.cause(text)}"
    return Server(
        phase=phase,
        launch=started,
        pid=server.pid if server else 0,
        since=server.since if server else supervised.since,
        restarts=_starts(run) - 1,
        memory=sum(process.memory for process in family),
        models=models,
        detail=detail,
        log=where,
    )


def dead(backend: str, paths: Paths) -> str:
    """Why a server that was just started is not there (any more); "" while it is."""
    run = paths.run(backend)
    supervised = supervisord.ask(run / SOCKET)
    if _starts(run) > 1 or supervised.state in {"BACKOFF", "FATAL", "EXITED", "STOPPED"}:
        return boot_log.cause(_text(run / LOG))
    return "" if supervised.state else "its supervisor ended"


def log(backend: str, paths: Paths) -> str:
    """The end of the present start's log."""
    return boot_log.present(_text(paths.run(backend) / LOG))


def follow(backend: str, paths: Paths, lines: int, *, on: bool) -> tuple[str, ...]:
    """`tail` follows through the rotation of the file (-F)."""
    file = str(paths.run(backend) / LOG)
    return ("tail", "-n", str(lines), *(("-F",) if on else ()), file)


def down(backend: str, paths: Paths, shell: Shell) -> None:
    """Stop supervisord and its server, then whatever is left of its session."""
    run = paths.run(backend)
    supervisord.shut_down(run / SOCKET)
    deadline = time.monotonic() + STOP_SECONDS
    while (left := _family(run)) and time.monotonic() < deadline:
        time.sleep(0.1)
    processes.end(left, grace=1)
    for name in (SOCKET, launch.FILE, STARTS, SESSION):
        shell.remove(Remove(run / name))


def _family(run: Path) -> list[processes.Process]:
    """supervisord, the guard, the server and all that it started."""
    try:
        leader, started = (run / SESSION).read_text().split()
    except (OSError, ValueError):
        return []
    return processes.session(int(leader), int(started))


def _starts(run: Path) -> int:
    try:
        return int((run / STARTS).read_text())
    except (OSError, ValueError):
        return 1


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - TAIL_BYTES))
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
