"""The overlays for graphics cards on a real engine: stand-in devices and files, the CPU's image.

No card is here: what is shown is that Docker takes what we write, and that vLLM runs in it.
"""

import dataclasses
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from lifecycle import backend as backends
from lifecycle import facts
from lifecycle.backend import Backend
from lifecycle.host import Amd, Host, Launch
from lifecycle.machine import Here
from lifecycle.paths import ROOT, Paths
from lifecycle.runtimes import compose
from lifecycle.shell import Shell
from lifecycle.steps import docker, overlays
from tests.integration import prepared
from tests.integration.checkout import free_port
from tests.integration.lent_vllm import ONE_PROCESS
from tests.integration.prepared import IMAGE
from tests.unit.gpu_hosts import LEGACY, ON_LINUX, ROCDXG, RTX_4090

pytestmark = pytest.mark.docker

GROUP = 44
ANSWER_SECONDS = 240
KEY = "sk-local-for-a-test"
TOLD = f"{IMAGE}-told"
SETTINGS = (ONE_PROCESS, "VLLM_TARGET_DEVICE=cpu")
"""Of that image: whatever card vLLM is told of, it is to take the processor."""


@dataclass(frozen=True)
class Server:
    """A started server and what it was made of."""

    backend: Backend
    host: Host
    given: dict[str, str]
    home: Path

    @property
    def name(self) -> str:
        return f"{compose.project(self.backend.name, self.home)}-vllm-1"

    def inspect(self) -> dict[str, Any]:
        (found,) = json.loads(run("docker", "inspect", self.name).stdout)
        assert isinstance(found, dict)
        return found

    def inside(self, *words: str) -> str:
        return run("docker", "exec", self.name, *words).stdout.strip()


def run(*argv: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=True,
        timeout=300,
    )  # fmt: skip


def once(*options: str, command: str) -> str:
    """What Python says in a container of its own."""
    argv = ("docker", "run", "--rm", "--network", "none", *options, "--entrypoint", "python3")
    return run(*argv, IMAGE, "-c", command).stdout.strip()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """The user's model, and everything that is made in a folder of its own."""
    models = prepared.places().models
    return Paths(ROOT, tmp_path_factory.mktemp("home"), models)


@pytest.fixture(scope="module", autouse=True)
def told(image: str) -> Iterator[str]:
    """The image with its settings: a container that never runs, kept under another name."""
    container = run("docker", "create", image, "none")
    name = container.stdout.strip()
    try:
        changes = (f"--change=ENV {setting}" for setting in SETTINGS)
        run("docker", "commit", *changes, name, TOLD)
    finally:
        run("docker", "rm", name)
    yield TOLD
    run("docker", "image", "rm", TOLD)


def host_with(amd: Amd, places: Paths, *, wsl: bool) -> tuple[Host, Host]:
    """This machine as it is, and as if it had a card."""
    cpu = backends.load("cpu", ROOT, {"RUNTIME": "docker"})
    here = facts.gather(cpu, places, Here(Shell()))
    assert here.weights.root, here.weights
    return here, dataclasses.replace(here, os=dataclasses.replace(here.os, wsl=wsl), amd=amd)


def started(amd: Amd, places: Paths, devices: dict[str, str], *, wsl: bool) -> Iterator[Server]:
    """A server with GPU=rocm, told to vLLM as one for the processor."""
    here, host = host_with(amd, places, wsl=wsl)
    environ = {"RUNTIME": "docker", "IMAGE": TOLD, "MODEL": prepared.MODEL}
    environ |= {"PORT": str(free_port()), "VLLM_API_KEY": KEY, "MAX_MODEL_LEN": "512"}
    backend = Backend(f"gtest-{os.getpid()}", backends.load("7900xtx", ROOT, environ).settings)
    cpu = backends.load("cpu", ROOT, environ)
    asked_of_cpu = docker.environment(cpu, places, here)
    given = {**docker.environment(backend, places, host), **devices}
    given["VLLM_ARGS"] = asked_of_cpu["VLLM_ARGS"]
    for action in docker.start(backend, places, host, Launch())[:-1]:
        Shell().write(action)  # type: ignore[arg-type]
    prepared.warm(Path(given["CACHE_SOURCE"]))
    command = docker.up_command(backend, places, host)
    try:
        run(*command, env=given)
        yield Server(backend, host, given, places.home)
    finally:
        run(*compose.command(backend.name, places, "down", "--timeout", "8"))


def answers(server: Server) -> list[str]:
    """The models it lists, as soon as it does."""
    until = time.monotonic() + ANSWER_SECONDS
    header = {"Authorization": f"Bearer {KEY}"}
    while time.monotonic() < until:
        try:
            got = requests.get(f"{server.backend.url}/v1/models", headers=header, timeout=5)
            return [one["id"] for one in got.json()["data"]]
        except requests.ConnectionError:
            assert server.inspect()["State"]["Status"] == "running", log(server)
            time.sleep(1)
    pytest.fail(log(server))


def log(server: Server) -> str:
    done = subprocess.run(
        ["docker", "logs", "--tail", "40", server.name], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def mounts(server: Server) -> dict[str, tuple[str, bool]]:
    """Where each thing comes from, and whether it may be written."""
    found = server.inspect()["Mounts"]
    return {one["Destination"]: (one["Source"], one["RW"]) for one in found}


def nodes(server: Server) -> dict[str, str]:
    devices = server.inspect()["HostConfig"]["Devices"]
    return {one["PathInContainer"]: one["PathOnHost"] for one in devices}


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like /dev/dri with one node; the engine makes it, who may."""
    folder = tmp_path_factory.mktemp("dri")
    make = "import os, stat; os.mknod('/dri/renderD128', stat.S_IFCHR | 0o660, os.makedev(1, 3))"
    once("--user", "0:0", "--volume", f"{folder}:/dri", command=make)
    return folder


@pytest.fixture(scope="module")
def native(places: Paths, cards: Path) -> Iterator[Server]:
    devices = {"KFD_DEVICE": "/dev/null", "DRI_DEVICES": str(cards)}
    amd = dataclasses.replace(ON_LINUX, groups=(GROUP,))
    yield from started(amd, places, devices, wsl=False)


def test_a_native_server_answers(native: Server) -> None:
    assert answers(native) == [native.backend.served_name]


def test_a_native_container_has_the_nodes_and_their_group(native: Server) -> None:
    found = nodes(native)
    assert (found.pop("/dev/kfd"), set(found)) == ("/dev/null", {"/dev/dri"})
    assert native.inspect()["HostConfig"]["GroupAdd"] == [str(GROUP)]
    assert str(GROUP) in native.inside("id", "-G").split()
    native.inside("test", "-c", "/dev/dri/renderD128")


def test_it_may_do_no_more_than_a_server_on_the_processor(native: Server) -> None:
    config = native.inspect()["HostConfig"]
    assert (config["CapAdd"], config["CapDrop"]) == (None, ["ALL"])
    # The engine adds the second by itself where /dev/shm is shared; it is about SELinux.
    assert set(config["SecurityOpt"]) <= {"no-new-privileges:true", "label=disable"}
    assert "no-new-privileges:true" in config["SecurityOpt"]
    assert (config["Privileged"], config["ReadonlyRootfs"]) == (False, True)
    assert config["IpcMode"] == "host"
    assert native.inspect()["Config"]["User"] == native.host.os.user


def test_what_it_compiles_is_kept_in_the_folder_of_image_and_card(native: Server) -> None:
    source, writable = mounts(native)["/cache"]
    assert writable
    assert source.endswith("/cache/vllm-docker/vllm-cpu-local-0.32.0-told/amd-radeon-rx-7900-xtx")
    assert native.inside("sh", "-c", "touch /cache/vllm/mine && echo $HOME $USER") == "/cache vllm"
    assert (Path(source) / "vllm" / "mine").exists()


def test_the_key_is_in_no_command(native: Server) -> None:
    details = native.inspect()
    told = json.dumps([details["Path"], details["Args"], details["Config"]["Cmd"]])
    assert KEY not in told + json.dumps(details["Config"]["Labels"])


@pytest.fixture(scope="module")
def lent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files in place of AMD's and Microsoft's libraries."""
    folder = tmp_path_factory.mktemp("lent")
    for name in ("libdxcore.so", "librocdxg.so.1", "dids.conf", "libhsa-runtime64.so.1"):
        (folder / name).write_text(f"in place of {name}\n")
    return folder


@pytest.fixture(scope="module")
def bridged(places: Paths, lent: Path, native: Server) -> Iterator[Server]:
    # Only when the first one has gone: two servers are too many for a small machine.
    run(*compose.command(native.backend.name, places, "down", "--timeout", "8"))
    amd = dataclasses.replace(ROCDXG, bridge=str(lent / "librocdxg.so.1"))
    devices = {
        "DXG_DEVICE": "/dev/null",
        "DXCORE": str(lent / "libdxcore.so"),
        "DIDS": str(lent / "dids.conf"),
    }
    yield from started(amd, places, devices, wsl=True)


def test_down_leaves_nothing_of_the_native_server(bridged: Server, native: Server) -> None:
    assert native.name == bridged.name
    label = f"label=vllm-lifecycle.backend={native.backend.name}"
    names = run("docker", "ps", "--all", "--filter", label, "--format", "{{.ID}}").stdout.split()
    assert len(names) == 1


def test_a_server_under_wsl_answers(bridged: Server) -> None:
    assert answers(bridged) == [bridged.backend.served_name]


def test_a_container_under_wsl_borrows_the_bridge_under_both_names(bridged: Server) -> None:
    assert nodes(bridged) == {"/dev/dxg": "/dev/null"}
    found = mounts(bridged)
    for target, name in (
        ("/usr/lib/libdxcore.so", "libdxcore.so"),
        ("/usr/lib/librocdxg.so", "librocdxg.so.1"),
        ("/usr/lib/librocdxg.so.1", "librocdxg.so.1"),
        ("/usr/share/rocdxg/dids.conf", "dids.conf"),
    ):
        assert found[target][0].endswith(f"/{name}")
        assert found[target][1] is False
        assert bridged.inside("cat", target) == f"in place of {name}"
    assert bridged.inside("printenv", "HSA_ENABLE_DXG_DETECTION") == "1"


@pytest.fixture(scope="module")
def legacy(places: Paths, lent: Path, bridged: Server) -> Iterator[Server]:
    run(*compose.command(bridged.backend.name, places, "down", "--timeout", "8"))
    amd = dataclasses.replace(LEGACY, hsa=str(lent / "libhsa-runtime64.so.1"))
    devices = {"DXG_DEVICE": "/dev/null", "DXCORE": str(lent / "libdxcore.so")}
    yield from started(amd, places, devices, wsl=True)


def test_a_legacy_server_answers(legacy: Server) -> None:
    assert answers(legacy) == [legacy.backend.served_name]


def test_a_legacy_container_borrows_the_runtime_and_hears_of_a_card(legacy: Server) -> None:
    assert nodes(legacy) == {"/dev/dxg": "/dev/null"}
    source, writable = mounts(legacy)["/opt/rocm/lib/libhsa-runtime64.so.1"]
    assert source.endswith("/libhsa-runtime64.so.1")
    assert not writable
    # What vLLM asks first of all; in this image it is told to take the processor all the same.
    asked = "from vllm.platforms import rocm_platform_plugin as ask; print(ask())"
    assert legacy.inside("python3", "-c", asked) == "vllm.platforms.rocm.RocmPlatform"


def test_a_missing_library_is_refused_by_docker_too_and_no_folder_is_made(
    places: Paths, lent: Path
) -> None:
    gone = lent / "gone.so"
    amd = dataclasses.replace(ROCDXG, bridge=str(gone), dids=False)
    devices = {"DXG_DEVICE": "/dev/null", "DXCORE": str(lent / "libdxcore.so")}
    with pytest.raises(subprocess.CalledProcessError) as caught:
        next(started(amd, places, devices, wsl=True))
    assert "bind source path does not exist" in caught.value.stderr
    assert not gone.exists()


def test_a_card_without_nvidias_runtime_is_refused_by_us_as_docker_would(places: Paths) -> None:
    here, _ = host_with(Amd(), places, wsl=False)
    if "nvidia" in here.docker.runtimes:
        pytest.skip("this engine knows NVIDIA's runtime")
    host = dataclasses.replace(here, nvidia=RTX_4090)
    backend = backends.load("4090", ROOT, {"IMAGE": IMAGE, "VLLM_API_KEY": KEY})
    assert "nvidia.yml" in overlays.files(backend, host)
    said = [step for step in docker.steps(backend, host, places) if step.missing(host)]
    assert [(step.name, step.fix, step.actions) for step in said if not step.advice] == [
        ("Docker knows NVIDIA's runtime", "inv setup.cuda", ())
    ]
    with pytest.raises(subprocess.CalledProcessError) as caught:
        once("--gpus", "all", command="")
    assert "could not select device driver" in caught.value.stderr
