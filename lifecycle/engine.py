"""The door to the Docker Engine's API. `docker compose` itself is run by `runtimes/compose.py`."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound

from lifecycle.errors import HostNotReady

LIMIT = 10
"""Seconds for an answer of the engine."""


@dataclass(frozen=True)
class Container:
    """One container of a compose project; `since` in seconds since the epoch."""

    name: str
    state: str
    pid: int
    since: float
    restarts: int
    exit_code: int


def version() -> tuple[str, str]:
    """The engine's version, and why it cannot be reached; one of the two is ""."""
    try:
        with contextlib.closing(docker.from_env(timeout=LIMIT)) as client:
            return str(client.version()["Version"]), ""
    except DockerException as error:
        return "", f"the Docker Engine does not answer\n{_plain(error)}"


def images() -> frozenset[str]:
    """Tags and digests of all images on the machine."""
    with contextlib.closing(docker.from_env(timeout=LIMIT)) as client:
        entries: list[dict[str, Any]] = client.api.images()
    found = {tag for entry in entries for tag in entry.get("RepoTags") or ()}
    return frozenset(found | {d for entry in entries for d in entry.get("RepoDigests") or ()})


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
