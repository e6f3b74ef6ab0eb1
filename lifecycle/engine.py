"""The door to the Docker Engine's API. `docker compose` itself is run by `runtimes/compose.py`."""

import contextlib
import errno
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPException
from typing import Any

import docker
from docker.context import ContextAPI
from docker.context.config import get_current_context_name
from docker.errors import APIError, DockerException, NotFound
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.exceptions import HTTPError

from lifecycle import tables
from lifecycle.errors import HostNotReady
from lifecycle.host import DOCKER_SOCKET
from lifecycle.layers import Pull
from lifecycle.redact import without_credentials

LIMIT = 10
"""Seconds for an answer of the engine."""
SILENCE = 900
"""Seconds without a word after which a pull hangs. Docker's containerd store may be silent while it
unpacks (moby/moby#47108), and the largest layer of an image with CUDA or ROCm has several GiB."""
WAITS = (2, 5, 10)
"""Seconds before the further attempts at a pull."""
PROJECT = "com.docker.compose.project"
"""The label by which Compose knows its containers."""
TOLD = ("ServerVersion", "OperatingSystem", "DockerRootDir", "SecurityOptions", "CDISpecDirs",
        "DiscoveredDevices")  # fmt: skip


class EngineSilent(HostNotReady):
    """The engine does not answer: nobody can tell what there is of containers."""

    def __init__(self, error: Exception) -> None:
        super().__init__(
            "the Docker Engine does not answer",
            why=_plain(error),
            fix="Start it (inv doctor tells its state), then run the same command again.",
        )


@dataclass(frozen=True)
class Container:
    """One container; `since` in seconds since the epoch.

    Args:
        labels: as they were given to it.
        sources: folders of this machine that it was given, by their places inside.
    """

    name: str
    state: str
    pid: int
    since: float
    restarts: int
    exit_code: int
    out_of_memory: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def project(self) -> str:
        """The compose project that it belongs to."""
        return self.labels.get(PROJECT, "")


def about(limit: int = LIMIT) -> dict[str, Any]:
    """What the engine says of itself, in its own words, or why it says nothing.

    `info` holds some keys of `GET /info`, `components` the names in `GET /version` (`Engine`, or
    `Podman Engine`) and `images` tags and digests; without an answer `failure`
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
            components = _components(client)
    except (DockerException, OSError) as error:
        return {**where, "failure": _failure(error), "said": _plain(error), "limit": limit}
    told = {name: info.get(name) for name in TOLD} | {"Runtimes": sorted(info["Runtimes"] or ())}
    return {**where, "info": told, "components": components, "images": sorted(_names(entries))}


def _components(client: docker.DockerClient) -> list[str]:
    """What the engine is made of, by its own word; [] where it does not tell."""
    with contextlib.suppress(DockerException, OSError, AttributeError, TypeError):
        return [str(part["Name"]) for part in client.version().get("Components") or []]
    return []


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
    return without_credentials((chosen or DOCKER_SOCKET).removeprefix("http+"))


def _failure(error: BaseException) -> str:
    """The name of the system's own error below those of three libraries; "" when there is none."""
    if isinstance(error, OSError) and error.errno:
        return errno.errorcode.get(error.errno, "")
    below = [one for one in (*error.args, error.__cause__) if isinstance(one, BaseException)]
    named = next(filter(None, map(_failure, below)), "")
    return named or ("ETIMEDOUT" if "timed out" in str(error) else "")


def containers(*labels: str) -> list[Container]:
    """The containers with all of these labels, running or not.

    Args:
        labels: `name=value`, or a name alone.

    Raises:
        EngineSilent: which is not the same as none.
    """
    try:
        with contextlib.closing(docker.from_env(timeout=LIMIT)) as client:
            found = client.api.containers(all=True, filters={"label": list(labels)})
            return [
                told for one in found if (told := _inspected(client, str(one["Id"]))) is not None
            ]
    except (DockerException, OSError) as error:
        raise EngineSilent(error) from None


def publisher(port: int) -> Container | None:
    """The container that a port of this machine leads to; None when there is none or no answer."""
    try:
        with contextlib.closing(docker.from_env(timeout=LIMIT)) as client:
            found = client.api.containers(filters={"publish": str(port)})
            return _inspected(client, str(found[0]["Id"])) if found else None
    except (DockerException, OSError):
        return None


def container(project: str) -> Container | None:
    """The container of a compose project; None when there is none, or no answer."""
    try:
        return next(iter(containers(f"{PROJECT}={project}")), None)
    except EngineSilent:
        return None


def stop(name: str, seconds: int) -> None:
    """Tell a container to end, and end it after so many seconds; returns when it has ended.

    Never raises: whoever wants to know whether it ended looks for it.
    """
    with (
        contextlib.suppress(DockerException, OSError),
        contextlib.closing(docker.from_env(timeout=seconds + LIMIT)) as client,
    ):
        client.api.stop(name, timeout=seconds)


def _inspected(client: docker.DockerClient, number: str) -> Container | None:
    """None when it went away in between."""
    try:
        details: dict[str, Any] = client.api.inspect_container(number)
    except NotFound:
        return None
    state = details["State"]
    return Container(
        name=str(details["Name"]).lstrip("/"),
        state=str(state["Status"]),
        pid=int(state["Pid"]),
        since=_seconds(str(state["StartedAt"])),
        restarts=int(details["RestartCount"]),
        exit_code=int(state["ExitCode"]),
        out_of_memory=bool(state.get("OOMKilled")),
        labels=dict(details["Config"].get("Labels") or {}),
        sources={str(one["Destination"]): str(one["Source"]) for one in details["Mounts"]},
    )


def log(container_name: str, lines: int) -> str:
    """The end of a container's log; "" when there is no such container."""
    try:
        with contextlib.closing(docker.from_env(timeout=LIMIT)) as client:
            raw: bytes = client.api.logs(container_name, tail=lines)
    except DockerException:
        return ""
    return raw.decode("utf-8", "replace")


def pull(reference: str, watch: Callable[[Pull], None], waits: Sequence[float] = WAITS) -> None:
    """Fetch an image, with the credentials of `docker login`.

    Within one attempt the engine itself tries a layer again and goes on in its middle. Of an
    attempt that failed it keeps nothing (26.1, classic image store, seen in our tests).

    Args:
        watch: told after every change; the same object each time.
        waits: seconds before each further attempt, where one is worth it.

    Raises:
        NoSuchImage: the registry does not have it.
        HostNotReady: told apart by what a person would do about it.
    """
    coming = Pull(reference)
    for wait in (*waits, None):
        try:
            _fetch(coming, watch)
        except _Refused as refused:
            said = str(refused)
            known = tables.pull.problem(said)
            if wait is None or not known.again:
                failure = NoSuchImage if known.absent else HostNotReady
                raise failure(
                    f"cannot pull {reference}: {known.what}", why=said, fix=known.fix
                ) from None
        else:
            return
        coming.begin_again(f"{known.what}: again in {wait:g} s")
        watch(coming)
        time.sleep(wait)


def pull_first(
    references: Sequence[str], watch: Callable[[Pull], None], tell: Callable[[str], None]
) -> None:
    """Fetch the first of these images that its registry has, for this processor.

    Args:
        tell: told when one is passed over, and for which.

    Raises:
        HostNotReady: none is there, or one could not be fetched for a reason of another kind.
    """
    for reference, following in zip(references, (*references[1:], ""), strict=True):
        try:
            pull(reference, watch)
        except NoSuchImage as absent:
            if not following:
                raise
            tell(f"{absent.what}; going on with {tables.serving.by_tag(following)}")
        else:
            return


def digests(reference: str) -> list[str]:
    """Under which `name@digest` the registries know an image that is here; [] when none does."""
    try:
        with contextlib.closing(docker.from_env(timeout=LIMIT)) as client:
            details: dict[str, Any] = client.images.get(reference).attrs
    except (DockerException, OSError):
        return []
    return list(details.get("RepoDigests") or ())


class NoSuchImage(HostNotReady):
    """The registry answers, and does not have this image: a different one may be there."""


class _Refused(Exception):
    """What the engine says of an image that it could not fetch."""


class _Patient(HTTPAdapter):
    """The way to the engine, as pulls need it.

    The library waits for a pull for ever, and leaves the connection of one that was given up open,
    so that the engine goes on with it.
    """

    def __init__(self, way: BaseAdapter) -> None:
        super().__init__()
        self._way = way
        self._answers: list[Response] = []

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401
        kwargs["timeout"] = (LIMIT, SILENCE)
        answer = self._way.send(request, *args, **kwargs)
        self._answers.append(answer)
        return answer

    def close(self) -> None:
        for answer in self._answers:
            answer.close()
        self._way.close()


def _fetch(coming: Pull, watch: Callable[[Pull], None]) -> None:
    """One attempt.

    Raises:
        _Refused: the engine could not fetch it, and said why.
        HostNotReady: the engine itself is gone.
    """
    try:
        with contextlib.closing(docker.from_env(timeout=LIMIT)) as client:
            client.api.mount(
                client.api.base_url, _Patient(client.api.get_adapter(client.api.base_url))
            )
            for event in client.api.pull(coming.reference, stream=True, decode=True):
                if "error" in event:
                    raise _Refused(event["error"])
                coming.take(event, time.monotonic())
                watch(coming)
    except APIError as error:
        raise _Refused(_plain(error)) from None
    except (DockerException, OSError, HTTPError, HTTPException) as error:
        raise _lost(error) from None
    if not coming.digest:
        raise _lost(EOFError("it ended in the middle"))


def _lost(error: Exception) -> Exception:
    """What it means that the engine did not answer to the end."""
    said = _plain(error)
    if "timed out" in said.lower():
        return _Refused(f"the engine told nothing for {SILENCE} s: {said}")
    if tables.pull.problem(said).name == "credentials":
        return _Refused(said)
    return HostNotReady(
        "lost the connection to the Docker Engine before or during the pull",
        why=said,
        fix="inv doctor tells its state; inv setup.docker starts it. Then the same again.",
    )


def _plain(error: Exception) -> str:
    return without_credentials(str(getattr(error, "explanation", "") or error))


def _seconds(stamp: str) -> float:
    # The engine writes nanoseconds, Python reads microseconds at most.
    head, _, _ = stamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}+00:00").timestamp()
