"""NVIDIA: what a look foresees, what `inv setup.cuda` does about it, and what it never does."""

import dataclasses
from typing import Any

import pytest

from lifecycle import tables
from lifecycle.host import GIB, Adapter, Docker, Gpu, Host, Nvidia, Os, Windows, Wsl
from lifecycle.step import Command, Download, Step, WriteFile
from lifecycle.steps import nvidia, nvidia_containers
from tests.unit.given import PATHS, actions, host, missing

RTX_4090 = Gpu("NVIDIA GeForce RTX 4090", 24 * GIB, 23 * GIB, "8.9")
BARE = Docker("29.1.3", "2.40.0", dockerd="/usr/bin/dockerd")
ENGINE = dataclasses.replace(BARE, runtimes=frozenset({"runc", "nvidia"}))
GOOD = Nvidia(
    smi="/usr/bin/nvidia-smi",
    driver="580.95.05",
    cuda="13.0",
    gpus=(RTX_4090,),
    toolkit="1.20.0",
    libcuda="/usr/lib/x86_64-linux-gnu/libcuda.so.1",
    verified="driver 580.95.05, toolkit 1.20.0, engine 29.1.3",
)
UBUNTU = Os(
    "linux", "x86_64", "Ubuntu 24.04", "ubuntu", "24.04", "noble",
    apt=True, sudo=True, systemd=True,
)  # fmt: skip


def linux(card: dict[str, Any] | None = None, **changes: Any) -> Host:
    """Native Linux on which all is well."""
    good = host(os=UBUNTU, docker=ENGINE, nvidia=dataclasses.replace(GOOD, **(card or {})))
    return dataclasses.replace(good, **changes)


def wsl(card: dict[str, Any] | None = None, **changes: Any) -> Host:
    """WSL2 on which all is well."""
    below = {
        "os": dataclasses.replace(UBUNTU, wsl=True),
        "wsl": Wsl(generation=2, kernel="6.6.87.2", distribution="Ubuntu-24.04"),
    }
    return linux(card, **(below | changes))


def without(gpu: Gpu = RTX_4090, **changes: Any) -> dict[str, Any]:
    return {"gpus": (dataclasses.replace(gpu, **changes),)}


def step(steps: list[Step], name: str) -> Step:
    return next(one for one in steps if name in one.name)


def commands(on: Host, *, toolkit: bool = False) -> list[str]:
    """What `inv setup.cuda` would run for what is missing."""
    todo = [one for one in nvidia.setup(on, PATHS, toolkit=toolkit) if one.missing(on)]
    return [str(action) for action in actions(todo)]


@pytest.mark.parametrize("on", [linux(), wsl()], ids=["linux", "wsl"])
def test_on_a_good_machine_nothing_is_missing(on: Host) -> None:
    assert missing([*nvidia.card(on), *nvidia.containers(on, PATHS)], on) == {}
    assert commands(on) == []
    told = step(nvidia.card(on), "answers").found(on)
    assert told == (
        "NVIDIA GeForce RTX 4090 24.0 GiB (23.0 free), compute capability 8.9; "
        "driver 580.95.05 runs CUDA up to 13.0"
    )


# --- the card


def silent(on: Host) -> tuple[str, str]:
    """Why no card answers, and what to do; the rest cannot be judged then."""
    steps = nvidia.card(on)
    assert steps[-1].name == "an NVIDIA card answers"
    assert nvidia.containers(on, PATHS) == []
    assert steps[-1].actions == ()
    return steps[-1].missing(on), steps[-1].fix


NOTHING = {"gpus": (), "driver": "", "cuda": "", "smi": ""}


@pytest.mark.parametrize(
    ("problem", "on_linux", "on_wsl"),
    [
        ("Failed to initialize NVML: Driver/library version mismatch", "Restart", "Linux driver"),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
         "kernel", "Linux driver"),
        ("No devices were found", "dmesg", "Device Manager"),
        ("Failed to initialize NVML: GPU access blocked by the operating system", "Restart",
         "wsl --update"),
        ("NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.", "ubuntu-drivers",
         "wsl --update"),
        ("Failed to initialize NVML: Insufficient Permissions", "/dev/nvidia", "shutdown"),
    ],
)  # fmt: skip
def test_every_known_complaint_has_a_way_out(problem: str, on_linux: str, on_wsl: str) -> None:
    for on, way in ((linux, on_linux), (wsl, on_wsl)):
        why, fix = silent(on(NOTHING | {"problem": problem}))
        assert why.splitlines()[1] == problem
        assert way in fix


def test_an_unknown_complaint_is_told_as_it_is() -> None:
    why, fix = silent(linux(NOTHING | {"problem": "nvidia-smi failed (exit 139)"}))
    assert why == "nvidia-smi failed (exit 139)"
    assert "ubuntu-drivers install" in fix


def test_a_card_without_a_driver() -> None:
    debian = dataclasses.replace(UBUNTU, distro="debian")
    why, fix = silent(linux(NOTHING | {"problem": "an NVIDIA card is here (PCI x)"}, os=debian))
    assert "PCI" in why
    assert "nvidia.com/drivers" in fix


def test_no_card_at_all_points_to_the_processor() -> None:
    why, fix = silent(linux(NOTHING))
    assert why == "no card and no driver of NVIDIA's was found"
    assert "inv up --gpu cpu" in fix
    late = linux(NOTHING, unread={"nvidia": "no answer in 1.8 s"})
    assert silent(late)[0] == "no answer in 1.8 s"


def test_wsl_1_has_no_card() -> None:
    on = wsl(NOTHING, wsl=Wsl(generation=1, distribution="Ubuntu"))
    (why,) = missing(nvidia.card(on), on).values()
    assert why == "WSL 1 has no graphics card and no Docker"
    assert "wsl --set-version Ubuntu 2" in nvidia.card(on)[-1].fix


def test_an_old_kernel_of_wsl_is_the_cause_and_not_the_driver() -> None:
    # case wsl-kernel-too-old-no-nvidia-driver
    card = Windows(reached=True, adapters=(Adapter("NVIDIA GeForce RTX 4080", "32.0.15.8142"),))
    on = wsl(NOTHING, windows=card, wsl=Wsl(generation=2, kernel="5.10.16.3"))
    assert list(missing(nvidia.card(on), on)) == ["the kernel of WSL is new enough"]


def test_a_card_that_only_windows_sees() -> None:
    on = wsl(NOTHING, windows=Windows(reached=True, adapters=(Adapter("NVIDIA GeForce RTX 4080"),)))
    why, fix = silent(on)
    assert "Windows has NVIDIA GeForce RTX 4080" in why
    assert "wsl --update" in fix


@pytest.mark.parametrize(
    ("packages", "files", "remove"),
    [
        (
            ["nvidia-driver-535", "libnvidia-compute-535", "nvidia-utils-535"],
            (),
            "sudo apt-get purge libnvidia-compute-535 nvidia-driver-535 nvidia-utils-535 &&",
        ),
        (["cuda-drivers", "libcuda1"], (), "sudo apt-get purge cuda-drivers libcuda1 &&"),
        ([], ("/usr/bin/nvidia-uninstall",), "sudo /usr/bin/nvidia-uninstall &&"),
        ([], ("/usr/lib/libcuda.so.1",), "purge $(dpkg -S /usr/lib/libcuda.so.1 | cut -d: -f1) &&"),
    ],
)
def test_a_linux_driver_in_wsl_is_for_its_owner_to_remove(
    packages: list[str], files: tuple[str, ...], remove: str
) -> None:
    on = wsl({"linux_driver": files}, packages=dict.fromkeys(packages, "1"))
    found = step(nvidia.card(on), "no Linux display driver")
    assert found.missing(on) == ", ".join(sorted(packages) or files)
    assert remove in found.fix
    assert found.actions == ()


def test_the_container_toolkits_packages_are_no_driver() -> None:
    ours = dict.fromkeys([*tables.cuda.container_toolkit().packages, "cuda-keyring"], "1")
    assert missing(nvidia.card(wsl(packages=ours)), wsl(packages=ours)) == {}


def test_on_linux_a_driver_is_where_it_belongs() -> None:
    on = linux(packages={"nvidia-driver-580": "580.95.05"})
    assert missing(nvidia.card(on), on) == {}


@pytest.mark.parametrize(
    ("name", "arch", "image", "told"),
    [
        ("Tesla P100-PCIE-16GB", "6.0", "", "the image needs 7.5"),
        ("Tesla V100-SXM2-16GB", "7.0", "", "the image needs 7.5"),
        ("Tesla V100-SXM2-16GB", "7.0", "vllm/vllm-openai:v0.9.0", ""),
        ("Tesla T4", "7.5", "", ""),
        ("NVIDIA GeForce RTX 5090", "12.0", "", ""),
        # case cuda-sm120-no-kernel
        ("NVIDIA GeForce RTX 5090", "12.0", "vllm/vllm-openai:v0.8.5", "no kernels for NVIDIA"),
        ("NVIDIA GeForce RTX 5090", "12.0", "somebody/else:1", ""),
        ("NVIDIA Something", "", "", ""),
    ],
)
def test_a_card_and_an_image_that_do_not_go_together(
    name: str, arch: str, image: str, told: str
) -> None:
    on = linux(without(name=name, arch=arch))
    why = step(nvidia.card(on, image), "has kernels").missing(on)
    assert told in why
    assert bool(why) is bool(told)


def test_of_several_cards_the_best_counts() -> None:
    old = Gpu("NVIDIA GeForce GTX 1080", 8 * GIB, 8 * GIB, "6.1")
    on = linux({"gpus": (old, RTX_4090)})
    assert missing(nvidia.card(on), on) == {}


PLAIN, CUDA_12 = (row.reference for row in tables.serving.images("cuda"))


@pytest.mark.parametrize(
    ("driver", "cuda", "image", "ways"),
    [
        ("576.88", "12.9", PLAIN, ("driver 580 or newer in Windows", "IMAGE=", "-cu129 in .env")),
        (
            "560.94",
            "12.6",
            "",
            ("driver 580 or newer in Windows", "CUDA 12.9) asks this card for 575"),
        ),
        ("531.41", "", "", ("driver 580 or newer in Windows", "no build for this driver")),
    ],
)
def test_a_driver_too_old_has_both_ways_out_as_far_as_there_are_two(
    driver: str, cuda: str, image: str, ways: tuple[str, ...]
) -> None:
    # cases driver-cuda124-requirement, driver-cuda129-requirement-http500,
    # driver-804-forward-compat
    on = wsl({"driver": driver, "cuda": cuda})
    found = step(nvidia.card(on, image), "driver runs")
    assert f"driver {driver}" in found.missing(on)
    assert "needs driver 580 or newer" in found.missing(on)
    for way in ways:
        assert way in found.fix
    assert (" Or " in found.fix) is found.fix.startswith("Either ")


@pytest.mark.parametrize(
    ("name", "driver", "runs"),
    [
        # NVIDIA_REQUIRE_CUDA of vllm/vllm-openai:v0.29.0-cu129: `cuda>=12.9`, or of every brand but
        # GeForce and TITAN one of these branches.
        ("NVIDIA RTX A6000", "570.195.03", True),
        ("NVIDIA A10", "535.288.01", True),
        ("NVIDIA A10", "545.23.08", False),
        ("NVIDIA GeForce RTX 4090", "570.195.03", False),
        ("NVIDIA TITAN RTX", "570.195.03", False),
    ],
)
def test_cuda_12_9_on_older_drivers_is_for_cards_of_work_only(
    name: str, driver: str, *, runs: bool
) -> None:
    on = linux(without(name=name) | {"driver": driver, "cuda": "12.2"})
    found = step(nvidia.card(on, CUDA_12), "driver runs")
    assert (found.missing(on) == "") is runs
    assert not runs or "not tried by us" in found.found(on)
    assert step(nvidia.card(on, PLAIN), "driver runs").missing(on)


@pytest.mark.parametrize("image", ["", CUDA_12])
def test_a_driver_that_stops_at_cuda_12_runs_the_other_build(image: str) -> None:
    on = wsl({"driver": "576.88", "cuda": "12.9"})
    found = step(nvidia.card(on, image), "driver runs")
    assert (found.missing(on), found.found(on)) == ("", "driver 576.88, needed: 575")
    names = [one.name for one in nvidia.setup(on, PATHS, toolkit=False, image=image)]
    assert "the driver runs the image's CUDA" in names


@pytest.mark.parametrize(("driver", "old"), [("575.64", True), ("580.00", False), ("", False)])
def test_a_driver_that_hides_its_cuda_is_judged_by_its_number(driver: str, *, old: bool) -> None:
    on = linux({"driver": driver, "cuda": ""})
    assert bool(step(nvidia.card(on, PLAIN), "driver runs").missing(on)) is old


def test_windows_libraries_are_made_known_to_the_loader() -> None:
    # cases wsl-libcuda-oserror, wsl-no-adapters (libdxcore.so is found by the loader as well)
    on = wsl({"libcuda": ""})
    (command,) = commands(on)
    assert command.startswith("sudo sh -c 'echo /usr/lib/wsl/lib > /etc/ld.so.conf.d/")
    assert step(nvidia.containers(on, PATHS), "libcuda").by == "inv setup.cuda"


def test_on_linux_a_missing_libcuda_is_only_advice() -> None:
    on = linux({"libcuda": ""})
    found = step(nvidia.containers(on, PATHS), "libcuda")
    assert (found.advice, found.actions) == (True, ())
    assert found.missing(on)
    assert commands(on) == []


def test_the_table_is_quoted_with_its_mark_of_trust() -> None:
    on = linux()
    assert "not tried by us" in step(nvidia.card(on), "in our table").found(on)
    unheard = linux(without(name="NVIDIA Something", arch="13.0"))
    assert "inv doctor --record" in step(nvidia.card(unheard), "in our table").fix
    assert step(nvidia.card(unheard), "in our table").missing(unheard)


def test_every_row_of_the_table_can_be_shown() -> None:
    for row in tables.cards.cards("nvidia"):
        name = f"NVIDIA {row.names[0]}" if row.names else "NVIDIA Graphics Device"
        on = linux(without(name=name, arch=row.arch))
        assert nvidia.VERIFIED[row.verified] in step(nvidia.card(on), "in our table").found(on)
        kernels = step(nvidia.card(on), "has kernels").missing(on)
        assert bool(kernels) is (not row.images), row


def test_turing_has_no_bfloat16() -> None:
    # cases cuda-bf16-cc75, cuda-fa2-turing
    on = linux(without(name="Tesla T4", arch="7.5"))
    found = step(nvidia.card(on), "bfloat16")
    assert found.advice
    assert "7.5" in found.missing(on)
    assert "DTYPE=float16" in found.fix


def test_memory_held_by_the_desktop_is_told() -> None:
    on = linux(without(free=20 * GIB))
    found = step(nvidia.card(on), "memory")
    assert found.advice
    assert "4.0 of 24.0 GiB are taken" in found.missing(on)
    unknown = linux(without(free=0))
    assert step(nvidia.card(unknown), "memory").missing(unknown) == ""


# --- containers


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
            "-o DPkg::Lock::Timeout=120 nvidia-container-toolkit=1.20.0-1 "
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
    assert (
        "named symbol not found"
        in missing(nvidia.containers(on, PATHS), on)[
            "the NVIDIA Container Toolkit 1.14.4 or newer is installed"
        ]
    )


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
    found = step(nvidia.containers(on, PATHS), "runtime")
    assert found.actions == ()
    assert "systemctl --user restart docker" in found.fix


def test_where_there_is_no_apt_a_person_installs_the_toolkit() -> None:
    on = linux({"toolkit": ""}, os=dataclasses.replace(UBUNTU, apt=False))
    found = step(nvidia.containers(on, PATHS), "Toolkit")
    assert (found.actions, found.by) == ((), "")
    assert "install-guide" in found.fix


def test_podman_is_told_of_the_card() -> None:
    # case docker-podman-cdi-unresolvable
    on = linux(packages={"podman": "4.9.3"})
    found = step(nvidia.containers(on, PATHS), "Podman")
    assert found.advice
    assert str(found.actions[0]) == "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
    described = linux({"cdi": ("/etc/cdi/nvidia.yaml",)}, packages={"podman": "4.9.3"})
    assert missing(nvidia.containers(described, PATHS), described) == {}
    assert not any("Podman" in one.name for one in nvidia.containers(linux(), PATHS))


def test_an_engine_of_somebody_elses_is_not_started_again() -> None:
    # rancher-sandbox/rancher-desktop: docker.service is not on this side
    engine = Docker("29.0.1", "2.40.3", address="unix:///var/run/docker.sock")
    on = wsl({"toolkit": "", "verified": ""}, docker=engine)
    assert commands(on) == ["docker run --rm --gpus all ubuntu:24.04 nvidia-smi --list-gpus",
                            f"write {PATHS.home}/nvidia-container.txt (mode 644)"]  # fmt: skip
    stop = next(one for one in nvidia.setup(on, PATHS, toolkit=False) if one.missing(on))
    assert (stop.name, stop.actions) == ("Docker knows NVIDIA's runtime", ())
    assert "Rancher Desktop" in stop.fix
    taught = wsl(docker=dataclasses.replace(engine, runtimes=frozenset({"nvidia"})))
    assert step(nvidia.containers(taught, PATHS), "Docker knows").missing(taught) == ""


def test_of_what_stands_on_each_other_the_first_is_told() -> None:
    on = wsl({"toolkit": "", "verified": ""}, docker=BARE)
    assert len(missing(nvidia.containers(on, PATHS), on)) == 1
    old = wsl({"driver": "531.79", "cuda": "12.1", "verified": ""})
    assert nvidia.containers(old, PATHS) == []
    linux_driver = wsl({"gpus": (), "problem": "GPU access blocked by the operating system"},
                       packages={"nvidia-driver-580": "580"})  # fmt: skip
    assert list(missing(nvidia.card(linux_driver), linux_driver)) == [
        "no Linux display driver hides the one of Windows"
    ]


def test_an_engine_that_does_not_answer_comes_first() -> None:
    on = linux({"verified": ""}, docker=Docker(problem="the Docker Engine does not answer"))
    first = next(one for one in nvidia.setup(on, PATHS, toolkit=False) if one.missing(on))
    assert first.actions == ()
    assert "inv setup.docker" in first.fix


def test_it_runs_on_linux_only() -> None:
    windows = linux(os=Os("win32"))
    assert nvidia.containers(windows, PATHS) == []
    assert "inv setup.wsl" in nvidia.setup(windows, PATHS, toolkit=False)[0].fix


# --- the CUDA toolkit


@pytest.mark.parametrize(
    ("cuda", "package"),
    [("13.3", "cuda-toolkit-13-0"), ("12.9", "cuda-toolkit-12-9"), ("", "cuda-toolkit-13-0")],
)
def test_the_toolkit_is_one_that_the_driver_runs(cuda: str, package: str) -> None:
    found = nvidia.setup(wsl({"cuda": cuda}), PATHS, toolkit=True)[-1]
    assert isinstance(found.actions[-1], Command)
    assert found.actions[-1].argv[-1] == package
    assert found.by == "inv setup.cuda --toolkit"


def test_wsl_has_a_repository_of_its_own() -> None:
    download = nvidia.setup(wsl(), PATHS, toolkit=True)[-1].actions[0]
    assert isinstance(download, Download)
    assert "/wsl-ubuntu/" in download.url
    native = nvidia.setup(linux(), PATHS, toolkit=True)[-1].actions[0]
    assert isinstance(native, Download)
    assert "/ubuntu2404/" in native.url


def test_the_vendors_own_keyring_package_is_left_alone() -> None:
    on = wsl(packages={"cuda-keyring": "1.1-1"})
    assert not any(
        isinstance(a, Download) for a in nvidia.setup(on, PATHS, toolkit=True)[-1].actions
    )


def test_where_no_repository_is_known_it_is_said() -> None:
    on = linux(os=dataclasses.replace(UBUNTU, distro="debian", version="13"))
    found = nvidia.setup(on, PATHS, toolkit=True)[-1]
    assert (found.actions, found.by) == ((), "")
    assert "debian 13" in found.fix


def test_a_compiler_that_is_there_is_enough() -> None:
    assert commands(wsl({"cuda_toolkit": "12.8"}), toolkit=True) == []
    assert len(commands(wsl(), toolkit=True)) == 6


# --- whatever the machine


MACHINES = [
    linux(), wsl(),
    wsl({"toolkit": "", "verified": "", "libcuda": ""}, docker=BARE),
    linux({"toolkit": ""}, docker=BARE, packages={"podman": "5"}),
    wsl(packages={"nvidia-driver-535": "1"}),
]  # fmt: skip


@pytest.mark.parametrize("on", MACHINES)
def test_no_command_ever_installs_or_removes_a_driver(on: Host) -> None:
    told = [str(action) for action in actions(nvidia.setup(on, PATHS, toolkit=True))]
    for command in told:
        assert not any(nvidia.LINUX_DRIVER.fullmatch(word) for word in command.split())
        assert "cuda-drivers" not in command
        assert " remove " not in command
        assert "purge" not in command


@pytest.mark.parametrize("on", MACHINES)
def test_every_step_has_a_way_out_and_every_command_its_name(on: Host) -> None:
    for one in [*nvidia.card(on), *nvidia.containers(on, PATHS)]:
        assert one.fix
        assert bool(one.by) is bool(one.actions)


def test_every_tag_means_a_cuda_that_is_described() -> None:
    for reference in ("v0.33.0", "v0.33.0-cu129", "v0.20.0-cu130", "v0.19.1", "v0.6.1.post2"):
        assert tables.cuda.of_image(f"docker.io/vllm/vllm-openai:{reference}@sha256:{'a' * 64}")
    for reference in ("vllm/vllm-openai:latest", "vllm/vllm-openai-cpu:v0.33.0", "x/y:1", ""):
        assert tables.cuda.of_image(reference) is None
    assert nvidia_containers.in_use(linux()) == GOOD.verified
