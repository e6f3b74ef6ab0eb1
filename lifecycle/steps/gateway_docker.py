"""The gateway in a container: compose/gateway.yml with an image of Traefik."""

import hashlib
import json
from pathlib import Path

from lifecycle import tables
from lifecycle.gateway import files as places
from lifecycle.gateway.traefik import LOOPBACK
from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.runtimes import compose
from lifecycle.runtimes import gateway as process
from lifecycle.step import Action, Command, Step, WriteFile
from lifecycle.steps import chain, docker_engine, pull
from lifecycle.steps.gateway_form import PLACE, Wanted
from lifecycle.steps.venv import Tools

PLAIN = "Run it without Docker: GATEWAY_RUNTIME=venv in .env, then inv gateway.up."


def needs(wanted: Wanted, paths: Paths, host: Host, tools: Tools) -> list[Step]:
    """An engine on this very machine that has the image."""
    del paths, tools
    size = 0 if wanted.image else tables.gateway.image().disk_gib
    way = chain.known([docker_engine.answers(host), _same_network()], host)
    return [*way, *pull.steps(image(wanted), size)]


def files(wanted: Wanted, paths: Paths) -> dict[str, str]:
    """What the container is made with: when it changes, the container is made anew."""
    made_with = {"compose": _digest(_compose_file(paths)), **_values(wanted)}
    return {places.CONTAINER: json.dumps(made_with, indent=1) + "\n"}


def traefik(wanted: Wanted, paths: Paths, host: Host) -> tuple[str, ...]:
    """A container of its own, with the rights of the one it tries for; it ends with its words.

    Not `docker compose run`: that leaves its container behind when it is ended.
    """
    folder = str(places.folder(paths))
    return (
        "docker", "run", "--rm", "--name", _trial(paths), "--network", "host",
        "--user", host.os.user,
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--read-only",
        "--volume", f"{folder}:{folder}:ro", "--workdir", PLACE, "--entrypoint", "traefik",
        image(wanted),
    )  # fmt: skip


def sweep(paths: Paths) -> tuple[Action, ...]:
    """End the container of an earlier trial, which would hold the name."""
    return (Command(("docker", "rm", "--force", _trial(paths)), limit=30),)


def begin(wanted: Wanted, paths: Paths, host: Host) -> tuple[Action, ...]:
    """Have compose make the container."""
    folder = places.folder(paths)
    words = ("--file", str(_compose_file(paths)), "up", "--detach", "--remove-orphans")
    values = {**_values(wanted), "FOLDER": str(folder), "RUN_AS": host.os.user}
    return (
        # Docker makes no folder for it, and Traefik may write nowhere else.
        WriteFile(folder / "log" / ".keep", ""),
        Command(compose.of(process.project(folder), *words), env=values, limit=120),
    )


def image(wanted: Wanted) -> str:
    """The image, as Docker takes it."""
    return wanted.image or tables.gateway.image().pinned


def _trial(paths: Paths) -> str:
    return f"{process.project(places.folder(paths))}-trial"


def _values(wanted: Wanted) -> dict[str, str]:
    # On the tailnet a firewall rule must be there first, and after a reboot it is not: the engine
    # brings such a container back when it dies, but not when the machine starts.
    outside = wanted.address != LOOPBACK
    restart = "on-failure" if outside else "unless-stopped"
    return {"IMAGE": image(wanted), "RESTART": restart}


def _same_network() -> Step:
    def missing(now: Host) -> str:
        if now.docker.desktop:
            return "Docker Desktop runs containers in a machine of its own, with its own 127.0.0.1"
        if now.docker.rootless:
            return "a rootless engine runs containers in a network of its own"
        if now.docker.remapped:
            return "an engine with userns-remap gives no container this machine's network"
        if now.docker.selinux:
            return "this engine's SELinux keeps the gateway's files from its container"
        here = now.docker.address.startswith("unix://")
        return "" if here else f"the engine is elsewhere: {now.docker.address}"

    return Step(
        id="gateway.host_network",
        name="containers can have this machine's network",
        missing=missing,
        fix=PLAIN,
    )


def _compose_file(paths: Paths) -> Path:
    return paths.root / "compose" / "gateway.yml"


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
