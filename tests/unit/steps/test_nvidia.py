"""NVIDIA cards: what a look foresees, and what no command ever does."""

import dataclasses

import pytest

from lifecycle import tables
from lifecycle.host import GIB, Adapter, Gpu, Host, Windows, Wsl
from lifecycle.steps import nvidia, nvidia_containers
from tests.unit.given import PATHS, actions, missing
from tests.unit.steps.nvidia_hosts import (
    BARE,
    GOOD,
    RTX_4090,
    UBUNTU,
    commands,
    linux,
    step,
    without,
    wsl,
)


@pytest.mark.parametrize("on", [linux(), wsl()], ids=["linux", "wsl"])
def test_on_a_good_machine_nothing_is_missing(on: Host) -> None:
    plan = [*nvidia.card(on), *nvidia.containers(on, PATHS)]
    assert missing((one for one in plan if not one.advice), on) == {}
    assert commands(on) == []
    told = step(nvidia.card(on), "nvidia.answers").found(on)
    assert told == (
        "NVIDIA GeForce RTX 4090 24.0 GiB (23.0 free), compute capability 8.9; "
        "driver 580.95.05 runs CUDA up to 13.0"
    )


# --- the card


def test_what_a_card_keeps_to_itself_is_not_called_full() -> None:
    on = linux({"gpus": (dataclasses.replace(RTX_4090, free=None),)})
    assert "24.0 GiB (how much is free is not told)" in step(
        nvidia.card(on), "nvidia.answers"
    ).found(on)


def silent(on: Host) -> tuple[str, str]:
    """Why no card answers, and what to do; the rest cannot be judged then."""
    steps = nvidia.card(on)
    assert steps[-1].id == "nvidia.answers"
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
    assert list(missing(nvidia.card(on), on)) == ["wsl.kernel"]


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
    found = step(nvidia.card(on), "nvidia.no_linux_driver")
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
    why = step(nvidia.card(on, image), "nvidia.kernels").missing(on)
    assert told in why
    assert bool(why) is bool(told)


def test_of_several_cards_the_best_counts() -> None:
    old = Gpu("NVIDIA GeForce GTX 1080", 8 * GIB, 8 * GIB, "6.1")
    on = linux({"gpus": (old, RTX_4090)})
    assert missing(nvidia.card(on), on) == {}


PLAIN, CUDA_12 = (
    next(row.reference for row in tables.serving.images("cuda") if row.cuda == cuda)
    for cuda in ("13.0", "12.9")
)


@pytest.mark.parametrize(
    ("driver", "cuda", "image", "ways"),
    [
        ("576.88", "12.9", PLAIN, ("driver 580 or newer in Windows", "IMAGE=", "-cu129@sha256:")),
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
    found = step(nvidia.card(on, image), "nvidia.driver")
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
    found = step(nvidia.card(on, CUDA_12), "nvidia.driver")
    assert (found.missing(on) == "") is runs
    assert not runs or "not tried by us" in found.found(on)
    assert step(nvidia.card(on, PLAIN), "nvidia.driver").missing(on)


@pytest.mark.parametrize("image", ["", CUDA_12])
def test_a_driver_that_stops_at_cuda_12_runs_the_other_build(image: str) -> None:
    on = wsl({"driver": "576.88", "cuda": "12.9"})
    found = step(nvidia.card(on, image), "nvidia.driver")
    assert (found.missing(on), found.found(on)) == ("", "driver 576.88, needed: 575")
    names = [one.id for one in nvidia.setup(on, PATHS, toolkit=False, image=image)]
    assert "nvidia.driver" in names


@pytest.mark.parametrize(("driver", "old"), [("575.64", True), ("580.00", False), ("", False)])
def test_a_driver_that_hides_its_cuda_is_judged_by_its_number(driver: str, *, old: bool) -> None:
    on = linux({"driver": driver, "cuda": ""})
    assert bool(step(nvidia.card(on, PLAIN), "nvidia.driver").missing(on)) is old


def test_windows_libraries_are_made_known_to_the_loader() -> None:
    # cases wsl-libcuda-oserror, wsl-no-adapters (libdxcore.so is found by the loader as well)
    on = wsl({"libcuda": ""})
    (command,) = commands(on)
    assert command.startswith("sudo sh -c 'echo /usr/lib/wsl/lib > /etc/ld.so.conf.d/")
    assert step(nvidia.containers(on, PATHS), "nvidia.libcuda").by == "inv setup.cuda"


def test_on_linux_a_missing_libcuda_is_only_advice() -> None:
    on = linux({"libcuda": ""})
    found = step(nvidia.containers(on, PATHS), "nvidia.libcuda")
    assert (found.advice, found.actions) == (True, ())
    assert found.missing(on)
    assert commands(on) == []


def test_the_table_is_quoted_with_its_mark_of_trust() -> None:
    on = linux()
    assert "not tried by us" in step(nvidia.card(on), "nvidia.known").found(on)
    unheard = linux(without(name="NVIDIA Something", arch="13.0"))
    assert "inv doctor --record" in step(nvidia.card(unheard), "nvidia.known").fix
    assert step(nvidia.card(unheard), "nvidia.known").missing(unheard)


def test_every_row_of_the_table_can_be_shown() -> None:
    for row in tables.cards.cards("nvidia"):
        name = f"NVIDIA {row.names[0]}" if row.names else "NVIDIA Graphics Device"
        on = linux(without(name=name, arch=row.arch))
        assert nvidia.VERIFIED[row.verified] in step(nvidia.card(on), "nvidia.known").found(on)
        kernels = step(nvidia.card(on), "nvidia.kernels").missing(on)
        assert bool(kernels) is (not row.images), row


def test_turing_has_no_bfloat16() -> None:
    # cases cuda-bf16-cc75, cuda-fa2-turing
    on = linux(without(name="Tesla T4", arch="7.5"))
    found = step(nvidia.card(on), "nvidia.bfloat16")
    assert found.advice
    assert "7.5" in found.missing(on)
    assert "DTYPE=float16" in found.fix


def test_memory_held_by_the_desktop_is_told() -> None:
    on = linux(without(free=20 * GIB))
    found = step(nvidia.card(on), "nvidia.memory_free")
    assert found.advice
    assert "4.0 of 24.0 GiB are taken" in found.missing(on)
    full = linux(without(free=0))
    assert "24.0 of 24.0 GiB are taken" in found.missing(full)
    unknown = linux(without(free=None))
    assert step(nvidia.card(unknown), "nvidia.memory_free").missing(unknown) == ""


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
