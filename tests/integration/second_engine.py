"""A Docker Engine of a test's own, beside the one of the machine, with a `daemon.json` of its own.

Not for the containers of others: it leaves the machine's firewall alone, so that its containers
reach nobody, and are reached through its proxy on 127.0.0.1 only.
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException

from tests.integration.conftest import REQUIRED

START_SECONDS, STOP_SECONDS = 60, 30
BRIDGE_ADDRESS = "10.214.0.1/24"
QUIET: dict[str, Any] = {
    # Each of two engines would take the other's rules for leftovers, and remove them:
    # https://github.com/moby/moby/blob/v26.1.5/libnetwork/drivers/bridge/bridge.go (configure).
    "iptables": False,
    "ip6tables": False,
    # Where systemd started a containerd for all, ours must not show up among the others.
    "containerd-namespace": "test",
    "containerd-plugins-namespace": "test-plugins",
}


def refuse_without_root() -> None:
    """Leave the test out where a person runs it; CI is root."""
    if os.geteuid() == 0:
        return
    if os.environ.get(REQUIRED):
        pytest.fail(f"only root can start a Docker Engine, and {REQUIRED} is set")
    pytest.skip("only root can start a Docker Engine")


class Engine:
    """One that can be stopped and started again with other settings; it keeps its images.

    Args:
        folder: everything of it lies there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        # One of its own: an engine without any takes the default one, docker0, away from the
        # machine's engine, and so does one with address pools of its own:
        # https://github.com/moby/moby/blob/v26.1.5/daemon/daemon_unix.go
        # (removeDefaultBridgeInterface).
        self._bridge = f"test{os.getpid()}"

    @property
    def address(self) -> str:
        """What DOCKER_HOST has to say."""
        return f"unix://{self._folder}/docker.sock"

    def start(self, settings: dict[str, Any], programs: Path | None = None) -> None:
        """Start it, and wait until it answers.

        Args:
            settings: what its `daemon.json` says beside `QUIET`.
            programs: a folder in front of its PATH.
        """
        file = self._folder / "daemon.json"
        self._make_bridge()
        file.write_text(json.dumps(QUIET | {"bridge": self._bridge} | settings))
        # Debian keeps it in /usr/sbin, which is not on everybody's PATH.
        usual = f"{os.environ['PATH']}:/usr/sbin"
        argv = ["dockerd", f"--config-file={file}", f"--host={self.address}",
                f"--data-root={self._folder / 'data'}", f"--exec-root={self._folder / 'exec'}",
                f"--pidfile={self._folder / 'pid'}"]  # fmt: skip
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "PATH": f"{programs}:{usual}" if programs else usual},
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                message = f"the engine did not start: {self.log()}"
                raise AssertionError(message)
            time.sleep(0.1)

    def stop(self) -> None:
        """End it, and with it what still runs in it."""
        if self._process:
            self._process.terminate()
            self._process.wait(STOP_SECONDS)
            self._process = None

    def remove(self) -> None:
        """End it, and take everything of it away."""
        self.stop()
        if self._has_bridge():
            subprocess.run(["ip", "link", "delete", self._bridge], check=True)
        for place in mounts_below(self._folder):
            subprocess.run(["umount", place], check=True)
        shutil.rmtree(self._folder)

    def log(self) -> str:
        """The end of what it wrote."""
        return (self._folder / "log").read_text()[-2000:]

    def _has_bridge(self) -> bool:
        return Path("/sys/class/net", self._bridge).exists()

    def _make_bridge(self) -> None:
        if self._has_bridge():
            return
        for words in (
            ("link", "add", self._bridge, "type", "bridge"),
            ("address", "add", BRIDGE_ADDRESS, "dev", self._bridge),
            ("link", "set", self._bridge, "up"),
        ):
            subprocess.run(["ip", *words], check=True)

    def _answers(self) -> bool:
        try:
            client = docker.DockerClient(self.address, timeout=5)
        except DockerException:
            return False
        client.close()
        return True


def mounts_below(folder: Path) -> list[str]:
    """What is mounted there, the innermost first."""
    places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return sorted((one for one in places if one.startswith(f"{folder}/")), key=len, reverse=True)
