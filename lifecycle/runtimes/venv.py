"""A server in a plain Python environment: supervisord keeps it, the guard leaves no orphans."""

import hashlib
import os
import tempfile
import time
from pathlib import Path

from lifecycle import processes, supervisord
from lifecycle.backend import Backend
from lifecycle.host import Launch, Server
from lifecycle.paths import Paths
from lifecycle.runtimes import answer, boot_log, launch
from lifecycle.runtimes.guard import SESSION, STARTS
from lifecycle.shell import Shell
from lifecycle.step import Remove

SOCKET_LENGTH = 90
"""Room for the suffix that supervisord adds while it binds."""
LOG = "server.log"
STAMP = ".made-from"
"""In an engine's folder: the digest of the lock it was completely installed from."""
STOP_SECONDS = 8
"""What vLLM gets to end by itself; it needs under one second."""
TAIL_BYTES = 200_000


def status(backend: Backend, paths: Paths, started: Launch) -> Server:
    """Its state now; never raises."""
    run = paths.run(backend.name)
    supervised = supervisord.ask(socket(run))
    where = str(run / LOG)
    if not supervised.state:
        return Server(launch=started, log=where)
    text = log(backend.name, paths)
    if supervised.state in {"FATAL", "EXITED", "STOPPED"}:
        tries = starts(backend.name, paths)
        why = boot_log.death(text, tries=tries)
        return Server("failed", started, restarts=tries - 1, detail=why, log=where)
    family = _family(run)
    server = next((p for p in family if p.parent == supervised.pid), None)
    phase, models, detail = answer.look(backend, started, text)
    if supervised.state == "BACKOFF":
        why = boot_log.death(text, tries=starts(backend.name, paths))
        phase, detail = "start", f"crashed, starting again: {why}"
    return Server(
        phase=phase,
        launch=started,
        pid=server.pid if server else 0,
        since=server.since if server else supervised.since,
        restarts=starts(backend.name, paths) - 1,
        memory=sum(process.memory for process in family),
        models=models,
        detail=detail,
        log=where,
    )


def starts(backend: str, paths: Paths) -> int:
    """How often the guard started the server; 1 before it had the time to say so."""
    return _count(paths.run(backend))


def dead(backend: str, paths: Paths, starts: int) -> str:
    """Why the server is gone, or was started more than `starts` times; "" while neither."""
    run = paths.run(backend)
    supervised = supervisord.ask(socket(run))
    number = _count(run)
    if supervised.state in {"FATAL", "EXITED", "STOPPED"}:
        return boot_log.death(_text(run / LOG), tries=number)
    if number > starts:
        return boot_log.death(_text(run / LOG), tries=number - 1)
    return "" if supervised.state else "its supervisor ended"


def socket(run: Path) -> Path:
    """Where supervisord listens. The kernel takes 107 characters at most, so a long state folder
    gets a short name elsewhere (https://man7.org/linux/man-pages/man7/unix.7.html).
    """
    inside = run / "supervisor.sock"
    if len(os.fsencode(inside)) <= SOCKET_LENGTH:
        return inside
    short = hashlib.sha256(os.fsencode(run)).hexdigest()[:16]
    # Private to the user, where there is one; else others could take the name first.
    private = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(private) / f"vllm-{short}.sock"


def log(backend: str, paths: Paths) -> str:
    """The end of the present start's log."""
    return boot_log.present(_text(paths.run(backend) / LOG))


def follow(backend: str, paths: Paths, lines: int, *, on: bool) -> tuple[str, ...]:
    """`tail` follows through the rotation of the file (-F)."""
    file = str(paths.run(backend) / LOG)
    return ("tail", "-n", str(lines), *(("-F",) if on else ()), file)


def down(backend: str, paths: Paths, shell: Shell) -> None:
    """Stop supervisord and its server, then whatever is left of its session."""
    stop(paths.run(backend), shell)


def stop(run: Path, shell: Shell) -> None:
    """The same for whatever supervisord keeps from a folder."""
    supervisord.shut_down(socket(run))
    deadline = time.monotonic() + STOP_SECONDS
    while (left := _family(run)) and time.monotonic() < deadline:
        time.sleep(0.1)
    processes.end(left, grace=1)
    for file in (socket(run), run / launch.FILE, run / STARTS, run / SESSION):
        shell.remove(Remove(file))


def _count(run: Path) -> int:
    try:
        return int((run / STARTS).read_text())
    except (OSError, ValueError):
        return 1


def _family(run: Path) -> list[processes.Process]:
    """supervisord, the guard, the server and all that it started."""
    try:
        leader, started = (run / SESSION).read_text().split()
    except (OSError, ValueError):
        return []
    return processes.session(int(leader), int(started))


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - TAIL_BYTES))
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
