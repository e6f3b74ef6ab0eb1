"""What there is of a backend's server, by what it carries itself; our notes only add to that.

Notes get lost: a cleaner takes a socket, a full disk damages a file, another user may not read it.
So a server is told by its processes and containers, and "nobody answers" is kept apart from "there
is none".
"""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from lifecycle.errors import LifecycleError
from lifecycle.host import DOCKER_SOCKET, Launch
from lifecycle.paths import Paths
from lifecycle.runtimes import launch, venv

CONTAINERS = ("environment.yml",)
"""In the state folder: a container was made, and not removed by us."""


@dataclass(frozen=True)
class Traces:
    """What there is.

    Args:
        runtime: where the server runs; "" when none is there, or nobody knows.
        launch: what it was started with, by itself, else by the copy beside it.
        unknown: why nobody can tell whether there is one; "" when it is known.
    """

    runtime: str = ""
    launch: Launch = field(default_factory=Launch)
    unknown: str = ""

    @property
    def any(self) -> bool:
        """Whether there is or may be something to stop, or to forget."""
        return bool(self.runtime or self.launch.runtime or self.unknown)


def look(backend: str, paths: Paths) -> Traces:
    """All there is of a backend's server; never raises."""
    run = paths.run(backend)
    noted = launch.read(run)
    problem = launch.unreadable(run)
    carried = venv.carried(backend, paths)
    if carried is not None:
        return Traces("venv", _whole(carried, noted, "venv"))
    if not _asks_engine(run, noted):
        return Traces("", noted, problem if _forbidden(run) else "")
    from lifecycle.runtimes import compose

    try:
        carried = compose.carried(backend, paths)
    except LifecycleError as silent:
        # Without any note of a container the engine has nothing to do with this backend.
        told = f"{silent.what}: {silent.why}" if _noted(run, noted) else ""
        return Traces("", noted, told or (problem if _forbidden(run) else ""))
    if carried is not None:
        return Traces("docker", _whole(carried, noted, "docker"))
    return Traces("", noted)


def owner(started: Launch, paths: Paths, fingerprint: str) -> str:
    """The checkout a server belongs to when that is not this one; "" when it is.

    A checkout that was moved is known by its key, which moves along.

    Args:
        fingerprint: of this checkout's key.
    """
    if started.checkout == str(paths.root) or not started.runtime:
        return ""
    same_key = started.settings.get("VLLM_API_KEY", fingerprint) == fingerprint
    if same_key and (not started.checkout or gone(started.checkout)):
        return ""
    return started.checkout or UNKNOWN


UNKNOWN = "unknown (an earlier version started it, with a different key)"


def gone(checkout: str) -> bool:
    """Whether there is no checkout any more where one was. One we may not look into is there."""
    if checkout == UNKNOWN:
        return False
    try:
        (Path(checkout) / "tasks.py").lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _whole(carried: Launch, noted: Launch, runtime: str) -> Launch:
    """What an earlier version started carries nothing: then the copy counts."""
    return carried if carried.runtime else replace(noted, runtime=runtime)


def _asks_engine(run: Path, noted: Launch) -> bool:
    """Docker's library costs 0.2 s; where there is no engine, nobody is asked."""
    there = os.environ.get("DOCKER_HOST") or os.environ.get("DOCKER_CONTEXT")
    socket = DOCKER_SOCKET.removeprefix("unix://")
    return bool(there) or os.path.exists(socket) or _noted(run, noted)  # noqa: PTH110


def _noted(run: Path, noted: Launch) -> bool:
    return noted.runtime == "docker" or any((run / name).exists() for name in CONTAINERS)


def _forbidden(run: Path) -> bool:
    """Whether the copy is somebody else's, and so may be a server that we cannot see."""
    return (run / launch.FILE).exists() and not os.access(run / launch.FILE, os.R_OK)
