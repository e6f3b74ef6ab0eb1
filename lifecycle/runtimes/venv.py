"""A server in a plain Python environment: supervisord keeps it, the guard leaves no orphans."""

from dataclasses import replace
from pathlib import Path

from lifecycle import processes, supervisord
from lifecycle.backend import Backend
from lifecycle.errors import HostNotReady
from lifecycle.host import Launch, Server
from lifecycle.paths import Paths
from lifecycle.processes import Process
from lifecycle.runtimes import answer, boot_log, drain, launch
from lifecycle.runtimes.drain import Patience
from lifecycle.runtimes.guard import SESSION, STARTS
from lifecycle.shell import Shell
from lifecycle.step import Remove

LOG = "server.log"
STAMP = ".made-from"
"""In an engine's folder: the digest of the lock it was completely installed from."""
MARKS = frozenset({"supervisord.conf", "guard.py"})
"""Files of the state folder that the command lines of supervisord and the guard name."""
TAIL_BYTES = 200_000
LATECOMERS = 3
"""How often what is still there is told to end."""


def status(backend: Backend, paths: Paths, started: Launch) -> Server:
    """Its state now; never raises."""
    run = paths.run(backend.name)
    where = str(run / LOG)
    family = processes_of(run)
    supervised = supervisord.ask(socket(run))
    if not family and not supervised.state:
        return Server(launch=started, log=where)
    text = log(backend.name, paths)
    if supervised.state in {"FATAL", "EXITED", "STOPPED"}:
        tries = starts(backend.name, paths)
        why = boot_log.death(text, tries=tries)
        return Server("failed", started, restarts=tries - 1, detail=why, log=where)
    if not supervised.state and not _leader(family):
        pids = ", ".join(str(process.pid) for process in family)
        detail = f"its supervisor was ended by force; still there: {pids}"
        return Server("failed", started, detail=detail, log=where)
    server = next((p for p in family if p.parent == supervised.pid), None)
    phase, models, detail = answer.look(backend, started, text)
    if supervised.state == "BACKOFF":
        why = boot_log.death(text, tries=starts(backend.name, paths))
        phase, detail = "start", f"crashed, starting again: {why}"
    return Server(
        phase=phase,
        launch=started,
        pid=server.pid if server else _largest(family),
        since=server.since if server else supervised.since or min(p.since for p in family),
        restarts=starts(backend.name, paths) - 1,
        memory=sum(process.memory for process in family),
        models=models,
        detail=detail,
        log=where,
    )


def carried(backend: str, paths: Paths) -> Launch | None:
    """What a server that is there carries of its start, whatever our notes say; None without one.

    One that an earlier version started carries nothing: an empty launch.
    """
    family = processes_of(paths.run(backend))
    told = (launch.parse(processes.variable(p.pid, launch.VARIABLE)) for p in family)
    return next((one for one in told if one.runtime), Launch()) if family else None


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
    if supervised.state or _leader(processes_of(run)):
        return ""
    if not (run / launch.FILE).exists():
        return launch.STOPPED
    return "its supervisor ended"


def socket(run: Path) -> Path:
    """Where supervisord listens: in the state folder, which no login and no cleaner changes."""
    return run / "supervisor.sock"


def log(backend: str, paths: Paths) -> str:
    """The end of the present start's log."""
    return boot_log.present(_text(paths.run(backend) / LOG))


def follow(backend: str, paths: Paths, lines: int, *, on: bool) -> tuple[str, ...]:
    """`tail` follows through the rotation of the file (-F)."""
    file = str(paths.run(backend) / LOG)
    return ("tail", "-n", str(lines), *(("-F",) if on else ()), file)


def down(backend: str, paths: Paths, shell: Shell, patience: Patience) -> None:
    """Stop supervisord and its server, then whatever is left of its session.

    Raises:
        HostNotReady: something is left that we may not end; our notes of it stay.
    """
    run = paths.run(backend)
    started = carried(backend, paths) or Launch()
    started = started if started.runtime else launch.read(run)
    stop(run, shell, started, patience)


def stop(run: Path, shell: Shell, started: Launch, patience: Patience) -> None:
    """The same for whatever supervisord keeps from a folder.

    Args:
        started: how a server in it was started; an empty launch for what is none.

    Raises:
        HostNotReady: as `down`.
    """
    try:
        drain.begin(started, patience)
        _end(run, started, patience)
    except KeyboardInterrupt:
        patience.tell("not waiting any longer: what is in flight is cut off")
        _end(run, started, replace(patience, now=True))
    _end_latecomers(run)
    for file in (socket(run), run / launch.FILE, run / STARTS, run / SESSION):
        shell.remove(Remove(file))


def _end(run: Path, started: Launch, patience: Patience) -> None:
    """Tell its processes to end, and see that they do.

    Raises:
        KeyboardInterrupt: the person does not want to wait.
        HostNotReady: as `down`.
    """
    family = processes_of(run)
    _refuse_strangers(processes.of_others(family), run)
    leader = _leader(family)
    limit = drain.limit(started)
    long, short = drain.stop_seconds(limit), 0.2 if patience.now else 1
    if leader and not patience.now:
        # Without such a limit it ends at once by itself, or has something to let go of.
        idle = drain.Idle(started) if limit else _busy
        processes.ask_to_end(leader, family, long + 1, idle)
    # Without its supervisor the guard and the server are told the same one by one.
    processes.end(processes_of(run), grace=short if leader or patience.now else long)


def _busy() -> bool:
    return False


def _end_latecomers(run: Path) -> None:
    """What a supervisor started in the moment in which it was told to end.

    Raises:
        HostNotReady: something stays, whatever it is told.
    """
    for _ in range(LATECOMERS):
        left = processes_of(run)
        if not left:
            return
        _refuse_strangers(processes.of_others(left), run)
        processes.end(left, grace=1)
    pids = ", ".join(str(one.pid) for one in processes_of(run))
    if pids:
        raise HostNotReady(
            f"the server in {run} was not stopped",
            why=f"these processes do not end: {pids}",
            fix="Run the same command again. If they stay, they wait for a device or a disk: "
            "restart the machine.",
        )


def _refuse_strangers(left: list[Process], run: Path) -> None:
    if left:
        pids = ", ".join(f"{one.pid} ({processes.user(one.pid)})" for one in left)
        raise HostNotReady(
            f"the server in {run} was not stopped",
            why=f"these processes cannot be ended by this user: {pids}",
            fix="Stop it as the user who started it.",
        )


def processes_of(run: Path) -> list[Process]:
    """supervisord, the guard, the server and all that it started."""
    return processes.family(run, MARKS, _noted(run))


def _count(run: Path) -> int:
    try:
        return int((run / STARTS).read_text())
    except (OSError, ValueError):
        return 1


def _noted(run: Path) -> tuple[int, int] | None:
    try:
        leader, started = (run / SESSION).read_text().split()
        return int(leader), int(started)
    except (OSError, ValueError):
        return None


def _leader(family: list[Process]) -> Process | None:
    """Supervisord itself."""
    return next((process for process in family if process.pid == process.session), None)


def _largest(family: list[Process]) -> int:
    return max(family, key=lambda process: process.memory).pid if family else 0


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - TAIL_BYTES))
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
