"""`inv up` on an NVIDIA card, by both ways into a container, on a real Docker Engine of our own.

The card is not there (see nvidia_stand_ins.py), and vLLM runs on the processor: what is shown is
that the way is rightly chosen, that the engine takes what we write, and that a server works in it.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from lifecycle.errors import HostNotReady
from tests.integration import lent_vllm, nvidia_stand_ins, prepared
from tests.integration.checkout import Checkout, free_port
from tests.integration.nvidia_stand_ins import LIBRARY, LIBRARY_TEXT, NODE, Card
from tests.integration.second_engine import Engine, refuse_without_root

pytestmark = pytest.mark.docker

BACKEND = "ntest"
IMAGE = "lent-vllm:0.32.0"
WANTED = f"""\
GPU=cuda
RUNTIME=docker
IMAGE={IMAGE}
MODEL={prepared.MODEL}
MAX_MODEL_LEN=512
# As the processor needs it: by default it takes a part of all RAM, and three processes.
EXTRA_ARGS=--enforce-eager --kv-cache-memory-bytes 268435456 --distributed-executor-backend uni
"""
CACHE = "cache/vllm-docker/lent-vllm-0.32.0/nvidia-geforce-rtx-4090"
KNOWS = "Docker knows NVIDIA's runtime"


@dataclass(frozen=True)
class Way:
    """How a container gets a card.

    Args:
        seen: what the doctor found.
        request: how Docker tells it of a container.
    """

    seen: str
    request: dict[str, Any]


WAYS = {
    "cdi": Way(
        "nvidia.com/gpu=all",
        {"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"], "Capabilities": [["gpu"]]},
    ),
    "runtime": Way(
        "nvidia",
        {"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu", "compute", "utility"]]},
    ),
}


@dataclass(frozen=True)
class Ground:
    """A machine with a card: its engine knows no way to pass it on yet."""

    engine: Engine
    card: Card
    checkout: Checkout

    def know(self, way: str) -> None:
        """Let the engine begin anew with one way; where NVIDIA's runtime is, CDI is too."""
        self.engine.stop()
        if way == "cdi":
            self.engine.start(self.card.cdi)
        else:
            self.engine.start(self.card.cdi | {"runtimes": self.card.runtime}, self.card.hooks)


@dataclass(frozen=True)
class Server:
    """A server that `inv up` started."""

    way: str
    ground: Ground

    @property
    def checkout(self) -> Checkout:
        return self.ground.checkout

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """What it answers to whoever has the key."""
        url = f"http://127.0.0.1:{self.checkout.port}{path}"
        header = {"Authorization": f"Bearer {self.checkout.key}"}
        answer = requests.request(
            "POST" if body else "GET", url, json=body, headers=header, timeout=60
        )
        answer.raise_for_status()
        return answer.json() if answer.content else ""

    def docker(self, *words: str) -> str:
        argv = ("docker", "--host", self.ground.engine.address, *words)
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.strip()

    @property
    def name(self) -> str:
        label = f"label=vllm-lifecycle.backend={BACKEND}"
        return self.docker("ps", "--all", "--quiet", "--filter", label)

    def inside(self, *words: str) -> str:
        return self.docker("exec", self.name, *words)

    def inspect(self) -> dict[str, Any]:
        (found,) = json.loads(self.docker("inspect", self.name))
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="module")
def ground(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    refuse_without_root()
    ours = Engine(tmp_path_factory.mktemp("engine"))
    try:
        ours.start({})
        lent = lent_vllm.build(engine, IMAGE, ours.address)
        card = nvidia_stand_ins.made(tmp_path_factory.mktemp("card"), lent.mounts)
        checkout = Checkout.copy(tmp_path_factory.mktemp("checkout"), BACKEND, free_port())
        checkout.env_file.write_text(f"{WANTED}PORT={checkout.port}\n")
        home = tmp_path_factory.mktemp("home")
        prepared.warm(home / CACHE)
        checkout.env |= {
            "DOCKER_HOST": ours.address,
            "LIFECYCLE_HOME": str(home),
            "MODELS_DIR": str(prepared.places().models),
            "PATH": f"{card.programs}:{os.environ['PATH']}",
        }
        yield Ground(ours, card, checkout)
    finally:
        ours.remove()


def test_without_a_way_we_refuse_before_docker_does(ground: Ground) -> None:
    done = ground.checkout.up()
    assert done.returncode == HostNotReady.exit_code
    assert KNOWS in done.stderr
    assert "inv setup.cuda" in done.stderr
    options = ("run", "--rm", "--gpus", "all", IMAGE)
    argv = ("docker", "--host", ground.engine.address, *options)
    refused = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert "could not select device driver" in refused.stderr


@pytest.fixture(scope="module", params=WAYS)
def server(ground: Ground, request: pytest.FixtureRequest) -> Iterator[Server]:
    ground.know(request.param)
    try:
        done = ground.checkout.up()
        assert done.returncode == 0, done.stderr
        yield Server(request.param, ground)
    finally:
        ground.checkout.inv("down", "--gpu", BACKEND, limit=60)


def test_it_answers(server: Server) -> None:
    assert server.ask("/health") == ""
    assert [one["id"] for one in server.ask("/v1/models")["data"]] == [prepared.MODEL]
    body = {"model": prepared.MODEL, "prompt": "One, two, three,", "max_tokens": 4}
    assert server.ask("/v1/completions", body)["usage"]["completion_tokens"] == 4
    closed = requests.get(f"http://127.0.0.1:{server.checkout.port}/v1/models", timeout=10)
    assert closed.status_code == 401


def test_the_container_has_the_card(server: Server) -> None:
    server.inside("test", "-c", NODE)
    assert server.inside("cat", LIBRARY) == LIBRARY_TEXT.strip()
    (request,) = server.inspect()["HostConfig"]["DeviceRequests"]
    assert WAYS[server.way].request.items() <= request.items()


def test_nvidias_hook_was_asked_for_computing_only(server: Server) -> None:
    if server.way == "cdi":
        assert not server.ground.card.asked.exists()
        return
    words, variables = json.loads(server.ground.card.asked.read_text())
    assert words == ["prestart"]
    assert variables["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert set(variables["NVIDIA_DRIVER_CAPABILITIES"].split(",")) == {"compute", "utility"}


def test_it_may_do_no_more_than_a_server_on_the_processor(server: Server) -> None:
    host = server.inspect()["HostConfig"]
    assert (host["CapAdd"], host["CapDrop"], host["Privileged"]) == (None, ["ALL"], False)
    assert (host["ReadonlyRootfs"], host["IpcMode"]) == (True, "host")
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["LogConfig"]["Config"] == {"max-size": "20m", "max-file": "3"}
    # No devices beside those of the reservation, and no card's node for everybody.
    assert not host["Devices"]
    (binding,) = server.inspect()["NetworkSettings"]["Ports"]["8000/tcp"]
    assert binding == {"HostIp": "127.0.0.1", "HostPort": str(server.checkout.port)}


def test_of_this_machine_it_sees_the_model_and_its_own_cache(server: Server) -> None:
    found = {one["Destination"]: one for one in server.inspect()["Mounts"]}
    model = found.pop(f"/models/{prepared.MODEL}")
    assert (Path(model["Source"]), model["RW"]) == (
        prepared.places().models / prepared.MODEL,
        False,
    )
    cache = found.pop("/cache")
    assert cache["Source"].endswith(f"/{CACHE}")
    assert cache["RW"]
    assert not found


def test_the_key_is_in_no_command(server: Server) -> None:
    details = server.inspect()
    told = [details["Path"], details["Args"], details["Config"]["Cmd"], details["Config"]["Labels"]]
    assert server.checkout.key not in json.dumps(told)


def test_the_doctor_names_the_way(server: Server) -> None:
    assert doctor(server, KNOWS) == ("ok", WAYS[server.way].seen)


def doctor(server: Server, state: str) -> tuple[str, str]:
    """What it says of one state. It looks for 1.4 s only, and this machine may be busy: again."""
    for _ in range(8):
        done = server.checkout.inv("doctor", "--gpu", BACKEND, "--json")
        steps = json.loads(done.stdout)["steps"]
        for step in steps:
            if step["name"] == state:
                return step["state"], step["detail"]
    pytest.fail(f"not among what the doctor says: {steps}")


def test_what_is_rendered_goes_the_same_way(server: Server) -> None:
    done = server.checkout.inv("render", "--gpu", BACKEND)
    assert done.returncode == 0, done.stderr
    assert f"driver: {WAYS[server.way].request['Driver']}\n" in done.stdout
    assert server.checkout.key not in done.stdout


def test_status_tells_of_server_and_card(server: Server) -> None:
    entry = server.checkout.status()
    assert (entry["phase"], entry["runtime"]) == ("ready", "docker")
    assert entry["models"] == [prepared.MODEL]
    assert entry["vram_total_bytes"] == 24564 * 1024**2
    every = json.loads(server.checkout.inv("status", "--json").stdout)["backends"]
    phases = {one["name"]: one["phase"] for one in every}
    assert phases == dict.fromkeys(phases, "stopped") | {BACKEND: "ready"}
    assert {"4090", "7900xtx", "cpu"} < set(phases)


def test_down_leaves_nothing_behind(server: Server) -> None:
    done = server.checkout.inv("down", "--gpu", BACKEND, limit=60)
    assert done.returncode == 0, done.stderr
    assert server.docker("ps", "--all", "--quiet") == ""
    assert server.docker("volume", "ls", "--quiet") == ""
    networks = server.docker("network", "ls", "--format", "{{.Name}}").split()
    assert set(networks) == {"bridge", "host", "none"}
    assert server.checkout.status()["phase"] == "stopped"
