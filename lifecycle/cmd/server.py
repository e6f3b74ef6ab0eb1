"""The life of a server: up, down, restart, status, logs."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from invoke import Context

from lifecycle.cmd import streams
from lifecycle.cmd.command import GPU_HELP, command, shell_for

if TYPE_CHECKING:
    from lifecycle.backend import Backend
    from lifecycle.host import Server
    from lifecycle.machine import Here
    from lifecycle.paths import Paths

RUNTIME_HELP = "venv or docker; unset: RUNTIME= of the backend"


@command(help={
    "gpu": GPU_HELP,
    "runtime": RUNTIME_HELP,
    "model": "the model to serve from now on, as inv switch does; unset: MODEL= of the backend",
    "force": "also a model that does not fit by our reckoning",
    "take-over": "also in the place of a server that another checkout started",
})  # fmt: skip
def up(  # noqa: PLR0913 - each is an option of the command
    context: Context,
    gpu: str = "auto",
    runtime: str = "",
    model: str = "",
    *,
    force: bool = False,
    take_over: bool = False,
) -> None:
    """Start a server and wait until its answers are sane; does only what is still to be done."""
    if model:
        from lifecycle.cmd import choose, switch
        from lifecycle.cmd.exchange import Way

        backend = choose.to_start(gpu)[0]
        if runtime:
            backend = backend.with_setting("RUNTIME", runtime, "--runtime")
        switch.to(context, model, backend, way=Way(force=force, take_over=take_over))
        return
    _up(context, gpu, runtime, force=force, take_over=take_over)


@command(help={
    "gpu": GPU_HELP + "; unset: all of this checkout",
    "now": "do not wait for requests that are being answered",
    "take-over": "also a server that another checkout started",
})  # fmt: skip
def down(context: Context, gpu: str = "", *, now: bool = False, take_over: bool = False) -> None:
    """Stop the server and everything it started; requests in flight get DRAIN_SECONDS."""
    from lifecycle import report
    from lifecycle.cmd import choose, gateway, stop
    from lifecycle.runtimes.drain import Patience

    where, shell = choose.places_to_stop(), shell_for(context)
    patience = Patience(now=now, tell=report.note)
    done = stop.every(choose.to_stop(gpu, where), where, shell, patience, take_over=take_over)
    if shell.dry:
        return
    for name, owner in done.left.items():
        report.note(f"left: {name}, of {owner} (with --take-over it is stopped, too)")
    stopped = ", ".join(done.stopped)
    if stopped or not done.failures:
        report.note(f"stopped: {stopped}" if stopped else "nothing of this checkout was running")
    if done.stopped:
        gateway.tell(where, shell)
    stop.fail(done.failures)


@command(help={"gpu": GPU_HELP, "runtime": RUNTIME_HELP})
def restart(context: Context, gpu: str = "auto", runtime: str = "") -> None:
    """Stop the server and start it again, with the values of now."""
    from lifecycle.cmd import choose

    backend = choose.running(gpu, choose.places())
    was = choose.states([backend], choose.places())[0][1].launch.runtime
    _up(context, backend.name, runtime or was, again=True)


@command(help={
    "gpu": GPU_HELP + "; unset: all",
    "json": "print JSON for programs",
    "verbose": "also show every setting and where it comes from",
})  # fmt: skip
def status(context: Context, gpu: str = "", *, json: bool = False, verbose: bool = False) -> None:
    """Show every backend: phase, model, endpoint, memory, uptime."""
    del context
    from lifecycle import report
    from lifecycle.cmd import choose, measure

    some = [choose.to_start(gpu)[0]] if gpu else choose.readable()
    rows = choose.states(some, choose.places())
    if json:
        vram = _vram(rows)
        data = [_as_data(*row, vram=vram.get(row[0].gpu), verbose=verbose) for row in rows]
        report.document({"backends": data})
        return
    report.servers(rows, _vram(rows))
    if verbose:
        for backend, server in rows:
            report.settings(backend)
            measure.running(backend, server, choose.places())


@command(help={
    "gpu": GPU_HELP,
    "follow": "go on printing until Ctrl-C",
    "lines": "how many of the last lines to print",
    "run": "the log of the last command that had work to do, instead of the server's",
})  # fmt: skip
def logs(
    context: Context,
    gpu: str = "auto",
    *,
    follow: bool = False,
    lines: int = 100,
    run: bool = False,
) -> None:
    """Print the server's log; that of a start that failed, too."""
    from lifecycle.cmd import choose
    from lifecycle.errors import CommandFailed, HostNotReady
    from lifecycle.runtimes import launch, runtime
    from lifecycle.step import Command

    where = choose.places()
    if run:
        _print_run(where)
        return
    backend = choose.with_log(gpu, where)
    started = launch.read(where.run(backend.name))
    module = runtime(started.runtime or backend.runtime)
    argv = module.follow(backend.name, where, lines, on=follow)
    if argv[0] == "tail" and not Path(argv[-1]).exists():
        raise HostNotReady(f"{backend.name} has no log yet", fix=f"inv up --gpu {backend.name}")
    code = shell_for(context).pour(Command(argv), _print)
    if code:
        raise CommandFailed(f"this command failed (exit {code}): {Command(argv)}")


def _print_run(where: "Paths") -> None:
    from lifecycle import run_log
    from lifecycle.errors import HostNotReady

    kept = run_log.files(run_log.folder(where.home))
    if not kept:
        raise HostNotReady(
            "no command had work to do yet", fix=f"Logs come to lie in {run_log.folder(where.home)}"
        )
    sys.stdout.buffer.write(kept[-1].read_bytes())


def _print(piece: bytes) -> None:
    """Bytes as they are: a log is shown, not read."""
    if not piece:
        streams.end_if_nobody_reads()
    sys.stdout.buffer.write(piece)
    sys.stdout.flush()


def _up(  # noqa: PLR0913 - those by name are options of the commands
    context: Context,
    gpu: str,
    runtime: str,
    *,
    again: bool = False,
    force: bool = False,
    take_over: bool = False,
) -> None:
    from lifecycle import facts, report, tables
    from lifecycle.backend import LOCAL
    from lifecycle.cmd import choose, gateway, start
    from lifecycle.cmd.exchange import Exchange, Way
    from lifecycle.machine import Here
    from lifecycle.steps import ownership

    where, shell = choose.places(), shell_for(context)
    here = Here(shell)
    backend, why = choose.to_start(gpu, here)
    if runtime:
        backend = backend.with_setting("RUNTIME", runtime, "--runtime")
    if why:
        report.note(why)
    tables.serving.require_served(backend.gpu, backend.runtime)
    mine = where.run(backend.name) / "up.lock"
    with start.alone_without_key(backend, where, shell), shell.lock(mine, report.note):
        # Again: another inv may have made the key or switched the model while we waited.
        backend = choose.load(backend.name)
        if runtime:
            backend = backend.with_setting("RUNTIME", runtime, "--runtime")
        if backend.settings["MODEL"].source.startswith(LOCAL):
            # Who edits MODEL= in the tracked file would else wonder why nothing happens.
            source = f"{LOCAL}/{backend.name}.env"
            report.note(f"MODEL={backend.model} was chosen by inv switch, in {source}")
        runs = facts.server.look(backend, where)
        shares = bool(runs.owner) and not (take_over or again) and _equal(backend, where, here)
        if not shares:
            start.refuse_strangers(backend, runs, take_over=take_over)
        again = again or bool(runs.owner and take_over)
        backend, made = start.with_key(backend)
        if runs.alive and runs.launch.settings.get("MODEL", backend.model) != backend.model:
            way = Way(force=force)
            worked = Exchange(backend, where, here, runs, way=way).perform(made)
        else:
            host, worked = start.prepare(backend, where, here, made, force=force)
            worked = start.start(backend, where, here, host, again=again) or worked
    if shell.dry:
        return
    if worked:
        gateway.tell(where, shell)
    elif shares:
        report.note(f"{backend.name} runs as wanted already: {ownership.described(runs)}")
    else:
        report.note(f"{backend.name} runs as wanted; nothing to do")
    report.endpoint(backend)


def _equal(backend: "Backend", where: "Paths", here: "Here") -> bool:
    """Whether another checkout's server is what this one would start, its key included."""
    from lifecycle import facts
    from lifecycle.steps import serve

    return serve.unchanged(backend, facts.gather(backend, where, here.again()))


def _vram(rows: "list[tuple[Backend, Server]]") -> dict[str, tuple[int, int]]:
    """Bytes in use and in all of the cards that running servers use; by kind of hardware.

    Of the whole card: the desktop's part counts too, and WSL tells no other number.
    """
    from lifecycle import facts
    from lifecycle.machine import Here
    from lifecycle.shell import Shell

    used = {backend.gpu for backend, server in rows if server.alive and backend.gpu != "cpu"}
    if not used:
        return {}
    host = facts.hardware(Here(Shell()))
    cards = {"cuda": host.nvidia.gpus, "rocm": host.amd.gpus}
    known = {
        gpu: [(card.total - card.free, card.total) for card in cards[gpu]
              if card.total and card.free is not None]
        for gpu in used
    }  # fmt: skip
    return {
        gpu: (sum(taken for taken, _ in each), sum(total for _, total in each))
        for gpu, each in known.items()
        if each
    }


def _as_data(
    backend: "Backend", server: "Server", *, vram: tuple[int, int] | None, verbose: bool
) -> dict[str, object]:
    from lifecycle import report

    data: dict[str, object] = {
        "name": backend.name,
        "gpu": backend.gpu,
        "runtime": server.launch.runtime or backend.runtime,
        "phase": server.phase,
        "url": f"{backend.url}/v1",
        "model": backend.served_name,
        "models": list(server.models),
        "pid": server.pid or None,
        "uptime_seconds": round(time.time() - server.since) if server.alive else None,
        "restarts": server.restarts,
        "memory_bytes": server.memory or None,
        "vram_used_bytes": vram[0] if vram and server.alive else None,
        "vram_total_bytes": vram[1] if vram and server.alive else None,
        "answers": str(server.answers.sanity) if server.alive else None,
        "answers_detail": server.answers.reason,
        "detail": server.detail,
        "checkout": server.launch.checkout or None,
        "owner": server.owner or None,
        "log": server.log,
    }
    if verbose:
        data["settings"] = report.visible(backend)
    return data
