"""The Docker Engine: its start, what it says to whom, and what NVIDIA's toolkit does to it."""

import json
import shlex

from tests.unit.simulated.state import Refused, State
from tests.unit.simulated.world import DOCKER_CLI, DOCKER_COMPOSE, DOCKER_INFO

COMPOSE = {"docker-compose-v2", "docker-compose-plugin"}


def docker(on: State, *words: str) -> None:
    """`docker version`, and `docker run --gpus all IMAGE nvidia-smi`."""
    if words == ("version",):
        on.expect(bool(on.host().docker.engine), "permission denied, or no daemon")
        return
    on.expect(words[:2] == ("run", "--rm"), f"docker {shlex.join(words)}")
    seen = on.host()
    on.expect(bool(seen.docker.engine), "Cannot connect to the Docker daemon")
    hooked = seen.docker.desktop or "nvidia-container-toolkit" in on.packages
    on.expect(hooked, 'could not select device driver "" with capabilities: [[gpu]]')
    on.expect(bool(seen.nvidia.gpus), "Auto-detected mode as 'legacy': no adapters found")
    if "--device" in words:
        on.expect(bool(seen.docker.devices), "unresolvable CDI devices nvidia.com/gpu=all")


def start(on: State) -> None:
    """The engine reads its file at its start."""
    daemon = json.loads(on.text("/etc/docker/daemon.json") or "{}")
    known = {*DOCKER_INFO["Runtimes"], *daemon.get("runtimes", {})}
    on.engine = {**DOCKER_INFO, **on.engine, "Runtimes": sorted(known)}
    on.engine_runs = True


def answer(on: State) -> None:
    """What the engine says to this account, or why it says nothing."""
    if not on.engine_runs:
        return
    where = _where(on)
    known = on.asked("os")
    socket = on.asked("docker.socket") or "root:docker"
    if known["root"] or socket.partition(":")[2] in known["groups"]:
        info = on.engine or DOCKER_INFO
        on.engine = info
        on.tell("docker.engine", {**where, "info": info, "images": []})
    else:
        on.tell("docker.engine", {**where, "failure": "EACCES", "said": "denied"})
        on.tell("docker.socket", socket)
        on.put("/run/docker.pid", "812")
        on.put("/proc/812", "")


def tools(on: State) -> None:
    """The command line and Compose v2, as the packages bring them."""
    own = "docker-cli" if "ID=debian" in on.release() else "docker.io"
    if on.installed({own, "docker-ce-cli"}):
        on.says(("docker", "--version"), DOCKER_CLI)
        on.tell("docker.program", "/usr/bin/docker")
    second = COMPOSE | ({"docker-compose"} if 'VERSION_ID="13"' in on.release() else set())
    if on.installed(second):
        on.says(("docker", "compose", "version", "--short"), DOCKER_COMPOSE)


def nvidia_ctk(on: State, *words: str) -> None:
    on.need_root("nvidia-ctk")
    on.expect("nvidia-container-toolkit" in on.packages, "nvidia-ctk: command not found")
    match words:
        case ("runtime", "configure", "--runtime=docker"):
            daemon = json.loads(on.text("/etc/docker/daemon.json") or "{}")
            runtime = {"args": [], "path": "nvidia-container-runtime"}
            daemon.setdefault("runtimes", {})["nvidia"] = runtime
            on.put("/etc/docker/daemon.json", json.dumps(daemon, indent=4))
        case ("cdi", "generate", target) if target.startswith("--output="):
            on.put(target.partition("=")[2], "cdiVersion: 0.5.0")
        case _:
            raise Refused(f"nvidia-ctk {shlex.join(words)}")


def boot(on: State, *, systemd: bool) -> None:
    """After a start of the system: systemd starts it; without it nobody does."""
    on.tell("docker.dockerd", "/usr/bin/dockerd")
    if systemd:
        start(on)
        return
    on.engine_runs = False
    on.tell("docker.engine", {**_where(on), "failure": "ENOENT", "said": "no such file"})


def _where(on: State) -> dict[str, str]:
    said = on.asked("docker.engine")
    return {"context": said.get("context", "default"), "address": said["address"]}
