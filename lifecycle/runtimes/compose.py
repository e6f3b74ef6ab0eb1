"""A server in a container, through `docker compose`. Only this module spells that command."""

from lifecycle import engine, processes
from lifecycle.backend import Backend
from lifecycle.host import Launch, Server
from lifecycle.paths import Paths
from lifecycle.runtimes import answer, boot_log, launch
from lifecycle.shell import Shell
from lifecycle.step import Command, Remove, WriteFile

TAIL_LINES = 2000
LOG = "server.log"


def project(backend: str) -> str:
    """The compose project: the backend's name, marked as ours."""
    return f"vllm-{backend}"


def command(backend: str, *arguments: str) -> tuple[str, ...]:
    """A `docker compose` command for the project of a backend."""
    return of(project(backend), *arguments)


def of(project: str, *arguments: str) -> tuple[str, ...]:
    """A `docker compose` command for any project of ours."""
    # /dev/null: Compose would otherwise read our root .env by its own rules.
    return ("docker", "compose", "--project-name", project, "--env-file", "/dev/null", *arguments)


def status(backend: Backend, paths: Paths, started: Launch) -> Server:
    """Its state now; never raises."""
    del paths
    container = engine.container(project(backend.name))
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
    del paths
    container = engine.container(project(backend))
    return container.restarts + 1 if container else 1


def dead(backend: str, paths: Paths, starts: int) -> str:
    """Why the server is gone, or was started more than `starts` times; "" while neither."""
    del paths
    container = engine.container(project(backend))
    if container is None:
        return "its container is gone"
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
    del paths
    container = engine.container(project(backend))
    return engine.log(container.name, TAIL_LINES) if container else ""


def follow(backend: str, paths: Paths, lines: int, *, on: bool) -> tuple[str, ...]:
    """`docker compose logs`, without the prefix of the only service."""
    kept = paths.run(backend) / LOG
    if engine.container(project(backend)) is None and kept.exists():
        return ("tail", "-n", str(lines), str(kept))
    more = ("--follow",) if on else ()
    return command(backend, "logs", "--no-log-prefix", "--tail", str(lines), *more)


def down(backend: str, paths: Paths, shell: Shell) -> None:
    """Stop and remove the container and its network; volumes (caches) stay."""
    container = engine.container(project(backend))
    if container is not None:
        # The engine drops a container's log with it; a failed start must stay readable.
        text = engine.log(container.name, TAIL_LINES)
        shell.write(WriteFile(paths.run(backend) / LOG, text, 0o600))
        shell.run(Command(command(backend, "down", "--timeout", "8"), limit=60))
    shell.remove(Remove(paths.run(backend) / launch.FILE))
