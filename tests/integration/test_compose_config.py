"""What Docker Compose itself makes of our files and values: nothing is lost on the way."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lifecycle import backend as backends
from lifecycle.host import Cpu, Host, Os, Weights
from lifecycle.paths import ROOT, paths
from lifecycle.steps import docker, serve_arguments

pytestmark = pytest.mark.docker

EXTRA = """--override-generation-config '{"temperature": 0.5, "note": "a b"}' --seed 3"""
HOST = Host(
    os=Os(system="linux", user="1000:1000"),
    cpu=Cpu(allowed=(2, 3)),
    weights=Weights(path=Path("/models/repo/snapshots/1"), root=Path("/models/repo")),
)


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    """The only service, as Compose resolves it."""
    backend = backends.load("cpu", ROOT, {"EXTRA_ARGS": EXTRA, "VLLM_API_KEY": "k"})
    command = docker.up_command(backend, paths({}))
    done = subprocess.run(
        [*command[: command.index("up")], "config", "--format", "json"],
        env={**os.environ, **docker.environment(backend, paths({}), HOST)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)["services"]["vllm"]
    assert isinstance(found, dict)
    return found


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
