"""Containers that see NVIDIA cards: what `inv setup.cuda` does about it."""

import dataclasses
from typing import Any

import pytest

from lifecycle import tables
from lifecycle.host import Docker, Os
from lifecycle.step import Command, WriteFile
from lifecycle.steps import nvidia, nvidia_containers
from tests.unit.given import PATHS, actions, missing
from tests.unit.steps.nvidia_hosts import (
    BARE,
    ENGINE,
    GOOD,
    UBUNTU,
    commands,
    linux,
    step,
    wsl,
)


def test_a_fresh_wsl_gets_toolkit_runtime_and_a_trial() -> None:
    engine = dataclasses.replace(ENGINE, runtimes=frozenset({"runc"}))
    on = wsl({"toolkit": "", "verified": ""}, docker=engine)
    assert commands(on) == [
        (
            "curl -fsSL --create-dirs -o /data/staging/nvidia-container-toolkit-keyring.asc "
            "https://nvidia.github.io/libnvidia-container/gpgkey"
        ),
        (
            "sudo install -D -m 644 /data/staging/nvidia-container-toolkit-keyring.asc "
            "/usr/share/keyrings/nvidia-container-toolkit-keyring.asc"
        ),
        "write /data/staging/nvidia-container-toolkit.list (mode 644)",
        (
            "sudo install -D -m 644 /data/staging/nvidia-container-toolkit.list "
            "/etc/apt/sources.list.d/nvidia-container-toolkit.list"
        ),
        "sudo apt-get update -q",
        (
            "sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "
            "-o DPkg::Lock::Timeout=600 nvidia-container-toolkit=1.20.0-1 "
            "nvidia-container-toolkit-base=1.20.0-1 libnvidia-container-tools=1.20.0-1 "
            "libnvidia-container1=1.20.0-1"
        ),
        "sudo nvidia-ctk runtime configure --runtime=docker",
        "sudo systemctl restart docker.service",
        "docker run --rm --gpus all ubuntu:24.04 nvidia-smi --list-gpus",
        "write /data/nvidia-container.txt (mode 644)",
    ]


def test_the_list_names_the_key_it_is_checked_against() -> None:
    written = [a for a in actions(nvidia.containers(linux(), PATHS)) if isinstance(a, WriteFile)]
    assert written[0].text == (
        "deb [signed-by=/usr/share/keyrings/nvidia-container-toolkit-keyring.asc] "
        "https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /\n"
    )


def test_an_engine_that_has_the_card_as_a_device_needs_no_toolkit() -> None:
    engine = dataclasses.replace(BARE, devices=frozenset({"nvidia.com/gpu=all"}))
    assert commands(linux({"toolkit": "", "verified": ""}, docker=engine)) == commands(
        linux({"verified": ""}, docker=engine)
    )


@pytest.mark.parametrize("toolkit", ["", "1.14.3", "1.13.5"])
def test_applied_once_there_is_nothing_left_to_do(toolkit: str) -> None:
    on = wsl({"toolkit": toolkit, "verified": ""}, docker=BARE)
    plan = nvidia.setup(on, PATHS, toolkit=False)
    written = [a for a in actions(plan) if isinstance(a, WriteFile)]
    stamp = next(a.text for a in written if a.path.name == "nvidia-container.txt")
    after = {"toolkit": tables.cuda.container_toolkit().version, "verified": stamp.strip()}
    assert commands(wsl(after)) == []


def test_a_toolkit_too_old_for_todays_windows_drivers_says_what_would_happen() -> None:
    # case wsl-driver555-named-symbol
    on = wsl({"toolkit": "1.14.3"})
    assert "named symbol not found" in missing(nvidia.containers(on, PATHS), on)["nvidia.toolkit"]


@pytest.mark.parametrize(
    "change",
    [{"nvidia": dataclasses.replace(GOOD, driver="581.42")},
     {"nvidia": dataclasses.replace(GOOD, toolkit="1.20.1")},
     {"docker": dataclasses.replace(ENGINE, engine="29.2.0")}],
)  # fmt: skip
def test_after_a_change_the_trial_is_repeated(change: dict[str, Any]) -> None:
    on = linux(**change)
    assert "last tried with driver 580.95.05" in str(missing(nvidia.containers(on, PATHS), on))
    assert commands(on)[0].startswith("docker run --rm --gpus all")
    assert len(commands(on)) == 2


def test_an_engine_older_than_the_toolkit_is_restarted_though_it_knows_the_runtime() -> None:
    todo = commands(linux({"toolkit": ""}))
    assert "sudo systemctl restart docker.service" in todo
    assert not any("nvidia-ctk" in command for command in todo)


def test_without_systemd_the_engine_reads_its_runtimes_anew() -> None:
    system = dataclasses.replace(UBUNTU, systemd=False, root=True, wsl=True)
    on = wsl(docker=BARE, os=system)
    reload = Command(("sh", "-c", nvidia_containers.RELOAD))
    assert commands(on)[:2] == ["nvidia-ctk runtime configure --runtime=docker", str(reload)]


def test_cards_by_cdi_need_no_runtime() -> None:
    engine = Docker("29.1.3", "2.40.0", devices=frozenset({"nvidia.com/gpu=all"}))
    on = linux({"verified": ""}, docker=engine)
    assert commands(on)[0] == (
        "docker run --rm --device nvidia.com/gpu=all ubuntu:24.04 nvidia-smi --list-gpus"
    )


def test_docker_desktop_brings_its_own() -> None:
    desktop = Docker("29.1.3", "2.40.0", desktop=True)
    on = wsl({"toolkit": "", "verified": ""}, docker=desktop)
    assert commands(on) == [
        "docker run --rm --gpus all ubuntu:24.04 nvidia-smi --list-gpus",
        "write /data/nvidia-container.txt (mode 644)",
    ]
    assert "Docker Desktop (4.31" in nvidia.containers(on, PATHS)[-1].fix


def test_a_rootless_engine_is_its_users_own() -> None:
    on = linux(docker=Docker("29.1.3", "2.40.0", address="unix:///run/user/1000/docker.sock"))
    found = step(nvidia.containers(on, PATHS), "nvidia.runtime")
    assert found.actions == ()
    assert "systemctl --user restart docker" in found.fix


def test_where_there_is_no_apt_a_person_installs_the_toolkit() -> None:
    on = linux({"toolkit": ""}, os=dataclasses.replace(UBUNTU, apt=False))
    found = step(nvidia.containers(on, PATHS), "nvidia.toolkit")
    assert (found.actions, found.by) == ((), "")
    assert "install-guide" in found.fix


def test_podman_is_told_of_the_card() -> None:
    # case docker-podman-cdi-unresolvable
    on = linux(packages={"podman": "4.9.3"})
    found = step(nvidia.containers(on, PATHS), "nvidia.cdi")
    assert found.advice
    assert str(found.actions[0]) == "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
    described = linux({"cdi": ("/etc/cdi/nvidia.yaml",)}, packages={"podman": "4.9.3"})
    assert not any(
        "Podman" in name for name in missing(nvidia.containers(described, PATHS), described)
    )
    assert not any(one.id == "nvidia.cdi" for one in nvidia.containers(linux(), PATHS))


def test_an_engine_of_somebody_elses_is_not_started_again() -> None:
    # rancher-sandbox/rancher-desktop: docker.service is not on this side
    engine = Docker("29.0.1", "2.40.3", address="unix:///var/run/docker.sock")
    on = wsl({"toolkit": "", "verified": ""}, docker=engine)
    assert commands(on) == ["docker run --rm --gpus all ubuntu:24.04 nvidia-smi --list-gpus",
                            f"write {PATHS.home}/nvidia-container.txt (mode 644)"]  # fmt: skip
    stop = next(one for one in nvidia.setup(on, PATHS, toolkit=False) if one.missing(on))
    assert (stop.id, stop.actions) == ("nvidia.runtime", ())
    assert "Rancher Desktop" in stop.fix
    taught = wsl(docker=dataclasses.replace(engine, runtimes=frozenset({"nvidia"})))
    assert step(nvidia.containers(taught, PATHS), "nvidia.runtime").missing(taught) == ""


def test_of_what_stands_on_each_other_the_first_is_told() -> None:
    on = wsl({"toolkit": "", "verified": ""}, docker=BARE)
    assert len(missing(nvidia.containers(on, PATHS), on)) == 1
    old = wsl({"driver": "531.79", "cuda": "12.1", "verified": ""})
    assert nvidia.containers(old, PATHS) == []
    linux_driver = wsl({"gpus": (), "problem": "GPU access blocked by the operating system"},
                       packages={"nvidia-driver-580": "580"})  # fmt: skip
    assert list(missing(nvidia.card(linux_driver), linux_driver)) == ["nvidia.no_linux_driver"]


def test_an_engine_that_does_not_answer_comes_first() -> None:
    on = linux({"verified": ""}, docker=Docker(problem="the Docker Engine does not answer"))
    first = next(one for one in nvidia.setup(on, PATHS, toolkit=False) if one.missing(on))
    assert first.actions == ()
    assert "inv setup.docker" in first.fix


def test_it_runs_on_linux_only() -> None:
    windows = linux(os=Os("win32"))
    assert nvidia.containers(windows, PATHS) == []
    assert "inv setup.wsl" in nvidia.setup(windows, PATHS, toolkit=False)[0].fix


FRESH = {"toolkit": "1.18.0", "cdi": ("/var/run/cdi/nvidia.yaml",)}
BOTH = dataclasses.replace(ENGINE, engine="28.2.2", devices=frozenset({"nvidia.com/gpu=all"}))


@pytest.mark.parametrize(
    ("nvidias", "engine", "system", "by_description"),
    [
        (FRESH, BOTH, {}, True),
        # A description that nobody keeps fresh is worse than the runtime's hook.
        (FRESH | {"toolkit": "1.17.8"}, BOTH, {}, False),
        (FRESH | {"toolkit": ""}, BOTH, {}, False),
        (FRESH | {"cdi": ("/etc/cdi/nvidia.yaml",)}, BOTH, {}, False),
        (FRESH, BOTH, {"systemd": False}, False),
        # Without a runtime it is all there is.
        (FRESH | {"toolkit": ""}, dataclasses.replace(BOTH, runtimes=frozenset()), {}, True),
        (FRESH, dataclasses.replace(BOTH, devices=frozenset()), {}, False),
        (FRESH, dataclasses.replace(BOTH, desktop=True), {}, False),
    ],
)
def test_the_card_comes_by_its_description_where_that_is_kept_fresh(
    nvidias: dict[str, object], engine: Docker, system: dict[str, Any], *, by_description: bool
) -> None:
    on = linux(nvidias | {"verified": ""}, docker=engine, os=dataclasses.replace(UBUNTU, **system))
    assert nvidia_containers.by_description(on) is by_description
    assert (commands(on)[0].split()[3:5] == ["--device", "nvidia.com/gpu=all"]) is by_description


@pytest.mark.parametrize(
    ("toolkit", "engine", "way"),
    [
        ("1.17.8", "28.2.2", "Container Toolkit to 1.18"),
        ("1.20.0", "26.1.5", "Engine to 28.2"),
        ("1.20.0", "28.2.2", "enable --now nvidia-cdi-refresh.path"),
    ],
)
def test_a_card_that_a_reload_of_systemd_takes_away_is_told(
    toolkit: str, engine: str, way: str
) -> None:
    hooked = dataclasses.replace(BOTH, engine=engine, devices=frozenset())
    on = linux({"toolkit": toolkit}, docker=hooked)
    found = step(nvidia.containers(on, PATHS), "nvidia.survives_reload")
    assert "daemon-reload" in found.missing(on)
    assert way in found.fix
    assert (found.advice, found.actions) == (True, ())
    fresh = linux(FRESH, docker=BOTH)
    assert step(nvidia.containers(fresh, PATHS), "nvidia.survives_reload").missing(fresh) == ""
    plain = linux(
        {"toolkit": toolkit}, docker=hooked, os=dataclasses.replace(UBUNTU, systemd=False)
    )
    assert step(nvidia.containers(plain, PATHS), "nvidia.survives_reload").missing(plain) == ""
