"""What the doctor and the setup commands say about machines nobody here owns."""

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from lifecycle import backend as backends
from lifecycle import recording
from lifecycle.machine import LIMIT, Replay, run_key
from lifecycle.paths import ROOT
from lifecycle.shell import Output
from lifecycle.steps import checkup, findings
from lifecycle.steps.findings import ADVICE, OK, PERSON, WORK
from tests.unit import recorded
from tests.unit.recorded import FOLDER, NAMES, asked_with, findings_of, machine
from tests.unit.simulated import Simulated

Answer = TypeVar("Answer")

AT_LEAST = 24
"""Machines that issue 3 asks for."""
BROKEN: dict[str, str] = {
    # Faults of the steps that a machine has shown; strict, so that mending them is noticed.
}
HEALTHY = (
    "cpu-avx512-healthy", "cpu-ryzen-igpu", "debian-12-root-no-systemd", "docker-vendor-healthy",
    "native-4090-ryzen-igpu", "wsl2-4090-ryzen-igpu",
    "native-4090-healthy", "native-7900xtx-healthy", "wsl2-4090-desktop", "wsl2-4090-healthy",
    "wsl2-7900xtx-legacy-healthy", "wsl2-7900xtx-rocdxg-healthy", "wsl2-chinese", "wsl2-german",
)  # fmt: skip
DECISIVE = {
    # Machine: how the doctor sees it, a part of the line's name, a part of what stands below it.
    # Kept by hand beside the golden files: writing those anew must not hide that one went missing.
    "arm-server": (OK, "cpu.required", ""),
    "cpu-4-gib": (PERSON, "model.fits", "for all else; 1.2 are free"),
    "cpu-avx512-healthy": (OK, "cpu.recommended", "avx512f"),
    "cpu-no-avx2": (PERSON, "cpu.required", "missing avx2"),
    "cpu-no-avx512": (ADVICE, "cpu.recommended", "missing avx512f"),
    "cpu-ryzen-igpu": (WORK, "engine.installed", "inv up --gpu cpu"),
    "debian-12-bare": (WORK, "engine.installed", "inv up --gpu cpu"),
    "debian-12-root-no-systemd": (WORK, "server.answers", "inv up --gpu cpu"),
    "debian-13-bare": (WORK, "engine.installed", "inv up --gpu cpu"),
    "debian-13-root-no-systemd": (WORK, "engine.installed", "inv up --gpu cpu"),
    "docker-compose-v1": (WORK, "docker.answers", "1.29.2"),
    "docker-context-elsewhere": (PERSON, "docker.answers", "the context work"),
    "docker-denied": (WORK, "docker.answers", "user is not in the group docker"),
    "docker-denied-until-login": (PERSON, "docker.answers", "Log out and in again"),
    "docker-vendor-healthy": (OK, "docker.answers", "Engine 28.5.1"),
    "fedora-cpu": (ADVICE, "tailscale.joined", "https://tailscale.com/download"),
    "native-4090-daemon-reload": (ADVICE, "nvidia.survives_reload", "1.18 or newer"),
    "native-3090-5070-ti": (OK, "nvidia.answers", "RTX 5070 Ti"),
    "native-4090-beside-lost-card": (ADVICE, "nvidia.healthy", "power cables"),
    "native-4090-driver-mismatch": (PERSON, "nvidia.answers", "Restart the machine."),
    "native-4090-healthy": (OK, "nvidia.in_container", "driver 580.95.05"),
    "native-4090-inforom": (ADVICE, "nvidia.healthy", "infoROM is corrupted"),
    "native-4090-lost": (PERSON, "nvidia.answers", "power cables"),
    "native-4090-magicdns-off": (ADVICE, "tailscale.named", "MagicDNS is off"),
    "native-4090-no-driver": (PERSON, "nvidia.answers", "ubuntu-drivers install"),
    "native-4090-no-libcuda": (ADVICE, "nvidia.libcuda", "libnvidia-compute"),
    "native-4090-no-toolkit": (WORK, "nvidia.toolkit", "cannot pass a card on"),
    "native-4090-podman-socket": (PERSON, "docker.answers", "unset DOCKER_HOST"),
    "native-4090-rootless": (OK, "docker.answers", "Engine 28.2.2"),
    "native-4090-ryzen-igpu": (OK, "nvidia.answers", "RTX 4090"),
    "native-7900xtx-bare": (ADVICE, "rocm.installed", "inv setup.rocm"),
    "native-4090-selinux": (OK, "docker.answers", "Engine 28.2.2"),
    "native-4090-userns": (OK, "docker.answers", "Engine 28.2.2"),
    "native-7900xtx-fedora": (PERSON, "docker.answers", "Fedora"),
    "native-7900xtx-healthy": (OK, "rocm.lists_card", "gfx1100"),
    "native-7900xtx-igpu": (ADVICE, "amd.alone", "put DEVICES=1 into"),
    "native-7900xtx-not-in-render": (ADVICE, "rocm.groups", "inv setup.rocm"),
    "native-exposed-as-meant": (OK, "exposure.kept", "backend 4090: https://"),
    "native-exposed-too-far": (ADVICE, "exposure.private", "inv unexpose --gateway"),
    "native-strix-halo": (OK, "amd.card", "gfx1151"),
    "native-tailscale-logged-out": (ADVICE, "tailscale.joined", "nobody is logged in"),
    "native-vm-avx-masked": (PERSON, "cpu.for_images", "missing avx"),
    "podman-as-docker": (PERSON, "docker.answers", "remove podman-docker"),
    "port-taken": (PERSON, "server.port", "process 4711 (python3)"),
    "windows-11-7900xtx": (WORK, "wsl.installed", "inv setup.wsl"),
    "windows-11-distro-wsl1": (WORK, "wsl.distribution_generation", "inv setup.wsl"),
    "windows-11-no-distribution": (WORK, "wsl.distribution", "inv setup.wsl"),
    "windows-11-no-wsl": (WORK, "wsl.installed", "Windows has no WSL yet"),
    "windows-11-ready": (PERSON, "system.linux", "wsl -d Ubuntu-24.04"),
    "windows-11-virtualization-off": (PERSON, "wsl.works", "BIOS/UEFI"),
    "wsl1": (PERSON, "wsl.generation", "wsl --set-version Ubuntu-24.04 2"),
    "wsl2-4090-bare": (WORK, "docker.answers", "inv setup.docker"),
    "wsl2-4090-desktop": (OK, "docker.answers", "Docker Desktop 28.5.1"),
    "wsl2-4090-desktop-stopped": (PERSON, "docker.answers", "Start Docker Desktop in Windows"),
    "wsl2-4090-driver-572-cuda-12.8": (PERSON, "nvidia.driver", "this card for 575"),
    "wsl2-4090-driver-575": (OK, "nvidia.driver", "576.88, needed: 575"),
    "wsl2-4090-driver-too-old": (PERSON, "nvidia.driver", "no build for this"),
    "wsl2-4090-healthy": (OK, "nvidia.in_container", "driver 581.42"),
    "wsl2-4090-linux-driver": (PERSON, "nvidia.no_linux_driver", "apt-get purge"),
    "wsl2-4090-no-loader-path": (WORK, "nvidia.libcuda", "inv setup.cuda"),
    "wsl2-4090-no-toolkit": (WORK, "nvidia.toolkit", "inv setup.cuda"),
    "wsl2-4090-ryzen-igpu": (OK, "nvidia.answers", "RTX 4090"),
    "wsl2-4090-toolkit-old": (WORK, "nvidia.toolkit", "1.14.3 is installed"),
    "wsl2-7900xtx-adrenalin-26.2": (ADVICE, "amd.adrenalin_lasting", "stop the card"),
    "wsl2-7900xtx-adrenalin-old": (PERSON, "amd.adrenalin", "24.12.1"),
    "wsl2-7900xtx-bare": (WORK, "rocm.installed", "inv setup.rocm"),
    "wsl2-7900xtx-debian": (PERSON, "rocm.packages", "--distro Ubuntu-24.04"),
    "wsl2-7900xtx-desktop": (PERSON, "mount.own_engine", "--source=distribution"),
    "wsl2-7900xtx-igpu": (ADVICE, "amd.alone", "put DEVICES=1 into"),
    "wsl2-7900xtx-rocm-7.0": (PERSON, "rocm.fits", "no way into WSL2"),
    "wsl2-7900xtx-jammy": (WORK, "rocm.installed", "inv setup.rocm"),
    "wsl2-7900xtx-legacy-healthy": (OK, "rocm.installed", "ROCm 6.4.2"),
    "wsl2-7900xtx-legacy-no-runtime": (WORK, "rocm.installed", "is missing hsa-runtime"),
    "wsl2-7900xtx-librocdxg-too-old": (WORK, "rocm.rocdxg", "1.2.1 is not known"),
    "wsl2-7900xtx-no-librocdxg": (WORK, "rocm.rocdxg", "it is not installed"),
    "wsl2-7900xtx-rocdxg-healthy": (OK, "rocm.rocdxg", "1.2.2 with ROCm 7.2.1"),
    "wsl2-7900xtx-shadowed": (WORK, "rocm.not_shadowed", "libhsakmt1"),
    "wsl2-7900xtx-windows-10": (PERSON, "amd.windows", "10.0.19045"),
    "wsl2-chinese": (OK, "wsl.current", "2.9.4"),
    "wsl2-cpu-intel-igpu": (WORK, "engine.installed", "inv up --gpu cpu"),
    "wsl2-crlf": (PERSON, "checkout.line_ends", "env/4090.env inv;"),
    "wsl2-docker-socket-of-root": (WORK, "docker.answers", "belongs to root alone"),
    "wsl2-german": (OK, "wsl.stays_up", "never"),
    "wsl2-gtx-1080-ti": (PERSON, "nvidia.kernels", "inv up --gpu cpu"),
    "wsl2-interop-off": (ADVICE, "wsl.interop", "enabled=true"),
    "wsl2-kernel-too-old": (PERSON, "wsl.kernel", "wsl --update"),
    "wsl2-memory-15-gib": (ADVICE, "wsl.memory", "15.3 of about 31 GiB"),
    "wsl2-memory-8-gib-taken": (ADVICE, "wsl.memory", "memory=47GB"),
    "wsl2-port-reserved": (PERSON, "wsl.port", "7951 to 8050"),
    "wsl2-project-on-c": (PERSON, "checkout.linux_disk", "/mnt/c/llm/project"),
    "wsl2-rancher-desktop": (PERSON, "nvidia.runtime", "inv setup.docker"),
    "wsl2-rtx-2080-ti": (ADVICE, "nvidia.bfloat16", "DTYPE=float16"),
    "wsl2-rtx-5090-wsl-2.6": (PERSON, "nvidia.wsl", "CUDA graphs crash below 2.7.0"),
    "wsl2-rtx-5090-old-driver": (PERSON, "nvidia.driver", "572.16"),
    "wsl2-rx-7600-xt": (PERSON, "amd.card", "gfx1102"),
    "wsl2-tailscale-both": (ADVICE, "tailscale.one_side", "Leave it here: sudo"),
    "wsl2-tailscale-inside": (ADVICE, "tailscale.packets", "1280"),
    "wsl2-tailscale-stopped": (ADVICE, "tailscale.joined", "switched off"),
    "wsl2-without-systemd": (WORK, "wsl.systemd", "inv setup.wsl"),
    "wsl2-wslconfig-8gb": (ADVICE, "wsl.memory", "cannot read memory=8gb"),
}  # fmt: skip
UNASKED = (
    # Machine, and how ids of lines begin that must not say ok: nobody could ask.
    ("native-4090-no-driver", "docker.group_in_force"),
    ("windows-11-ready", "checkout.linux_disk"),
    ("wsl1", "wsl.systemd"),
    ("wsl1", "nvidia."),
    ("wsl2-4090-linux-driver", "nvidia."),
    ("wsl2-7900xtx-windows-10", "rocm."),
    ("wsl2-docker-socket-of-root", "nvidia.in_container"),
    ("wsl2-interop-off", "wsl.port"),
    ("wsl2-interop-off", "tailscale."),
    ("wsl2-kernel-too-old", "nvidia."),
    ("wsl2-without-systemd", "docker."),
)

ID = re.compile(r"[a-z]+\.[a-z0-9_]+(:\S+)?|refused")

FORESEEN = (
    # Failures people had which a look at the machine could have foreseen.
    "cpu-image-avx512-sigill", "cpu-ucx-avx-fatal", "cuda-bf16-cc75", "cuda-cc-below-70",
    "cuda-fa2-turing", "cuda-libcuda-so-not-found-triton", "cuda-sm120-no-kernel",
    "docker-no-device-driver-linux", "docker-no-device-driver-nvidia-wsl",
    "docker-not-found-wsl-desktop-stopped", "docker-not-found-wsl1",
    "docker-podman-cdi-unresolvable", "docker-sock-permission",
    "docker-sock-permission-root-root-wsl", "driver-804-forward-compat",
    "driver-cuda124-requirement", "driver-cuda129-requirement-http500",
    "net-port-in-use-compose", "net-port-windows-excluded-range", "rocm-igpu-invalid-image-7900xt",
    "rocm-strix-invalid-device-function", "rocm-wsl-kfd-missing-ollama", "ts-serve-config-denied",
    "ts-wsl-mtu-ssh-hang", "wsl-driver555-named-symbol", "wsl-kernel-too-old-no-nvidia-driver",
    "wsl-killed-ram-llama30b", "wsl-libcuda-oserror", "wsl-no-adapters-wsl1", "wsl-oomkill-dmesg",
)  # fmt: skip


class Listening(Replay):
    """A recorded machine that remembers what it was asked."""

    def __init__(self, on: Replay, heard: set[str]) -> None:
        super().__init__(on._answers)
        self.heard = heard

    def run(self, *argv: str, limit: float = LIMIT, keep: bool = False) -> Output:
        self.heard.add(run_key(argv))
        return super().run(*argv, limit=limit, keep=keep)

    def text(self, path: str | Path) -> str | None:
        self.heard.add(f"file: {path}")
        return super().text(path)

    def names(self, folder: str | Path) -> tuple[str, ...]:
        self.heard.add(f"folder: {folder}")
        return super().names(folder)

    def exists(self, path: str | Path) -> bool:
        self.heard.add(f"exists: {path}")
        return super().exists(path)

    def ask(self, key: str, absent: Answer, question: Callable[[], Answer]) -> Answer:
        self.heard.add(f"ask: {key}")
        return super().ask(key, absent, question)


@functools.cache
def heard() -> frozenset[str]:
    """Everything that facts ask any of the machines."""
    keys: set[str] = set()
    for name in NAMES:
        recorded.plan(Listening(machine(name), keys), asked_with(name))
    return frozenset(keys)


def golden(name: str, file: str, text: str) -> None:
    place = FOLDER / name / file
    if os.environ.get("UPDATE_GOLDEN"):
        place.write_text(text)
    assert place.read_text() == text, f"UPDATE_GOLDEN=1 writes {place.name} anew; read it then"


@pytest.mark.parametrize("case", FORESEEN)
def test_each_failure_that_could_be_foreseen_has_its_machine(case: str) -> None:
    first_lines = [recorded.text(name).splitlines()[0] for name in NAMES]
    assert any(re.search(rf"\b{case}\b(?!-)", line) for line in first_lines)


def test_there_are_enough_of_them() -> None:
    assert len(NAMES) >= AT_LEAST


@pytest.mark.parametrize("name", NAMES)
def test_each_says_where_it_is_from(name: str) -> None:
    assert re.match(r"# (recorded \d{4}-\d\d-\d\d|constructed from \S)", recorded.text(name))


@pytest.mark.parametrize("name", sorted(one.name for one in FOLDER.iterdir() if one.is_dir()))
def test_every_answer_of_a_machine_is_one_that_somebody_asks_for(name: str) -> None:
    own = recording.parse(recorded.text(name))
    assert sorted(own.keys() - heard()) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_doctor_says_what_is_there_and_what_is_missing(name: str) -> None:
    golden(name, "doctor.txt", recorded.table(machine(name), asked_with(name)))


@pytest.mark.parametrize("name", NAMES)
def test_the_setup_commands_do_what_is_missing(name: str) -> None:
    golden(name, "setup.txt", recorded.commands(machine(name), asked_with(name)))


@pytest.mark.parametrize("name", NAMES)
def test_the_doctor_names_what_this_machine_is_here_for(name: str) -> None:
    state, id_, below = DECISIVE[name]
    (line,) = [one for one in findings_of(name) if one.id == id_]
    assert line.state == state
    assert below in f"{line.detail}\n{line.fix}"


@pytest.mark.parametrize("name", HEALTHY)
def test_on_a_healthy_machine_nobody_has_to_do_anything(name: str) -> None:
    # The model is not the machine's: nobody has fetched one yet.
    said = [one for one in findings_of(name) if one.id != "model.present"]
    assert [
        one for one in said if one.state in {PERSON, ADVICE} and one.id != "tailscale.joined"
    ] == []
    assert all(one.fix.startswith("inv up --gpu ") for one in said if one.state == WORK)


@pytest.mark.parametrize("name", NAMES)
def test_a_command_that_the_doctor_names_is_not_stopped_at_once(name: str) -> None:
    named = {one.by for one in findings_of(name) if one.state == WORK}
    seen = recorded.host(machine(name))
    for command, steps in recorded.setups(seen, asked_with(name)):
        first = next((one for one in steps if not one.advice and one.missing(seen)), None)
        if f"inv {command}" in named:
            assert first is not None
            assert first.actions, f"inv {command} stops: {first.name}"


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("wsl2-4090-bare", ["inv setup.docker", "inv setup.cuda", "inv up --gpu 4090"]),
        ("native-4090-no-toolkit", ["inv setup.cuda", "inv up --gpu 4090"]),
        ("native-4090-healthy", ["inv up --gpu 4090"]),
        # An engine would have to be started by hand as long as systemd does not run.
        (
            "wsl2-without-systemd",
            ["inv setup.wsl", "inv setup.docker", "inv setup.cuda", "inv up --gpu 4090"],
        ),
        ("wsl2-7900xtx-bare", ["inv setup.rocm", "inv setup.docker", "inv up --gpu 7900xtx"]),
        # The server needs neither rocminfo nor a new login.
        ("native-7900xtx-bare", ["inv setup.docker", "inv up --gpu 7900xtx"]),
        ("native-7900xtx-not-in-render", ["inv up --gpu 7900xtx"]),
        ("windows-11-no-wsl", ["inv setup.wsl"]),
    ],
)
def test_every_command_is_named_in_its_order(name: str, commands: list[str]) -> None:
    kind, seen, steps = recorded.plan(machine(name), asked_with(name))
    found = findings.urgent_first(findings.examine(steps, seen))
    backend = backends.load(kind, ROOT, {})
    assert checkup.commands(found, backend, seen) == commands


@pytest.mark.parametrize(("name", "start"), UNASKED)
def test_what_nobody_could_ask_is_not_called_fine(name: str, start: str) -> None:
    said = findings_of(name)
    assert [one.id for one in said if one.id.startswith(start) and one.state == OK] == []


@pytest.mark.parametrize("name", NAMES)
def test_each_step_has_an_id_of_its_own(name: str) -> None:
    _, seen, doctor = recorded.plan(machine(name), asked_with(name))
    for steps in (doctor, *(steps for _, steps in recorded.setups(seen, asked_with(name)))):
        ids = [step.id for step in steps]
        assert sorted(set(ids)) == sorted(ids)
        assert [one for one in ids if not ID.fullmatch(one)] == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_told_twice(name: str) -> None:
    own = [one for one in findings_of(name) if one.state in {PERSON, WORK}]
    fixes = [one.fix for one in own if not one.fix.startswith("inv up --gpu ")]
    assert sorted(fixes) == sorted(set(fixes))


@pytest.mark.parametrize("name", NAMES)
def test_once_applied_there_is_nothing_left_to_do(
    name: str, request: pytest.FixtureRequest
) -> None:
    if name in BROKEN:
        request.applymarker(pytest.mark.xfail(reason=BROKEN[name], strict=True))
    simulated = Simulated(machine(name), asked_with(name))
    simulated.set_up()
    again = [
        (command, step.name, step.missing(simulated.host()))
        for command, step in simulated.unreached()
        if step.actions
    ]
    assert again == []


@pytest.mark.parametrize("name", NAMES)
def test_a_persons_part_says_what_to_do(name: str) -> None:
    for one in findings_of(name):
        assert one.state == findings.OK or one.fix, one.name
