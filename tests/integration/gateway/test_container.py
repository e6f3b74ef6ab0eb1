"""The gateway as a container: a real engine, and an image made of the same Traefik."""

import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest

from lifecycle import tables
from lifecycle.gateway import files, traefik
from lifecycle.runtimes.gateway import project
from tests.fake_vllm import Settings, fake_vllm
from tests.integration.gateway.pressure import Load
from tests.integration.gateway.running import KEYS, OWN, PROMPT, Gateway

pytestmark = pytest.mark.docker

IMAGE = f"traefik-of-a-test:{os.getpid()}"


def docker(*words: str) -> str:
    done = subprocess.run(
        ["docker", *words], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One that ran plain before, with two backends behind it, and runs in a container now."""
    place = tmp_path_factory.mktemp("container")
    made = Gateway.prepare(place)
    with ExitStack() as stack:
        for name, gpu in (("card", "cuda"), ("processor", "cpu")):
            one = stack.enter_context(fake_vllm(Settings(model="shared", api_key=OWN)))
            made.doubles[name] = one
            made.member(name, one.url, "shared", gpu=gpu)
        stack.callback(subprocess.run, ["docker", "rmi", IMAGE], check=False, capture_output=True)
        stack.enter_context(made.up())
        image(place)
        settings(made, GATEWAY_RUNTIME="docker", GATEWAY_IMAGE=IMAGE)
        done = made.checkout.inv("gateway.up", limit=120)
        assert done.returncode == 0, done.stderr
        assert "started anew" in done.stderr
        yield made


def image(place: Path) -> None:
    """One program and nothing else; the official image holds the same."""
    row = tables.gateway.traefik()
    program = place / "home" / "engines" / row.name / "bin" / "traefik"
    archive = place / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(program, "usr/local/bin/traefik")
    docker("import", "--change", "ENV PATH=/usr/local/bin", str(archive), IMAGE)
    archive.unlink()


def settings(gateway: Gateway, **more: str) -> None:
    """Put lines into the root `.env`, the last ones of their names."""
    file = gateway.checkout.root / ".env"
    lines = [line for line in file.read_text().splitlines() if line.partition("=")[0] not in more]
    file.write_text("\n".join([*lines, *(f"{key}={text}" for key, text in more.items()), ""]))


def inspect(gateway: Gateway) -> dict[str, Any]:
    (found,) = json.loads(docker("inspect", container(gateway)))
    assert isinstance(found, dict)
    return found


def container(gateway: Gateway) -> str:
    return f"{project(gateway.folder)}-gateway-1"


def test_it_answers_who_has_a_key_and_nobody_else(gateway: Gateway) -> None:
    assert gateway.chat("shared").status == 200
    assert gateway.ask(key="sk-vllm-wrong").status == 401
    listening = [
        one.laddr for one in psutil.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN and one.laddr
    ]  # fmt: skip
    ours = {*traefik.ports(gateway.port)}
    assert {address.ip for address in listening if address.port in ours} == {"127.0.0.1"}


def test_the_container_has_no_secret_and_few_rights(gateway: Gateway) -> None:
    found = inspect(gateway)
    for secret in (OWN, *KEYS.values()):
        assert secret not in json.dumps(found)
    assert found["Config"]["User"] == f"{os.getuid()}:{os.getgid()}"
    host = found["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False)
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    written = {one["Destination"] for one in found["Mounts"] if one["RW"]}
    assert written == {str(gateway.folder / "log")}


def test_what_a_card_refuses_the_processor_answers(gateway: Gateway) -> None:
    gateway.doubles["card"].become("status-503")
    before = gateway.generations("processor")
    try:
        assert {gateway.chat("shared").status for _ in range(10)} == {200}
    finally:
        gateway.doubles["card"].become()
    assert gateway.generations("processor") > before


def test_up_again_has_nothing_to_do(gateway: Gateway) -> None:
    before = inspect(gateway)["Id"]
    assert "nothing to do" in gateway.checkout.inv("gateway.up", limit=60).stderr
    assert inspect(gateway)["Id"] == before


def test_a_backend_is_added_while_it_answers(gateway: Gateway) -> None:
    newcomer = Settings(model="newcomer", api_key=OWN)
    with fake_vllm(newcomer) as one, Load(gateway, "shared", 4) as load:
        gateway.member("newcomer", one.url, "newcomer")
        try:
            gateway.inv("gateway.reload")
            assert gateway.chat("newcomer").status == 200
        finally:
            gateway.file("newcomer").unlink()
            gateway.inv("gateway.reload")
    load.report("a container's reload, twice")


def test_a_broken_configuration_never_takes_the_place(gateway: Gateway) -> None:
    before = (gateway.folder / files.ROUTES).read_text()
    done = gateway.reload_broken()
    assert done.returncode == 5
    assert "plugin" in done.stderr.lower()
    assert (gateway.folder / files.ROUTES).read_text() == before
    assert gateway.chat("shared").status == 200
    names = docker("ps", "--all", "--format", "{{.Names}}").split()
    assert [one for one in names if one.startswith(project(gateway.folder))] == [container(gateway)]


class Empty(BaseHTTPRequestHandler):
    """A registry that has nothing: https://distribution.github.io/distribution/spec/api/#errors"""

    def do_GET(self) -> None:
        known = self.path == "/v2/"
        said = {} if known else {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "unknown"}]}
        body = json.dumps(said).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_an_image_that_cannot_be_had_stops_nothing(gateway: Gateway) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as registry:
        Thread(target=registry.serve_forever, daemon=True).start()
        settings(gateway, GATEWAY_IMAGE=f"127.0.0.1:{registry.server_port}/nobody:this")
        try:
            done = gateway.checkout.inv("gateway.up", limit=120)
        finally:
            settings(gateway, GATEWAY_IMAGE=IMAGE)
            registry.shutdown()
    assert done.returncode == 3
    assert "cannot pull" in done.stderr
    assert gateway.chat("shared").status == 200


def test_killed_it_is_back(gateway: Gateway) -> None:
    os.kill(inspect(gateway)["State"]["Pid"], signal.SIGKILL)
    deadline = time.monotonic() + 15
    while True:
        with suppress(OSError):
            if gateway.chat("shared").status == 200:
                break
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_its_log_outlives_it(gateway: Gateway) -> None:
    gateway.chat("shared")
    command = json.loads(gateway.inv("gateway.status", "--json"))["gateway"]["access_log"]
    assert command == f"docker logs {container(gateway)}"
    gateway.inv("gateway.down")
    try:
        names = docker("ps", "--all", "--format", "{{.Names}}").split()
        assert not [one for one in names if one.startswith(project(gateway.folder))]
        *_, kept = sorted((gateway.folder / "log").glob("access-*.log"))
        lines = [json.loads(line) for line in kept.read_text().splitlines()]
        assert {"alice", ""} <= {line.get("downstream_Gateway-Key") for line in lines}
        for secret in (OWN, PROMPT, *KEYS.values()):
            assert secret not in kept.read_text()
    finally:
        gateway.inv("gateway.up")


def test_back_to_the_plain_form_leaves_no_container(gateway: Gateway) -> None:
    settings(gateway, GATEWAY_RUNTIME="venv")
    try:
        gateway.inv("gateway.up")
        assert gateway.chat("shared").status == 200
        names = docker("ps", "--all", "--format", "{{.Names}}").split()
        assert not [one for one in names if one.startswith(project(gateway.folder))]
    finally:
        settings(gateway, GATEWAY_RUNTIME="docker")
        gateway.inv("gateway.up")
