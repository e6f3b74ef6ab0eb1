"""Which image a machine gets, and what is said of it."""

import dataclasses

import pytest

from lifecycle import tables
from lifecycle.steps import docker, images, nvidia, serve_arguments
from lifecycle.tables.serving import Image
from tests.unit.given import LOCAL_IMAGE, backend, host
from tests.unit.gpu_hosts import AMDS_IMAGE, CUDA, ROCM, RTX_4090, SERVERS, WSL, machine

CUDA_13, CUDA_12 = (
    next(row for row in tables.serving.images("cuda") if row.cuda == cuda)
    for cuda in ("13.0", "12.9")
)
OFFICIAL, *_, LEGACY = tables.serving.images("rocm")
AMDS = next(row for row in tables.serving.images("rocm") if row.reference == AMDS_IMAGE)
UNSEEN = next(row for row in tables.serving.images("cuda") if not row.seen)


def on_disk(image: Image) -> frozenset[str]:
    """How Docker lists an image that was pulled by its digest."""
    return frozenset({f"{image.repository}@{image.digest}"})


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
def test_the_image_is_chosen_by_driver_card_and_recipe(name: str, image: Image) -> None:
    wanted, on = SERVERS[name]
    assert docker.image(wanted, on) == image.pinned
    assert docker.image_row(wanted, on) == image


@pytest.mark.parametrize("gpu", ["cpu", "cuda", "rocm"])
def test_a_tag_that_nobody_has_seen_comes_after_all_that_were(gpu: str) -> None:
    rows = tables.serving.images(gpu)
    for kind in {(row.cuda, tuple(row.recipes)) for row in rows}:
        seen = [bool(row.seen) for row in rows if (row.cuda, tuple(row.recipes)) == kind]
        assert seen == sorted(seen, reverse=True)
    assert rows[0].seen


def test_a_rocm_with_a_bridge_of_its_own_is_not_given_ours() -> None:
    # ROCm/TheRock#7752: librocdxg 1.2.2 lacks hsaKmtGetDefaultHostGpu, which ROCm 10.1 asks for.
    for row in tables.serving.images("rocm"):
        known = row.rocm and tables.versions.numbers(row.rocm) < (10,)
        assert known or "wsl-rocdxg" not in row.recipes


@pytest.mark.parametrize(
    ("name", "following"),
    [
        ("wsl2-4090", ["v0.30.0", "v0.33.0", "v0.31.0-cu129", "v0.30.0-cu129"]),
        ("wsl2-4090-cuda-12", ["v0.30.0-cu129"]),
        ("wsl2-7900xtx-rocdxg", ["v0.30.0"]),
        ("wsl2-7900xtx-legacy", []),
    ],
)
def test_what_follows_an_image_that_no_registry_has_suits_the_machine_too(
    name: str, following: list[str]
) -> None:
    wanted, on = SERVERS[name]
    instead = images.instead(wanted, on)
    assert [tables.serving.by_tag(one).rpartition(":")[2] for one in instead] == following
    named = wanted.with_setting("IMAGE", "mine:1", "a test")
    assert images.instead(named, on) == []


def test_what_is_built_on_the_machine_is_asked_of_no_registry() -> None:
    wanted, on = backend(RUNTIME="docker"), host()
    assert on.docker.images == {LOCAL_IMAGE}
    bare = dataclasses.replace(on, docker=dataclasses.replace(on.docker, images=frozenset()))
    assert all("local" not in one for one in images.instead(wanted, bare))


def test_the_image_that_came_instead_is_the_one_that_is_started() -> None:
    wanted, before = SERVERS["wsl2-4090"]
    second = tables.serving.images("cuda")[1]
    came = frozenset({f"{second.repository}@{second.digest}"})
    after = dataclasses.replace(before, docker=dataclasses.replace(before.docker, images=came))
    (step,) = [one for one in docker.fetch(wanted, before) if one.phase == "pull"]
    assert step.missing(before)
    assert (step.missing(after), step.found(after)) == ("", second.reference)
    assert docker.image(wanted, after) == second.pinned
    assert serve_arguments.version(wanted, before) != serve_arguments.version(wanted, after)
    assert serve_arguments.version(wanted, after) == second.vllm


@pytest.mark.parametrize("cuda", ["12.9", ""])
def test_a_driver_that_stops_at_cuda_12_gets_that_build_although_the_other_is_here(
    cuda: str,
) -> None:
    # "" is a driver that hides its CUDA and is judged by its number.
    old = dataclasses.replace(RTX_4090, driver="576.88", cuda=cuda)
    on = machine(WSL, {"images": on_disk(CUDA_13)}, nvidia=old)
    assert docker.image(CUDA, on) == CUDA_12.pinned


def test_an_older_build_that_is_here_already_serves_a_newer_driver() -> None:
    on = machine(WSL, {"images": on_disk(CUDA_12)}, nvidia=RTX_4090)
    assert docker.image(CUDA, on) == CUDA_12.pinned


def test_what_a_person_names_is_taken_as_it_is() -> None:
    wanted = backend("4090", GPU="cuda", IMAGE="mine:1")
    on = SERVERS["wsl2-4090"][1]
    assert (docker.image(wanted, on), docker.image_row(wanted, on)) == ("mine:1", None)
    known = backend("4090", GPU="cuda", IMAGE=CUDA_12.reference)
    row = docker.image_row(known, on)
    assert row
    assert row.cuda == "12.9"


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ("", "vllm-serve"),
        (AMDS.reference, "shell"),
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
    assert first.startswith(
        f"unverified: we have not run {tables.serving.by_tag(docker.image(wanted, on))} on "
    )
    assert images.card(wanted, on) in first
    assert ("WSL2" in first) == on.os.wsl
    assert "\n" not in first


def test_of_a_processor_there_is_nothing_to_say() -> None:
    assert docker.notes(backend(RUNTIME="docker"), host()) == []


def test_a_tag_that_may_not_exist_is_told() -> None:
    _, on = SERVERS["wsl2-4090"]
    unseen = backend("4090", GPU="cuda", IMAGE=UNSEEN.reference)
    assert any("nobody we know of has seen this tag" in note for note in docker.notes(unseen, on))
    assert not any("seen this tag" in note for note in docker.notes(CUDA, on))


def test_an_image_of_another_rocm_than_the_legacy_one_is_told() -> None:
    _, on = SERVERS["wsl2-7900xtx-legacy"]
    assert images.belongs(on, docker.image_row(ROCM, on)) == ""
    other = backend("7900xtx", GPU="rocm", IMAGE=AMDS.reference)
    told = images.belongs(on, docker.image_row(other, on))
    assert told == "the image has ROCm 10.1.0, this machine 6.4.2"


@pytest.mark.parametrize("shape", ["{tag}", "{tag}@{digest}", "{name}@{digest}"])
def test_an_image_that_a_person_names_by_its_digest_is_known(shape: str) -> None:
    # `inv pull` ends with "IMAGE=name@sha256:…" for whoever wants to hold to it.
    name = shape.format(tag=CUDA_12.reference, name=CUDA_12.repository, digest=CUDA_12.digest)
    wanted, on = backend("4090", GPU="cuda", RUNTIME="docker", IMAGE=name), SERVERS["wsl2-4090"][1]
    assert docker.image_row(wanted, on) == CUDA_12
    assert serve_arguments.version(wanted, on) == CUDA_12.vllm
    old = machine(WSL, nvidia=dataclasses.replace(RTX_4090, driver="576.88", cuda="12.9"))
    driver = next(one for one in nvidia.card(old, name) if one.id == "nvidia.driver")
    assert driver.found(old) == "driver 576.88, needed: 575"
