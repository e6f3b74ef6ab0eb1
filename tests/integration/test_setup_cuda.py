"""`inv setup.cuda` carried out on stand-ins that keep their argv and speak as the real programs.

They change no machine: what they "install" is a file in a folder of the test.
"""

import dataclasses
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle import http, report
from lifecycle.errors import CommandFailed
from lifecycle.facts import nvidia as facts
from lifecycle.host import Docker, Host, Os
from lifecycle.machine import Here
from lifecycle.paths import Paths
from lifecycle.runner import Runner
from lifecycle.shell import Shell
from lifecycle.step import Download
from lifecycle.steps import nvidia

# Shell.run leaves the pipe of a finished program to the garbage collector, which complains of it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
SYSTEM = Os("linux", "x86_64", "Ubuntu", "ubuntu", "24.04", "noble", apt=True, sudo=True)
# What each stand-in does, after it kept its argv. $STATE is a folder of the test.
STAND_INS = {
    "sudo": 'exec "$@"',
    "install": "",
    "apt-get": """
case " $* " in
*" install "*) mv "$STATE/nvidia-ctk" "$BIN/nvidia-ctk" ;;
esac
""",
    "systemctl": 'cp "$STATE/daemon.json" "$STATE/running.json"',
    # NVIDIA/nvidia-container-toolkit#520
    "docker": """
if [ ! -e "$STATE/running.json" ]; then
    echo 'docker: Error response from daemon: could not select device driver "" with \
capabilities: [[gpu]].' >&2
    exit 125
fi
echo "GPU 0: NVIDIA GeForce RTX 4090 (UUID: GPU-00000000-0000-0000-0000-000000000000)"
""",
    "nvidia-smi": """
case "$*" in
--version) printf 'NVIDIA-SMI version  : 580.95.05\\nNVML version        : 580.95\\n\
DRIVER version      : 580.95.05\\nCUDA Version        : 13.0\\n' ;;
--query-gpu=*) echo "580.95.05, 24564, 23900, 8.9, NVIDIA GeForce RTX 4090" ;;
*) echo "stand-in: no such option: $*" >&2; exit 2 ;;
esac
""",
}
# Appears on the PATH when its package is installed. Its answers: NVIDIA's install guide.
NVIDIA_CTK = """
case "$*" in
--version) printf 'NVIDIA Container Toolkit CLI version 1.20.0\\ncommit: 0123abc\\n' ;;
"runtime configure --runtime=docker") echo '{"runtimes": {"nvidia": {}}}' >"$STATE/daemon.json" ;;
*) echo "stand-in: no such option: $*" >&2; exit 2 ;;
esac
"""


class Machine:
    """A machine of stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.state, self.bin = folder / "state", folder / "bin"
        self.paths = Paths(folder, folder / "home", folder / "models")
        for one in (self.state, self.bin):
            one.mkdir()
        for name, does in STAND_INS.items():
            self.put(self.bin / name, does)
        self.put(self.state / "nvidia-ctk", NVIDIA_CTK)
        self._here = Here(Shell())

    def put(self, file: Path, does: str) -> None:
        file.write_text(
            f"#!/bin/sh\nSTATE={self.state} BIN={self.bin}\n"
            f'echo "${{0##*/}} $*" >>"$STATE/asked"\n{does}\n'
        )
        file.chmod(0o755)

    def look(self) -> Host:
        found = facts.look(self._here.again(), SYSTEM, self.paths.home)
        knows = (self.state / "running.json").exists()
        runtimes = frozenset({"nvidia"} if knows else ())
        engine = Docker("29.1.3", "2.40.0", runtimes=runtimes, dockerd="/usr/bin/dockerd")
        return Host(os=dataclasses.replace(SYSTEM, systemd=True), nvidia=found, docker=engine)

    def carry_out(self) -> bool:
        host = self.look()
        steps = nvidia.setup(host, self.paths, toolkit=False)
        runner = Runner(self.paths, Shell(), self.look, report.Progress(live=False))
        return runner.apply(steps, host)

    def changes(self) -> list[str]:
        """What was run, without questions."""
        asked = (self.state / "asked").read_text().splitlines()
        return [
            line
            for line in asked
            if not line.startswith(("nvidia-smi", "sudo", "nvidia-ctk --version"))
        ]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}/usr/bin{os.pathsep}/bin")

    def fetched(file: Download, _: object) -> None:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        file.path.write_text(f"the key of {file.url}\n")

    monkeypatch.setattr(http, "download", fetched)
    monkeypatch.setattr(facts, "SMI", ())
    yield made
    gc.collect()  # here and not in somebody else's test


def test_from_nothing_to_a_container_that_saw_the_card(machine: Machine) -> None:
    assert machine.carry_out()
    staging = machine.paths.home / "staging"
    name = "nvidia-container-toolkit"
    assert machine.changes() == [
        f"install -D -m 644 {staging}/{name}-keyring.asc /usr/share/keyrings/{name}-keyring.asc",
        f"install -D -m 644 {staging}/{name}.list /etc/apt/sources.list.d/{name}.list",
        "apt-get update -q",
        (
            "apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=600 "
            f"{name}=1.20.0-1 {name}-base=1.20.0-1 libnvidia-container-tools=1.20.0-1 "
            "libnvidia-container1=1.20.0-1"
        ),
        "nvidia-ctk runtime configure --runtime=docker",
        "systemctl restart docker.service",
        "docker run --rm --gpus all ubuntu:24.04 nvidia-smi --list-gpus",
    ]
    stamp = (machine.paths.home / "nvidia-container.txt").read_text()
    assert stamp == "driver 580.95.05, toolkit 1.20.0, engine 29.1.3\n"
    assert "libnvidia-container/gpgkey" in (staging / f"{name}-keyring.asc").read_text()


def test_the_same_again_does_nothing(machine: Machine) -> None:
    machine.carry_out()
    before = machine.changes()
    assert not machine.carry_out()
    assert machine.changes() == before


def test_a_container_that_sees_no_card_leaves_no_stamp(machine: Machine) -> None:
    machine.put(machine.bin / "docker", STAND_INS["docker"].replace("running.json", "never"))
    with pytest.raises(CommandFailed) as caught:
        machine.carry_out()
    assert "could not select device driver" in caught.value.why
    assert not (machine.paths.home / "nvidia-container.txt").exists()
    machine.put(machine.bin / "docker", STAND_INS["docker"])
    assert machine.carry_out()
    assert machine.changes()[-1].startswith("docker run")


def test_a_new_driver_is_tried_again(machine: Machine) -> None:
    machine.carry_out()
    newer = STAND_INS["nvidia-smi"].replace("580.95.05", "590.48.01")
    machine.put(machine.bin / "nvidia-smi", newer)
    before = len(machine.changes())
    assert machine.carry_out()
    assert [line.split()[0] for line in machine.changes()[before:]] == ["docker"]
