"""Which compose files a server is made of, and what must be there for it."""

import dataclasses
from pathlib import Path

import pytest

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.errors import HostNotReady
from lifecycle.host import Disk, Host, Weights
from lifecycle.step import PullImage
from lifecycle.steps import docker, overlays, serve_arguments
from tests.unit import golden
from tests.unit.given import PATHS, backend, missing
from tests.unit.gpu_hosts import CUDA, NATIVE, ROCM, RTX_4090, SERVERS, WSL, machine

NOT_HERE = "is not on this machine"
every_server = pytest.mark.parametrize("name", SERVERS)
OURS = ("VLLM_ARGS", "VLLM_API_KEY", "PORT", "MODEL_SOURCE", "MODEL_TARGET", "RUN_AS")
"""The same on every machine: tests of the CPU server hold them."""


@every_server
def test_files_and_values_are_those_on_file(name: str) -> None:
    wanted, on = SERVERS[name]
    given = docker.environment(wanted, PATHS, on) | overlays.values(wanted, on)
    served = set(serve_arguments.environment(wanted, on)) - set(overlays.values(wanted, on))
    told = [f"{k}={v}" for k, v in sorted(given.items()) if k not in {*OURS, *served}]
    golden.matches(
        f"compose-{name}.txt", "\n".join([*overlays.files(wanted, on), "", *told]) + "\n"
    )


@every_server
def test_a_machine_that_has_all_of_it_only_lacks_the_image(name: str) -> None:
    wanted, on = SERVERS[name]
    plan = [step for step in docker.steps(wanted, on, PATHS) if not step.advice]
    lacking = missing(plan, on)
    image = tables.serving.by_tag(docker.image(wanted, on))
    assert list(lacking) == ([] if image in on.docker.images else ["image.present"])


@every_server
def test_up_does_nothing_but_pull(name: str) -> None:
    wanted, on = SERVERS[name]
    # As bare as can be: whatever is missing now would be mended by somebody.
    bare = dataclasses.replace(
        on,
        nvidia=dataclasses.replace(on.nvidia, toolkit="", libcuda=""),
        amd=dataclasses.replace(on.amd, rocm="", bridge="", rocdxg="", hsa=""),
        docker=dataclasses.replace(on.docker, runtimes=frozenset(), devices=frozenset()),
    )
    kinds = {type(action) for step in docker.steps(wanted, bare, PATHS) for action in step.actions}
    assert kinds == {PullImage}


def first_missing(wanted: Backend, on: Host) -> tuple[str, str, str]:
    plan = docker.steps(wanted, on, PATHS)
    step = next(step for step in plan if not step.advice and step.missing(on))
    return step.id, step.missing(on), step.fix


def test_a_card_without_nvidias_runtime_is_refused_before_docker_does() -> None:
    on = machine(NATIVE, {"runtimes": frozenset({"runc"})}, nvidia=RTX_4090)
    name, _, fix = first_missing(CUDA, on)
    assert (name, fix) == ("nvidia.runtime", "inv setup.cuda")


def test_docker_desktop_brings_the_runtime_along() -> None:
    on = machine(WSL, {"desktop": True}, nvidia=RTX_4090)
    assert overlays.files(CUDA, on) == ["vllm.yml", "gpu.yml", "nvidia.yml"]
    assert first_missing(CUDA, on)[1].endswith(NOT_HERE)


def test_a_driver_too_old_for_any_image_stops_it_before_any_download() -> None:
    old = dataclasses.replace(RTX_4090, driver="531.79", cuda="12.1")
    name, why, fix = first_missing(CUDA, machine(WSL, {"runtimes": {"nvidia"}}, nvidia=old))
    assert name == "nvidia.driver"
    assert "driver 531.79" in why
    assert "driver 580 or newer in Windows" in fix
    assert "no build for this driver" in fix


@pytest.mark.parametrize(
    ("name", "change", "file"),
    [
        ("wsl2-7900xtx-rocdxg", {"bridge": ""}, "/opt/rocm/lib/librocdxg.so"),
        ("wsl2-7900xtx-legacy", {"hsa": ""}, "/opt/rocm/lib/libhsa-runtime64.so.1"),
        ("wsl2-7900xtx-rocdxg", {"dxcore": False}, "/usr/lib/wsl/lib/libdxcore.so"),
    ],
)
def test_a_file_to_mount_that_is_missing_is_named(
    name: str, change: dict[str, object], file: str
) -> None:
    wanted, on = SERVERS[name]
    on = dataclasses.replace(on, amd=dataclasses.replace(on.amd, **change))  # type: ignore[arg-type]
    found = [step for step in overlays.steps(wanted, on) if not step.advice]
    (step,) = (step for step in found if step.missing(on))
    assert step.missing(on) == f"{file} is missing"
    assert step.fix.startswith("inv setup.rocm" if "rocm" in file else "In Windows: wsl --update")


def test_librocdxg_before_its_table_is_mounted_without_it() -> None:
    wanted, on = SERVERS["wsl2-7900xtx-rocdxg-1.1"]
    assert "amd-wsl-dids.yml" not in overlays.files(wanted, on)
    assert "DIDS" not in overlays.values(wanted, on)


@pytest.mark.parametrize("name", ["wsl2-7900xtx-rocdxg", "wsl2-7900xtx-legacy", "native-7900xtx"])
def test_docker_desktops_engine_which_sees_no_file_of_rocms_is_refused(name: str) -> None:
    wanted, on = SERVERS[name]
    desktop = dataclasses.replace(on, docker=dataclasses.replace(on.docker, desktop=True))
    told, why, fix = first_missing(wanted, desktop)
    assert told == "mount.own_engine"
    assert "Docker Desktop" in why
    assert "setup.docker --source=distribution" in fix
    (step,) = [step for step in overlays.steps(wanted, desktop) if step.id == told]
    assert (step.failure, step.failure.exit_code) == (HostNotReady, 3)


def test_amds_amd_smi_for_wsl_goes_into_the_container_where_it_is() -> None:
    wanted, on = SERVERS["wsl2-7900xtx-amd-smi"]
    assert "amd-wsl-smi.yml" in overlays.files(wanted, on)
    assert overlays.values(wanted, on)["AMD_SMI"] == "/opt/rocm-wsl"
    _, without = SERVERS["wsl2-7900xtx-rocdxg"]
    assert "amd-wsl-smi.yml" not in overlays.files(wanted, without)


def test_a_pair_of_bridge_and_image_that_is_not_known_is_told() -> None:
    _, on = SERVERS["wsl2-7900xtx-rocdxg"]
    tag = "rocm/vllm:rocm10.1.0_ubuntu24.04_py3.14_pytorch_2.13.0_vllm_0.29.0"
    wanted = backend("7900xtx", GPU="rocm", RUNTIME="docker", IMAGE=tag)
    (step,) = (step for step in overlays.steps(wanted, on) if step.missing(on))
    assert "librocdxg 1.2.2 is not known to go with its ROCm 10.1.0" in step.missing(on)
    assert step.advice
    assert any("10.1.0" in note for note in docker.notes(wanted, on))


def test_groups_that_nobody_could_read_are_left_out() -> None:
    wanted, on = SERVERS["native-7900xtx"]
    unknown = dataclasses.replace(on, amd=dataclasses.replace(on.amd, groups=()))
    assert overlays.files(wanted, unknown) == ["vllm.yml", "gpu.yml", "amd.yml"]
    assert "GPU_GROUP" not in overlays.values(wanted, unknown)


def test_a_card_that_no_image_has_kernels_for_is_refused_first() -> None:
    amd = SERVERS["native-7900xtx"][1].amd
    small = dataclasses.replace(amd.gpus[0], name="AMD Radeon RX 7600", arch="gfx1102")
    on = machine(NATIVE, amd=dataclasses.replace(amd, gpus=(small,), agents=("gfx1102",)))
    name, why, _ = first_missing(ROCM, on)
    assert name == "amd.card"
    assert "no kernels for gfx1102" in why


def on_selinux(root: str, models: str = "/data/models") -> Host:
    _, on = SERVERS["native-4090-selinux"]
    disks = {"models": Disk(Path(models)), "home": Disk(Path("/data"))}
    return dataclasses.replace(on, weights=Weights(Path(root), Path(root)), disks=disks)


@pytest.mark.parametrize(
    ("root", "models", "ours"),
    [
        ("/data/models/hub/models--a--b", "/data/models", True),
        ("/mnt/disk/models/mine", "/mnt/disk/models", True),
        ("/home/me/.cache/huggingface/hub/models--a--b", "/data/models", False),
        ("/home/me/mine", "/data/models", False),
        ("/home/me/mine", "/home/me", False),  # somebody made MODELS_DIR of a home
        ("/srv/mine", "/srv", False),
        ("/srv/mine", "/", False),
        ("/", "/data/models", False),
    ],
)
def test_only_our_own_folders_get_a_label(root: str, models: str, *, ours: bool) -> None:
    on = on_selinux(root, models)
    cpu = backend(RUNTIME="docker")
    named = overlays.files(cpu, on)
    assert "selinux.yml" in named
    assert ("selinux-model.yml" in named) is ours
    # What may not be labelled is opened without labels, and why is said.
    assert ("selinux-unlabelled.yml" in named) is not ours
    (note,) = overlays.notes(cpu, on)
    assert ("label:disable" in note) is not ours
    assert "not run by us" in note


def test_a_card_and_a_persons_template_take_the_labels_off() -> None:
    on = on_selinux("/data/models/mine")
    template = backend(RUNTIME="docker", CHAT_TEMPLATE="/home/me/mine.jinja")
    for wanted, why in ((CUDA, "nodes of graphics cards"), (template, "chat template")):
        assert "selinux-unlabelled.yml" in overlays.files(wanted, on)
        assert why in overlays.unlabelled(wanted, on)


def test_who_the_server_is_inside() -> None:
    def user(name: str) -> str:
        return docker.environment(SERVERS[name][0], PATHS, SERVERS[name][1])["RUN_AS"]

    assert user("native-4090") == "1000:1000"
    assert user("native-4090-rootless") == "0:0"
    assert user("native-4090-userns") == "1000:1000"
    for name in ("rootless", "userns"):
        wanted, on = SERVERS[f"native-4090-{name}"]
        assert any("not run by us on such an engine" in note for note in docker.notes(wanted, on))
    wanted, on = SERVERS["native-4090"]
    assert overlays.notes(wanted, on) == []
    podman = dataclasses.replace(on, docker=dataclasses.replace(on.docker, foreign=True))
    assert "Podman" in overlays.notes(wanted, podman)[0]
