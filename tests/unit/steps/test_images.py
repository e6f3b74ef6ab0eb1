"""Which image a machine gets, and what is said of it."""

import dataclasses

import pytest

from lifecycle import tables
from lifecycle.steps import docker, images
from tests.unit.given import backend, host
from tests.unit.gpu_hosts import CUDA, ROCM, RTX_4090, SERVERS, WSL, machine

CUDA_13, CUDA_12 = (row.reference for row in tables.serving.images("cuda"))
OFFICIAL, AMDS, LEGACY = (row.reference for row in tables.serving.images("rocm"))


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("wsl2-4090", CUDA_13),
        ("wsl2-4090-cuda-12", CUDA_12),
        ("native-7900xtx", OFFICIAL),
        ("native-7900xtx-amds-image", AMDS),
        ("wsl2-7900xtx-rocdxg", OFFICIAL),
        ("wsl2-7900xtx-legacy", LEGACY),
    ],
)
def test_the_image_is_chosen_by_driver_card_and_recipe(name: str, image: str) -> None:
    wanted, on = SERVERS[name]
    assert docker.image(wanted, on) == image
    found = docker.image_row(wanted, on)
    assert found
    assert found.reference == image


@pytest.mark.parametrize("cuda", ["12.9", ""])
def test_a_driver_that_stops_at_cuda_12_gets_that_build_although_the_other_is_here(
    cuda: str,
) -> None:
    # "" is a driver that hides its CUDA and is judged by its number.
    old = dataclasses.replace(RTX_4090, driver="576.88", cuda=cuda)
    on = machine(WSL, {"images": frozenset({CUDA_13})}, nvidia=old)
    assert docker.image(CUDA, on) == CUDA_12


def test_an_older_build_that_is_here_already_serves_a_newer_driver() -> None:
    on = machine(WSL, {"images": frozenset({CUDA_12})}, nvidia=RTX_4090)
    assert docker.image(CUDA, on) == CUDA_12


def test_what_a_person_names_is_taken_as_it_is() -> None:
    wanted = backend("4090", GPU="cuda", IMAGE="mine:1")
    on = SERVERS["wsl2-4090"][1]
    assert (docker.image(wanted, on), docker.image_row(wanted, on)) == ("mine:1", None)
    known = backend("4090", GPU="cuda", IMAGE=CUDA_12)
    row = docker.image_row(known, on)
    assert row
    assert row.cuda == "12.9"


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ("", "vllm-serve"),
        (AMDS, "shell"),
        ("rocm/vllm:a_tag_of_tomorrow", "shell"),
        ("rocm/vllm-dev:another", "shell"),
        ("vllm/vllm-openai-rocm:v0.40.0", "vllm-serve"),
        ("mine:1", "vllm-serve"),
    ],
)
def test_what_an_image_starts_is_told_by_its_row_or_its_kin(image: str, kind: str) -> None:
    wanted = backend("7900xtx", GPU="rocm", IMAGE=image)
    assert images.entrypoint(wanted, SERVERS["native-7900xtx"][1]) == kind


@pytest.mark.parametrize("name", SERVERS)
def test_what_nobody_has_run_is_said_in_one_line(name: str) -> None:
    wanted, on = SERVERS[name]
    first = docker.notes(wanted, on)[0]
    assert first.startswith(f"unverified: we have not run {docker.image(wanted, on)} on ")
    assert images.card(wanted, on) in first
    assert ("WSL2" in first) == on.os.wsl
    assert "\n" not in first


def test_of_a_processor_there_is_nothing_to_say() -> None:
    assert docker.notes(backend(RUNTIME="docker"), host()) == []


def test_a_tag_that_may_not_exist_is_told() -> None:
    wanted, on = SERVERS["wsl2-4090-cuda-12"]
    assert any("was not established" in note for note in docker.notes(wanted, on))


def test_an_image_of_another_rocm_than_the_legacy_one_is_told() -> None:
    _, on = SERVERS["wsl2-7900xtx-legacy"]
    assert images.belongs(on, docker.image_row(ROCM, on)) == ""
    other = backend("7900xtx", GPU="rocm", IMAGE=AMDS)
    told = images.belongs(on, docker.image_row(other, on))
    assert told == "the image has ROCm 10.1.0, this machine 6.4.2"
