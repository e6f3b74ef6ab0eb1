"""The door to the Docker Engine's API. `docker compose` itself is run by `runtimes/compose.py`."""

import contextlib
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import docker
from docker.context import ContextAPI
from docker.context.config import get_current_context_name
from docker.errors import APIError, DockerException, NotFound

from lifecycle.errors import HostNotReady

LIMIT = 10
"""Seconds for an answer of the engine."""
LOCAL = "unix:///var/run/docker.sock"
"""Where the engine of this machine listens, unless somebody says otherwise."""
TOLD = ("ServerVersion", "OperatingSystem", "DockerRootDir", "SecurityOptions", "CDISpecDirs",
        "DiscoveredDevices")  # fmt: skip


@dataclass(frozen=True)
class Container:
    """One container of a compose project; `since` in seconds since the epoch."""

    name: str
    state: str
    pid: int
    since: float
    restarts: int
    exit_code: int


def about(limit: int = LIMIT) -> dict[str, Any]:
    """What the engine says of itself, in its own words, or why it says nothing.

    `info` holds some keys of `GET /info` and `images` tags and digests; without an answer `failure`
    is the error's name (`ENOENT`, `EACCES`, …) and `said` its text. Only what is read is kept: the
    rest of `/info` names hosts and proxies. https://docs.docker.com/reference/api/engine/

    Args:
        limit: seconds for one request.
    """
    context = _context()
    where = {"context": context, "address": _address()}
    if context and ContextAPI.get_context(context) is None:
        # The library would take the local engine instead; the command line refuses.
        return {**where, "failure": "", "said": f"there is no context {context}"}
    try:
        with contextlib.closing(docker.from_env(timeout=limit)) as client:
            info: dict[str, Any] = client.info()
            entries: list[dict[str, Any]] = client.api.images()
    except (DockerException, OSError) as error:
        return {**where, "failure": _failure(error), "said": _plain(error), "limit": limit}
    told = {name: info.get(name) for name in TOLD} | {"Runtimes": sorted(info["Runtimes"] or ())}
    return {**where, "info": told, "images": sorted(_names(entries))}


def _names(entries: list[dict[str, Any]]) -> set[str]:
    kinds = ("RepoTags", "RepoDigests")
    return {name for entry in entries for kind in kinds for name in entry.get(kind) or ()}


def _context() -> str:
    """The context in force; "" when DOCKER_HOST overrules it, as it does for the command line."""
    if os.environ.get("DOCKER_HOST"):
        return ""
    return os.environ.get("DOCKER_CONTEXT") or str(get_current_context_name())


def _address() -> str:
    """Where `from_env` looks for the engine."""
    chosen = os.environ.get("DOCKER_HOST") or ContextAPI.kwargs_from_context().get("base_url")
    return (chosen or LOCAL).removeprefix("http+")


def _failure(error: BaseException) -> str:
    """The name of the system's own error below those of three libraries; "" when there is none."""
    if isinstance(error, OSError) and error.errno:
        return errno.errorcode.get(error.errno, "")
    below = [one for one in (*error.args, error.__cause__) if isinstance(one, BaseException)]
    named = next(filter(None, map(_failure, below)), "")
    return named or ("ETIMEDOUT" if "timed out" in str(error) else "")


def container(project: str) -> Container | None:
    """The container of a compose project; None when there is none."""
    try:
        with contextlib.closing(docker.from_env(timeout=LIMIT)) as client:
            label = f"com.docker.compose.project={project}"
            found = client.api.containers(all=True, filters={"label": label})
            if not found:
                return None
            details: dict[str, Any] = client.api.inspect_container(found[0]["Id"])
    except DockerException:
        return None
    state = details["State"]
    return Container(
        name=str(details["Name"]).lstrip("/"),
        state=str(state["Status"]),
        pid=int(state["Pid"]),
        since=_seconds(str(state["StartedAt"])),
        restarts=int(details["RestartCount"]),
        exit_code=int(state["ExitCode"]),
    )


def log(container_name: str, lines: int) -> str:
    """The end of a container's log; "" when there is no such container."""
    try:
        with contextlib.closing(docker.from_env(timeout=LIMIT)) as client:
            raw: bytes = client.api.logs(container_name, tail=lines)
    except DockerException:
        return ""
    return raw.decode("utf-8", "replace")


def pull(reference: str, on_line: Callable[[str], None]) -> None:
    """Fetch an image.

    Raises:
        HostNotReady: told apart by what a person would do about it.
    """
    try:
        with contextlib.closing(docker.from_env(timeout=LIMIT)) as client:
            for event in client.api.pull(reference, stream=True, decode=True):
                if "error" in event:
                    raise HostNotReady(f"cannot pull {reference}", why=str(event["error"]))
                on_line(f"{event.get('status', '')} {event.get('progress', '')}".strip())
    except NotFound as error:
        raise HostNotReady(
            f"there is no image {reference}", why=_plain(error), fix="Set IMAGE= in .env."
        ) from None
    except APIError as error:
        raise HostNotReady(
            f"cannot pull {reference}",
            why=_plain(error),
            fix="Without a registry: nox -s local-image builds an image here; or set IMAGE= "
            "in .env to one that is on this machine; or use --runtime venv.",
        ) from None


def _plain(error: Exception) -> str:
    return str(getattr(error, "explanation", "") or error)


def _seconds(stamp: str) -> float:
    # The engine writes nanoseconds, Python reads microseconds at most.
    head, _, _ = stamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}+00:00").timestamp()
