"""The Docker Engine and Compose, as this user reaches them."""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lifecycle import engine
from lifecycle.facts import cdi
from lifecycle.host import DOCKER_DESKTOP, Docker
from lifecycle.machine import LIMIT, Machine
from lifecycle.shell import Output

SHARE = 0.6
"""Part of the look's time that the engine may take for one answer; the rest is for the others."""
"""Where Docker Desktop shows its programs to a WSL distribution while it runs."""
PROGRAMS = ("/usr/bin/docker", "/usr/local/bin/docker")
DAEMON_PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
"""Debian keeps dockerd in /usr/sbin, which is not on a user's PATH."""
PODMAN = (
    "Podman answers in the place of the Docker Engine\n"
    "it does not take Compose's words for graphics cards (podman#19338); only Docker's is supported"
)
APT = "/etc/apt/sources.list.d"
SOURCES = ("docker.sources", "docker.list")
"""What Docker's own instructions call the file, now and until 2025."""


def look(machine: Machine, limit: float = LIMIT) -> Docker:
    """Versions of both, the images here, and the first thing that is wrong.

    Args:
        limit: seconds for the whole look.
    """
    # Kept: asking costs 0.1 s, and a start looks several times.
    cli = machine.run("docker", "--version", keep=True)
    compose = machine.run("docker", "compose", "version", "--short", keep=True)
    patience = max(1, round(limit * SHARE))
    late = next((said.errors for said in (cli, compose) if said.code == 124), "")
    if late:
        return Docker(hung=True, problem=late)
    said = machine.ask("docker.engine", dict[str, Any](), lambda: engine.about(patience))
    seen = replace(
        parse(said),
        cli=version(cli.text),
        podman="podman" in cli.text.lower() + cli.errors.lower(),
        compose=compose_version(compose.text),
        daemon=machine.text("/etc/docker/daemon.json") or "",
        program=machine.ask("docker.program", "", _program),
        dockerd=machine.ask("docker.dockerd", "", _dockerd),
        repository="\n".join(filter(None, (_active(machine, name) for name in SOURCES))),
    )
    if seen.engine:
        free = machine.ask("docker.free", 0, lambda: _free(seen))
        seen = replace(seen, free=free, devices=seen.devices or _described(machine, seen, said))
    else:
        seen = _without_engine(machine, replace(seen, desktop=desktop(seen, cli)))
    if not seen.compose:
        seen = replace(seen, compose_v1=version(machine.run("docker-compose", "--version").text))
    why = _silence(seen, said) or (PODMAN if seen.foreign else "")
    return replace(seen, problem=why or _complaint(seen, compose))


def parse(said: Mapping[str, Any]) -> Docker:
    """What the engine told of itself (see `engine.about`)."""
    info = said.get("info") or {}
    found = info.get("DiscoveredDevices") or ()
    return Docker(
        engine=info.get("ServerVersion") or "",
        images=frozenset(said.get("images") or ()),
        desktop=info.get("OperatingSystem") == "Docker Desktop",
        denied=said.get("failure") in {"EACCES", "EPERM"},
        context=said.get("context") or "",
        address=said.get("address") or "",
        runtimes=frozenset(info.get("Runtimes") or ()),
        # Since Engine 28.2 (API 1.50); for older ones see `_described`.
        devices=frozenset(one["ID"] for one in found if one.get("Source") == "cdi"),
        folder=info.get("DockerRootDir") or "",
        foreign=_is_podman(said),
        security=frozenset(
            name[1]
            for option in info.get("SecurityOptions") or ()
            if (name := re.match(r"name=([\w-]+)", str(option)))
        ),
    )


def _is_podman(said: Mapping[str, Any]) -> bool:
    """Whether Podman answers in the engine's place: by its own word, or by the socket's name.

    https://docs.podman.io/en/latest/_static/api.html (`/version`, Components)
    """
    named = any("podman" in str(name).lower() for name in said.get("components") or ())
    return "info" in said and (named or "podman" in str(said.get("address")))


def _described(machine: Machine, seen: Docker, said: Mapping[str, Any]) -> frozenset[str]:
    """The CDI devices of an engine that does not list them: it names the folders that it reads.

    None where CDI is switched off, as it is by default before 28.2.
    https://docs.docker.com/reference/api/engine/version/v1.57/schemas/SystemInfo/ (CDISpecDirs)
    """
    folders = (said.get("info") or {}).get("CDISpecDirs") or ()
    if not folders or seen.desktop or not seen.address.startswith("unix://"):
        return frozenset()
    return frozenset(machine.ask("docker.cdi", list[str](), lambda: cdi.devices(folders)))


def version(text: str) -> str:
    """The number in `Docker version 28.2.2, build e6534b4`, `docker-compose version 1.29.2, …`."""
    found = re.match(r"\s*(?:docker|podman|docker-compose)\b.*? v?(\d[^\s,]*)", text, re.IGNORECASE)
    return found[1] if found else ""


def compose_version(text: str) -> str:
    """The number that `docker compose version --short` prints, whatever else stands beside it."""
    found = re.search(r"^v?(\d+\.\d+\S*)\s*$", text, re.MULTILINE)
    return found[1] if found else ""


def desktop(seen: Docker, cli: Output) -> bool:
    """Whether Docker Desktop would answer here, were it started and let in.

    Its programs are links into `DOCKER_DESKTOP`; without them Windows' PATH leads to a script of
    its own that says "The command 'docker' could not be found in this WSL 2 distro".
    """
    script = "could not be found in this WSL" in cli.text + cli.errors
    return script or seen.program.startswith(DOCKER_DESKTOP) or seen.context.startswith("desktop-")


def _without_engine(machine: Machine, seen: Docker) -> Docker:
    """What could explain the silence, and what a setup would find."""
    pid = (machine.text("/run/docker.pid") or "").strip()
    socket = seen.address.removeprefix("unix://")
    return replace(
        seen,
        desktop=seen.desktop and not seen.dockerd,
        running=bool(pid) and machine.exists(f"/proc/{pid}"),
        socket=machine.ask("docker.socket", "", lambda: _owner(socket)) if seen.denied else "",
    )


def _active(machine: Machine, name: str) -> str:
    """A list of apt's, without what is commented out."""
    lines = (machine.text(f"{APT}/{name}") or "").splitlines()
    return "\n".join(line for line in lines if line.strip() and not line.startswith("#"))


def _silence(seen: Docker, said: Mapping[str, Any]) -> str:
    """Why no engine answers, in a line or two; "" when one does."""
    if seen.engine:
        return ""
    if seen.desktop:
        return "Docker Desktop does not run, or does not let this system in"
    if not seen.dockerd and (said.get("failure") == "ENOENT" or not seen.program):
        return "no Docker Engine is installed"
    if seen.denied:
        return (
            "this account may not talk to the Docker Engine\n"
            f"the socket {seen.address} belongs to {seen.socket or 'somebody else'}"
        )
    return f"the Docker Engine does not answer\n{_reason(seen, said)}"


def _reason(seen: Docker, said: Mapping[str, Any]) -> str:
    asked = f"{seen.address} ({_chosen(seen.context)})"
    match said.get("failure"):
        case "ENOENT":
            return f"it does not run: there is no {asked}"
        case "ECONNREFUSED":
            return f"it does not run: nobody listens at {asked}"
        case "ETIMEDOUT":
            return f"no answer in {said.get('limit')} s at {asked}: it is starting, or stuck"
        case _:
            return str(said.get("said") or "it could not be asked")


def _chosen(context: str) -> str:
    return f"context {context}" if context else "from DOCKER_HOST"


def _complaint(seen: Docker, compose: Output) -> str:
    """Why there is no Compose v2; "" when there is."""
    if seen.compose:
        return ""
    if seen.podman:
        return "the command docker is Podman's here, which does not start our containers"
    if not seen.cli:
        return "the command docker is missing"
    if seen.compose_v1:
        return f"docker-compose {seen.compose_v1} is Compose v1; `docker compose` (v2) is missing"
    return f"`docker compose` (v2) is missing\n{first_line(compose.errors or compose.text)}"


def first_line(text: str) -> str:
    """The first line of what a program complained."""
    return text.strip().split("\n", 1)[0]


def _program() -> str:
    """Also a link that leads nowhere: Docker Desktop leaves one behind when it ends."""
    links = (name for name in PROGRAMS if os.path.islink(name))  # noqa: PTH114
    found = shutil.which("docker") or next(links, "")
    return os.path.realpath(found) if found else ""


def _dockerd() -> str:
    return shutil.which("dockerd", path=DAEMON_PATH) or ""


def _owner(socket: str) -> str:
    file = Path(socket)
    return f"{file.owner()}:{file.group()}"


def _free(seen: Docker) -> int:
    """Only where the engine's disk is one of ours: that of Docker Desktop is elsewhere."""
    ours = seen.address.startswith("unix://") and not seen.desktop
    return shutil.disk_usage(seen.folder).free if ours else 0
