"""A server in a container, through `docker compose`. Only this module spells that command."""

import hashlib
import os
import threading
from pathlib import Path

from lifecycle import engine, processes
from lifecycle.backend import Backend
from lifecycle.engine import Container
from lifecycle.errors import StepFailed
from lifecycle.host import Launch, Server
from lifecycle.paths import Paths
from lifecycle.runtimes import answer, boot_log, drain, launch
from lifecycle.runtimes.drain import Patience
from lifecycle.shell import Shell
from lifecycle.step import Command, Remove, WriteFile

TAIL_LINES = 2000
LOG = "server.log"
ENVIRONMENT = "environment.yml"
"""One more compose file: names of the variables that the server gets, whose values travel in the
environment of compose, and labels. Where it lies in the state folder, a container was made and not
removed."""
HOME, CHECKOUT, BACKEND, LAUNCH = (
    f"vllm-lifecycle.{name}" for name in ("home", "checkout", "backend", "launch")
)
"""Labels of a container: whose it is, and what it was started with."""
LOOK_SECONDS = 0.3
REMOVAL_SECONDS = 60


def project(backend: str, home: Path) -> str:
    """The compose project: the backend's name, and which home it is of: an engine may serve two."""
    number = hashlib.sha256(os.fsencode(os.path.realpath(home))).hexdigest()[:6]
    return f"vllm-{backend}-{number}"


def labels(backend: str, paths: Paths, started: Launch) -> dict[str, str]:
    """What a container carries."""
    return {
        HOME: os.path.realpath(paths.home),
        CHECKOUT: str(paths.root),
        BACKEND: backend,
        LAUNCH: launch.carried(started),
    }


def rendered(backend: str, *arguments: str) -> tuple[str, ...]:
    """A `docker compose` command for a file that is somebody's own, on whatever machine."""
    return of(f"vllm-{backend}-rendered", *arguments)


def command(backend: str, paths: Paths, *arguments: str) -> tuple[str, ...]:
    """A `docker compose` command for the project of a backend."""
    return of(project(backend, paths.home), *arguments)


def of(project: str, *arguments: str) -> tuple[str, ...]:
    """A `docker compose` command for any project of ours."""
    # /dev/null: Compose would otherwise read our root .env by its own rules.
    return ("docker", "compose", "--project-name", project, "--env-file", "/dev/null", *arguments)


def containers(backend: str, paths: Paths) -> list[Container]:
    """All of a backend's containers, by what they carry themselves; one, unless something was
    moved or came from an earlier version.

    Raises:
        EngineSilent: the engine does not answer, which is not the same as none.
    """
    ours = [
        one
        for one in engine.containers(f"{BACKEND}={backend}")
        if _is_of(one, paths) and one.labels.get(BACKEND) == backend
    ]
    # Until 2026-11 the project was one for an engine, and nothing said whose: the cache does.
    old = engine.containers(f"{engine.PROJECT}=vllm-{backend}")
    home = os.path.realpath(paths.home)
    return ours + [
        one
        for one in old
        if BACKEND not in one.labels
        and os.path.realpath(one.sources.get("/cache", "/")).startswith(f"{home}/")
    ]


def carried(backend: str, paths: Paths) -> Launch | None:
    """What a container that is there carries of its start, whatever our notes say; None without
    one. One that an earlier version made carries nothing: an empty launch.

    Raises:
        EngineSilent: as `containers`.
    """
    there = containers(backend, paths)
    return launch.parse(there[0].labels.get(LAUNCH, "")) if there else None


def status(backend: Backend, paths: Paths, started: Launch) -> Server:
    """Its state now; never raises."""
    try:
        container = next(iter(containers(backend.name, paths)), None)
    except engine.EngineSilent as silent:
        return Server("unknown", started, detail=f"{silent.what}\n{silent.why}")
    if container is None:
        return Server(launch=started)
    where = f"docker logs {container.name}"
    text = engine.log(container.name, TAIL_LINES)
    if container.state in {"exited", "dead", "created"}:
        return Server(
            "failed", started, restarts=container.restarts, detail=_death(container), log=where
        )
    phase, models, detail = answer.look(backend, started, text)
    if container.state == "restarting":
        phase, detail = "start", f"crashed, starting again: {_death(container)}"
    return Server(
        phase=phase,
        launch=started,
        pid=container.pid,
        since=container.since,
        restarts=container.restarts,
        memory=processes.memory_below(container.pid),
        models=models,
        detail=detail,
        log=where,
    )


def starts(backend: str, paths: Paths) -> int:
    """How often the engine started the container."""
    container = _container(backend, paths)
    return container.restarts + 1 if container else 1


def dead(backend: str, paths: Paths, starts: int) -> str:
    """Why the server is gone, or was started more than `starts` times; "" while neither."""
    try:
        container = next(iter(containers(backend, paths)), None)
    except engine.EngineSilent as silent:
        return f"{silent.what}: {silent.why}"
    if container is None:
        kept = (paths.run(backend) / launch.FILE).exists()
        return "its container is gone" if kept else launch.STOPPED
    if container.restarts + 1 > starts or container.state in {"exited", "dead"}:
        return _death(container)
    return ""


def _death(container: engine.Container) -> str:
    """Why it ended; once it runs again, the engine has forgotten how."""
    ended = container.state in {"exited", "dead", "restarting"}
    return boot_log.death(
        engine.log(container.name, TAIL_LINES),
        container.exit_code if ended else None,
        tries=container.restarts + (1 if ended else 0),
        out_of_memory=ended and container.out_of_memory,
    )


def log(backend: str, paths: Paths) -> str:
    """The end of the container's log."""
    container = _container(backend, paths)
    return engine.log(container.name, TAIL_LINES) if container else ""


def follow(backend: str, paths: Paths, lines: int, *, on: bool) -> tuple[str, ...]:
    """`docker logs`, or what was kept of them."""
    container = _container(backend, paths)
    kept = paths.run(backend) / LOG
    if container is None and kept.exists():
        return ("tail", "-n", str(lines), str(kept))
    more = ("--follow",) if on else ()
    name = container.name if container else f"{project(backend, paths.home)}-vllm-1"
    return ("docker", "logs", "--tail", str(lines), *more, name)


def down(backend: str, paths: Paths, shell: Shell, patience: Patience) -> None:
    """Stop and remove the containers and their network; volumes (caches) stay.

    Raises:
        EngineSilent: nobody knows what runs; our notes of it stay.
        StepFailed: a container is there all the same.
    """
    for container in containers(backend, paths):
        # The engine drops a container's log with it; a failed start must stay readable.
        text = engine.log(container.name, TAIL_LINES)
        shell.write(WriteFile(paths.run(backend) / LOG, text, 0o600))
        _remove(container, launch.read(paths.run(backend)), shell, patience)
    for container in containers(backend, paths):
        # Compose passes by what lost the labels that an older one gave it.
        shell.run(Command(("docker", "rm", "--force", container.name), limit=REMOVAL_SECONDS))
    left = containers(backend, paths)
    if left:
        names = ", ".join(one.name for one in left)
        raise StepFailed(f"not stopped: {names}", fix=f"docker rm --force {names}")
    for name in (launch.FILE, ENVIRONMENT):
        shell.remove(Remove(paths.run(backend) / name))


def _remove(container: Container, noted: Launch, shell: Shell, patience: Patience) -> None:
    started = launch.parse(container.labels.get(LAUNCH, ""))
    started = started if started.runtime else noted
    if container.state == "running" and not patience.now:
        try:
            drain.begin(started, patience)
            _stop(container.name, started)
        except KeyboardInterrupt:
            patience.tell("not waiting any longer: what is in flight is cut off")
    shell.run(Command(of(container.project, "down", "--timeout", "0"), limit=REMOVAL_SECONDS))


def _stop(name: str, started: Launch) -> None:
    """Tell it to end, and wait until it has; not for one that has nothing left to do but hangs."""
    limit = drain.limit(started)
    idle = drain.Idle(started)
    telling = threading.Thread(
        target=engine.stop, args=(name, drain.stop_seconds(limit)), daemon=True
    )
    telling.start()
    while telling.is_alive() and not (limit and idle()):
        telling.join(LOOK_SECONDS)


def _is_of(container: Container, paths: Paths) -> bool:
    """Whether its home is ours: the same folder, or the one that ours was before it was moved."""
    home = container.labels.get(HOME, "")
    moved = not Path(home).exists() and container.labels.get(CHECKOUT) == str(paths.root)
    return home == os.path.realpath(paths.home) or moved


def _container(backend: str, paths: Paths) -> Container | None:
    """None also when the engine does not answer."""
    try:
        return next(iter(containers(backend, paths)), None)
    except engine.EngineSilent:
        return None
