"""What compose is given, and when an image counts as being here."""

import dataclasses
import json
from pathlib import Path

import pytest

from lifecycle import tables
from lifecycle.host import Docker, Host, Weights
from lifecycle.step import Command, PullImage, WriteFile
from lifecycle.steps import docker, serve, serve_arguments
from tests.unit import golden
from tests.unit.given import KEY, LOCAL_IMAGE, PATHS, backend, host, missing

DOCKER = backend(RUNTIME="docker")
DIGEST = "sha256:" + "a" * 64


def with_images(*images: str) -> Host:
    return host(docker=Docker("26.1", "2.26", "", frozenset(images)))


def test_an_engine_with_the_image_needs_nothing() -> None:
    assert missing(docker.steps(DOCKER, host(), PATHS), host()) == {}


def test_an_engine_that_does_not_answer_is_told_and_only_a_person_can_help() -> None:
    on = host(docker=Docker(problem="permission denied on the socket"))
    engine, *_ = docker.steps(DOCKER, on, PATHS)
    assert engine.missing(on) == "permission denied on the socket"
    assert (engine.actions, "--runtime venv" in engine.fix) == ((), True)


def test_without_any_image_the_pinned_one_is_pulled() -> None:
    first, *others = (row.pinned for row in tables.serving.images("cpu") if row.fetchable)
    pinned = first
    *_, image = docker.steps(DOCKER, with_images(), PATHS)
    assert image.actions == (PullImage(pinned, tuple(others)),)
    assert image.missing(with_images(pinned)) == ""


@pytest.mark.parametrize(
    ("wanted", "here"),
    [
        ("mine:1", "mine:1"),
        ("mine", "mine:latest"),
        (f"mine@{DIGEST}", f"mine@{DIGEST}"),
        (f"mine:1@{DIGEST}", f"mine@{DIGEST}"),
    ],
)
def test_an_image_is_recognised_however_it_is_written(wanted: str, here: str) -> None:
    on = with_images(here)
    assert missing(docker.steps(backend(RUNTIME="docker", IMAGE=wanted), on, PATHS), on) == {}


def test_an_image_with_another_digest_is_another_image() -> None:
    on = with_images("mine:1", f"mine@{DIGEST}")
    other = f"mine:1@sha256:{'b' * 64}"
    assert missing(docker.steps(backend(RUNTIME="docker", IMAGE=other), on, PATHS), on)


@pytest.mark.parametrize("cores", [2, 16])
def test_compose_is_given_what_is_on_file(cores: int) -> None:
    given = docker.environment(DOCKER, PATHS, host(cores)) | {"VLLM_API_KEY": "(a secret)"}
    lines = [f"{key}={text}" for key, text in sorted(given.items())]
    command = docker.up_command(DOCKER, PATHS, host(cores))
    golden.matches(f"compose-cpu-{cores}-cores.txt", "\n".join([*lines, "", *command]) + "\n")


def test_the_key_travels_in_the_environment_of_compose_and_nowhere_else() -> None:
    given = docker.environment(DOCKER, PATHS, host())
    assert [key for key, text in given.items() if KEY in text] == ["VLLM_API_KEY"]


@pytest.mark.parametrize(
    ("path", "root", "inside"),
    [
        ("/m/mine", "/m/mine", "/models/mine"),
        ("/hub/models--a--b/snapshots/1", "/hub/models--a--b", "/models/models--a--b/snapshots/1"),
    ],
)
def test_the_model_is_mounted_so_that_its_links_resolve(path: str, root: str, inside: str) -> None:
    on = host(weights=Weights(Path(path), Path(root), 1))
    given = docker.environment(DOCKER, PATHS, on)
    assert given["MODEL_SOURCE"] == root
    assert given["MODEL_TARGET"] == f"/models/{Path(root).name}"
    assert given["VLLM_ARGS"].startswith(f"{inside} --host 0.0.0.0 --port 8000 ")


def test_a_name_with_spaces_stays_one_argument() -> None:
    given = docker.environment(backend(SERVED_NAME="my model"), PATHS, host())
    assert "--served-model-name 'my model'" in given["VLLM_ARGS"]


def test_the_container_runs_as_the_user_who_types() -> None:
    on = host(os=dataclasses.replace(host().os, user="501:20"))
    assert docker.environment(DOCKER, PATHS, on)["RUN_AS"] == "501:20"


def test_a_start_remembers_the_launch_before_it_starts_anything() -> None:
    made = docker.start(DOCKER, PATHS, host(), serve.launched(DOCKER, host()))
    kinds = [type(action) for action in made]
    assert kinds == [WriteFile, WriteFile, WriteFile, Command]
    assert [a.mode for a in made if isinstance(a, WriteFile)] == [0o644, 0o600, 0o644]


def test_the_folder_that_is_mounted_as_cache_is_made_before() -> None:
    made = docker.start(DOCKER, PATHS, host(), serve.launched(DOCKER, host()))
    source = docker.environment(DOCKER, PATHS, host())["CACHE_SOURCE"]
    assert str(next(a.path for a in made if isinstance(a, WriteFile)).parent) == source


def test_caches_are_kept_apart_by_image_and_card() -> None:
    mine = backend(RUNTIME="docker", IMAGE=f"127.0.0.1:5000/mine:1@{DIGEST}")
    folder = docker.cache(mine, PATHS, host())
    assert str(folder) == f"/data/cache/vllm-docker/127.0.0.1-5000-mine-1-sha256-{'a' * 12}/cpu"
    assert docker.cache(DOCKER, PATHS, host()).parent != folder.parent


def test_every_variable_of_the_server_is_passed_through_by_its_name_alone() -> None:
    text = docker.environment_file(DOCKER, host())
    names = json.loads(text)["services"]["vllm"]["environment"]
    assert set(names) == set(serve_arguments.environment(DOCKER, host()))
    assert names == [name for name in names if "=" not in name]


def test_the_launch_names_the_image() -> None:
    assert serve.launched(DOCKER, host()).settings["IMAGE"] == LOCAL_IMAGE
    assert "IMAGE" not in serve.launched(backend(), host()).settings
