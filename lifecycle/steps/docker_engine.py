"""Steps about Docker itself: an engine that answers this account, and Compose v2."""

from dataclasses import replace

from lifecycle import tables
from lifecycle.env_file import nearest
from lifecycle.errors import ConfigError, NotSupported
from lifecycle.host import DOCKER_DESKTOP, DOCKER_SOCKET, Docker, Host
from lifecycle.paths import Paths
from lifecycle.step import Action, Command, Step, not_read
from lifecycle.steps import chain, docker_access, docker_packages, system, wsl
from lifecycle.steps.root import as_root

BY = "inv setup.docker"
KINDS = ("cpu", "cuda", "rocm")
ANSWERS = "Docker Engine and Compose v2 answer"
ANSWERS_ID = "docker.answers"
SOURCES = ("vendor", "distribution")
LOG = "/var/log/docker.log"
"""Where the service script lets the engine write."""
# The script of Debian and Docker raises the limit of open files first, and gives up where it may
# not: in a container without CAP_SYS_RESOURCE. The engine itself needs no such limit.
START = f"service docker start || {{ setsid dockerd >>{LOG} 2>&1 </dev/null & }}"
WAIT = "until docker version >/dev/null 2>&1; do sleep 0.5; done"
START_LIMIT_S = 60
SAVER = "; its Resource Saver stops WSL when no container runs (Settings > Resources)"
"""In spite of vmIdleTimeout: https://github.com/docker/for-win/issues/14361."""
SHOW = Command(("docker", "version"), limit=30)


def steps(host: Host, paths: Paths) -> list[Step]:
    """What a container server needs of Docker on this machine; [] where there can be none.

    How it was installed matters only as long as it does not answer. Then there is one line about
    it: the first thing that is wrong, as one command or one person mends all of them in turn.
    """
    if host.os.system != "linux":
        return []
    if host.wsl.generation == 1:
        return [answers(host)]
    if not silent(host):
        return chain.known([_here(host), answers(host)], host)
    first = chain.known(_plan(host, paths, ""), host)[-1]
    return [replace(first, id=ANSWERS_ID, name=ANSWERS)]


def setup(host: Host, paths: Paths, source: str) -> list[Step]:
    """The same, for a person who typed `inv setup.docker`.

    Args:
        source: `vendor` or `distribution`; "" for what suits the system, Docker Desktop included.

    Raises:
        ConfigError: there is no such source.
        NotSupported: that source has no packages for this system.
    """
    if source not in ("", *SOURCES):
        raise ConfigError(
            f"--source is {' or '.join(SOURCES)}, not {source!r}",
            fix=nearest(source, SOURCES, "Did you mean --source {}?")
            or "Leave it out: what suits is taken.",
        )
    if host.os.system != "linux":
        return system.steps(host)
    if source and not docker_packages.row(host, source):
        raise NotSupported(
            f"there are no {source} packages with Compose v2 for {host.os.name}",
            fix=f"Leave --source out, or follow {docker_packages.PAGE}",
        )
    if host.wsl.generation == 1:
        return [answers(host)]
    below = [wsl.second_generation(host)] if host.os.wsl else []
    return [*below, *_plan(host, paths, source)]


def answers(host: Host) -> Step:
    """The engine answers this account, and Compose v2 is there: what `up` asks for."""
    if host.wsl.generation == 1:
        return wsl.second_generation(host)
    return Step(
        id=ANSWERS_ID,
        name=ANSWERS,
        missing=silent,
        fix=_next(host),
        found=lambda now: (
            f"{'Docker Desktop' if now.docker.desktop else 'Engine'} {now.docker.engine}, "
            f"Compose {now.docker.compose}{SAVER if now.docker.desktop and now.os.wsl else ''}"
        ),
    )


def silent(now: Host) -> str:
    """Why Docker cannot be used; "" when it can."""
    if now.docker.engine and now.docker.compose:
        return now.docker.problem
    # A look that ran out of time has found no problem either.
    return now.docker.problem or now.unread.get("docker", "Docker was not looked at")


def _next(host: Host) -> str:
    """What to do about a silent engine; our command first, unless it would only say this too."""
    if _desktop_chosen(host, ""):
        return _desktop_fix(host)
    without = [gpu for gpu in KINDS if tables.serving.served(gpu, "venv")]
    other = f"Without Docker (GPU={' or '.join(without)}): --runtime venv."
    if host.docker.foreign:
        return f"{_instead_of_podman(host.docker)}, then: {BY}. {other}"
    first = (_here(host), *docker_access.logins(host))
    own = next((step.fix for step in first if step.missing(host)), "")
    return own or f"{BY} (it installs, starts and opens it). {other}"


def _plan(host: Host, paths: Paths, source: str) -> list[Step]:
    if host.docker.hung or "docker" in host.unread:
        return [_unread()]
    if host.docker.foreign:
        return [answers(host)]
    if _desktop_chosen(host, source):
        plan = [_here(host), *_of_desktop(host), answers(host)]
    else:
        plan = [_here(host), *_of_engine(host, paths, source)]
        # Not a person's business as long as one of the others can be done.
        ours = any(step.actions and step.missing(host) for step in plan)
        plan += [replace(answers(host), actions=(SHOW,) if ours else ())]
    return [replace(step, by=BY) if step.actions else step for step in plan]


def _unread() -> Step:
    """Whoever did not answer in time may be there all the same: nothing is installed over it."""
    return Step(
        id=ANSWERS_ID,
        name=ANSWERS,
        missing=silent,
        fix="Look again: inv doctor. If that does not help, see what hangs: docker version",
        unread=not_read("docker"),
    )


def _of_desktop(host: Host) -> list[Step]:
    """It installs and starts itself; the group is its business until it turns somebody away."""
    return docker_access.steps(host) if host.docker.denied else []


def _of_engine(host: Host, paths: Paths, source: str) -> list[Step]:
    row = docker_packages.row(host, source)
    return [
        *([_desktop_is_off()] if host.os.wsl else []),
        *docker_packages.steps(host, paths, row, strict=bool(source)),
        _started(host),
        *docker_access.steps(host),
    ]


def _desktop_chosen(host: Host, source: str) -> bool:
    """Whoever has Docker Desktop keeps it, unless he asks for something else by name."""
    return host.docker.desktop and not source


def _instead_of_podman(docker: Docker) -> str:
    """How the command docker gets back to Docker's own engine."""
    if docker.context in {"", "default"} and docker.address == DOCKER_SOCKET:
        return "Remove what puts Podman there: sudo apt-get remove podman-docker (dnf: the same)"
    return _back(docker)


def _back(docker: Docker) -> str:
    return (
        "Type: docker context use default (and unset DOCKER_CONTEXT, where that is set)"
        if docker.context
        else "Type: unset DOCKER_HOST, and remove it from your shell's start-up file"
    )


def _here(host: Host) -> Step:
    """Models, graphics cards and ports are this machine's; the engine must be too."""
    return Step(
        id="docker.local",
        name="docker means the engine of this machine",
        missing=lambda now: _elsewhere(now.docker),
        fix=f"{_back(host.docker)}, {docker_access.AGAIN}",
    )


def _elsewhere(docker: Docker) -> str:
    """A socket of this machine is fine as long as somebody answers there."""
    by = f"the context {docker.context}" if docker.context else "DOCKER_HOST"
    server = docker.address.partition("://")[2].partition("/")[0].rpartition(":")[0]
    if docker.address.startswith("unix://") or server in {"127.0.0.1", "localhost"}:
        usual = docker.context in {"", "default"} and docker.address == DOCKER_SOCKET
        heard = docker.engine or docker.denied or docker.desktop
        return "" if usual or heard else f"{by} leads to {docker.address}, where nobody answers"
    return f"{by} leads to {docker.address}" if docker.address else ""


def _desktop_is_off() -> Step:
    """Two engines behind one socket hide each other's containers."""
    return Step(
        id="docker.desktop_off",
        name="Docker Desktop keeps out of this distribution",
        missing=lambda now: (
            "its integration into this distribution is on"
            if now.docker.program.startswith(DOCKER_DESKTOP)
            or (now.docker.engine and now.docker.desktop)
            else ""
        ),
        fix="In Docker Desktop: Settings > Resources > WSL integration: switch this distribution "
        f"off, {docker_access.AGAIN} Or keep Docker Desktop: leave --source out.",
    )


def _desktop_fix(host: Host) -> str:
    own = "For an engine of this system's own: inv setup.docker --source=distribution"
    if not host.os.wsl:
        return f"Start Docker Desktop: systemctl --user start docker-desktop. {own}"
    name = host.wsl.distribution or "this distribution"
    return (
        f"Start Docker Desktop in Windows; Settings > Resources > WSL integration: switch {name} "
        f"on. {own}"
    )


def _started(host: Host) -> Step:
    return Step(
        id="docker.started",
        name="the Docker Engine is started",
        missing=_stopped,
        actions=_start(host),
        fix="See why: journalctl -u docker --no-pager -n 50"
        if host.os.systemd
        else f"See why: sudo tail -n 50 {LOG}",
        phase="start",
    )


def _stopped(now: Host) -> str:
    if now.docker.engine or (now.docker.denied and (now.docker.running or not now.docker.dockerd)):
        return ""
    return now.docker.problem.partition("\n")[2] or silent(now)


def _start(host: Host) -> tuple[Action, ...]:
    """With systemd also at every boot; without it by its service script, which does not wait."""
    if host.os.systemd:
        return (as_root(host, "systemctl", "enable", "--now", "docker.service"),)
    return (
        as_root(host, "sh", "-c", START),
        as_root(host, "timeout", str(START_LIMIT_S), "sh", "-c", WAIT),
    )
