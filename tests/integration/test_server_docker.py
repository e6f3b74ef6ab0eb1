"""The same server in a container of a real Docker Engine, with the same commands."""

import dataclasses
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from lifecycle.errors import ServerUnhealthy
from tests.integration.checkout import Checkout, free_port
from tests.integration.live_suite import assert_suite_passes

pytestmark = pytest.mark.docker

BACK_SECONDS = 90


@pytest.fixture(scope="module")
def server(checkout: Checkout, image: str) -> Checkout:
    """The server, its image made from the engine that a venv server uses."""
    assert image
    done = checkout.up("--runtime", "docker")
    assert done.returncode == 0, done.stderr
    return checkout


def containers(server: Checkout) -> list[str]:
    label = f"label=vllm-lifecycle.backend={server.backend}"
    done = subprocess.run(
        ["docker", "ps", "-aq", "--filter", label], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def inspect(server: Checkout) -> dict[str, Any]:
    done = subprocess.run(
        ["docker", "inspect", *containers(server)], capture_output=True, text=True, check=True
    )
    (found,) = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_the_live_suites_pass(server: Checkout) -> None:
    assert_suite_passes(server)


def test_a_second_up_changes_nothing(server: Checkout) -> None:
    before = server.status()
    done = server.up("--runtime", "docker")
    assert done.returncode == 0, done.stderr
    assert "nothing to do" in done.stderr
    assert server.status()["pid"] == before["pid"]


def test_status_describes_the_server(server: Checkout) -> None:
    entry = server.status()
    assert (entry["runtime"], entry["phase"]) == ("docker", "ready")
    assert entry["memory_bytes"] > 1024**3


def test_it_is_published_on_loopback_only(server: Checkout) -> None:
    (binding,) = inspect(server)["NetworkSettings"]["Ports"]["8000/tcp"]
    assert binding == {"HostIp": "127.0.0.1", "HostPort": str(server.port)}


def test_the_key_is_in_no_command(server: Checkout) -> None:
    details = inspect(server)
    commands = json.dumps([details["Path"], details["Args"], details["Config"]["Cmd"]])
    assert server.key not in commands
    assert server.key not in json.dumps(details["Config"]["Labels"])


def test_it_runs_without_capabilities_on_a_read_only_root(server: Checkout) -> None:
    host = inspect(server)["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert host["ReadonlyRootfs"]
    assert not host["Privileged"]


def test_logs_prints_the_servers_log(server: Checkout) -> None:
    done = server.inv("logs", "--gpu", server.backend, "--lines", "500")
    assert done.returncode == 0, done.stderr
    assert "Application startup complete" in done.stdout


def test_another_backend_runs_beside_it_and_goes_without_it(server: Checkout) -> None:
    other = dataclasses.replace(server, backend=f"{server.backend}-b", port=free_port())
    file = server.env_file.read_text().replace(f"PORT={server.port}", f"PORT={other.port}")
    other.env_file.write_text(f"{file}SERVED_NAME=other\n")
    try:
        done = other.up("--runtime", "venv")
        assert done.returncode == 0, done.stderr
        told = json.loads(server.inv("status", "--json").stdout)["backends"]
        ready = {one["name"]: one for one in told if one["phase"] == "ready"}
        both = [ready[server.backend], ready[other.backend]]
        assert [one["models"] for one in both] == [["smollm2-135m-instruct"], ["other"]]
        assert [one["runtime"] for one in both] == ["docker", "venv"]
        assert len({one["url"] for one in both}) == len({one["pid"] for one in both}) == 2
        assert all(one["uptime_seconds"] >= 0 for one in both)
    finally:
        other.inv("down", "--gpu", other.backend)
        other.env_file.unlink()
    assert server.status()["phase"] == "ready"


def test_a_killed_server_comes_back(server: Checkout) -> None:
    pid = server.status()["pid"]
    os.kill(pid, signal.SIGKILL)
    time.sleep(2)
    entry = server.until("ready", BACK_SECONDS)
    assert entry["pid"] != pid
    assert entry["restarts"] == 1


def test_down_removes_the_container(server: Checkout) -> None:
    done = server.inv("down", "--gpu", server.backend)
    assert done.returncode == 0, done.stderr
    assert containers(server) == []
    assert server.status()["phase"] == "stopped"


def test_a_container_that_dies_is_explained_and_removed(server: Checkout, tmp_path: Path) -> None:
    server.env["EXTRA_ARGS"] = f"--tokenizer {tmp_path}"
    done = server.up("--runtime", "docker")
    del server.env["EXTRA_ARGS"]
    assert done.returncode == ServerUnhealthy.exit_code, done.stderr
    assert "Couldn't instantiate the backend tokenizer" in done.stderr
    assert server.status()["phase"] == "stopped"
    assert "backend tokenizer" in server.inv("logs", "--gpu", server.backend).stdout
