"""What Docker Compose itself makes of our files and values: nothing is lost on the way."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lifecycle import backend as backends
from lifecycle.backend import Backend
from lifecycle.cmd.render import opened
from lifecycle.host import Cpu, Host, Os, Weights
from lifecycle.keys import KEYS
from lifecycle.paths import ROOT, Paths
from lifecycle.runtimes import compose
from lifecycle.steps import docker, overlays, serve_arguments
from tests.unit import golden
from tests.unit.gpu_hosts import SERVERS

pytestmark = pytest.mark.docker

PLACES = Paths(ROOT, Path("/data"), Path("/data/models"))
EXTRA = """--override-generation-config '{"temperature": 0.5, "note": "a b"}' --seed 3"""
HOST = Host(
    os=Os(system="linux", user="1000:1000"),
    cpu=Cpu(allowed=(2, 3)),
    weights=Weights(path=Path("/models/repo/snapshots/1"), root=Path("/models/repo")),
)
every_server = pytest.mark.parametrize("name", SERVERS)


def config(wanted: Backend, on: Host, folder: Path, *options: str) -> str:
    """What `docker compose config` says of a server."""
    names = folder / compose.ENVIRONMENT
    names.write_text(docker.environment_file(wanted, on))
    files = docker.files(wanted, PLACES, on, names)
    done = subprocess.run(
        compose.command(wanted.name, PLACES, *files, "config", *options),
        env={**os.environ, **docker.environment(wanted, PLACES, on)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def service_of(wanted: Backend, on: Host, folder: Path) -> dict[str, Any]:
    """The only service, as Compose resolves it."""
    found = json.loads(config(wanted, on, folder, "--format", "json"))["services"]["vllm"]
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    backend = backends.load("cpu", ROOT, {"EXTRA_ARGS": EXTRA, "VLLM_API_KEY": "k"})
    return service_of(backend, HOST, tmp_path_factory.mktemp("names"))


def test_the_command_comes_out_word_by_word(service: dict[str, Any]) -> None:
    backend = backends.load("cpu", ROOT, {"EXTRA_ARGS": EXTRA})
    server = ["/models/repo/snapshots/1", "--host", "0.0.0.0", "--port", "8000"]
    assert service["command"] == [*server, *serve_arguments.flags(backend, HOST)]


def test_every_variable_of_the_server_arrives(service: dict[str, Any]) -> None:
    backend = backends.load("cpu", ROOT, {})
    expected = serve_arguments.environment(backend, HOST)
    assert expected.items() <= service["environment"].items()
    assert service["environment"]["VLLM_API_KEY"] == "k"


def test_the_whole_repository_is_mounted_so_that_links_resolve(service: dict[str, Any]) -> None:
    model = next(v for v in service["volumes"] if v["target"] == "/models/repo")
    assert (model["source"], model["read_only"]) == ("/models/repo", True)


@every_server
def test_the_whole_of_a_server_is_what_is_on_file(name: str, tmp_path: Path) -> None:
    wanted, on = SERVERS[name]
    shown = wanted.with_setting("VLLM_API_KEY", "/stand-in-for-VLLM_API_KEY/", "a test")
    text = opened(config(shown, on, tmp_path)).replace(str(ROOT), "/checkout")
    golden.matches(f"rendered-{name}.yml", text)


@every_server
def test_the_backend_read_back_is_ours(name: str, tmp_path: Path) -> None:
    wanted, on = SERVERS[name]
    found = service_of(wanted, on, tmp_path)
    command = found["command"]
    flags = {key.flag: key.name for key in KEYS.values() if key.flag}
    # The last of two counts: what a person set comes after what is set against a known issue.
    read = {flags[word]: command[i + 1] for i, word in enumerate(command) if word in flags}
    ours = {key: wanted.get(key) for key in flags.values() if wanted.get(key)}
    assert {key: read[key] for key in ours} == ours
    assert {"MAX_MODEL_LEN", "DTYPE"} <= set(ours)
    assert command[command.index("--served-model-name") + 1] == wanted.served_name
    (port,) = found["ports"]
    assert (port["host_ip"], port["published"]) == ("127.0.0.1", str(wanted.port))
    assert found["image"] == docker.image(wanted, on)
    assert found["user"] == overlays.run_as(on)
    assert kind(found) == wanted.gpu
    assert serve_arguments.environment(wanted, on).items() <= found["environment"].items()


def kind(service: dict[str, Any]) -> str:
    """What a service computes on, by the devices it asks for."""
    asked = service.get("deploy", {}).get("resources", {}).get("reservations", {})
    if asked.get("devices"):
        return "cuda"
    nodes = {device["target"] for device in service.get("devices", ())}
    return "rocm" if nodes in ({"/dev/kfd", "/dev/dri"}, {"/dev/dxg"}) else "cpu"
