"""A distinctive key is in no command line, no file but `.env`, and nothing that could be logged."""

from collections.abc import Iterable

import pytest

from lifecycle.backend import Backend
from lifecycle.host import Host, Venv, Weights
from lifecycle.runtimes import launch
from lifecycle.step import Action, Command, Step, WriteFile
from lifecycle.steps import docker, secrets, serve, venv
from tests.unit.given import KEY, MODEL, PATHS, TOOLS, actions, backend, host, running

TOKEN = "hf_distinctive9Xw2"
SECRETS = (KEY, TOKEN)
ABSENT = Weights(MODEL, MODEL, problem="absent")
BARE = host(venv=Venv(), weights=ABSENT, api_key="", secrets_mode=0)
OLD = running(backend(VLLM_API_KEY="sk-older"), phase="failed")


def wanted(runtime: str) -> Backend:
    return backend(RUNTIME=runtime, HF_TOKEN=TOKEN)


def plan(runtime: str, on: Host) -> list[Step]:
    one = wanted(runtime)
    return [
        *secrets.steps(PATHS, f"HF_TOKEN={TOKEN}\n", KEY),
        *serve.prepare(one, PATHS, on, TOOLS),
        *serve.start(one, PATHS, on),
    ]


def holding(texts: Iterable[object]) -> list[str]:
    return [str(text) for text in texts if any(secret in str(text) for secret in SECRETS)]


HOSTS = {"bare": BARE, "prepared": host(), "replacing": host(server=OLD, api_key=KEY)}


@pytest.fixture(params=[(r, h) for r in ("venv", "docker") for h in HOSTS], ids="-".join)
def steps(request: pytest.FixtureRequest) -> list[Step]:
    runtime, machine = request.param
    return plan(runtime, HOSTS[machine])


@pytest.fixture
def acts(steps: list[Step]) -> list[Action]:
    return list(actions(steps))


def test_no_command_line_holds_a_secret(acts: list[Action]) -> None:
    words = [word for a in acts if isinstance(a, Command) for word in (*a.argv, a.cwd)]
    assert holding(words) == []
    assert words


def test_only_the_secrets_file_holds_a_secret_and_it_is_private(acts: list[Action]) -> None:
    files = [action for action in acts if isinstance(action, WriteFile)]
    secret = [file for file in files if holding([file.text])]
    assert [(file.path, file.mode) for file in secret] == [(PATHS.secrets, 0o600)]
    assert len(files) > 1


def test_nothing_that_can_be_printed_shows_a_secret(steps: list[Step], acts: list[Action]) -> None:
    assert holding(map(str, acts)) == []
    assert holding(map(repr, acts)) == []
    assert holding(f"{step!r} {step.name} {step.fix}" for step in steps) == []


def test_in_the_environment_of_a_command_only_the_key_is_secret(acts: list[Action]) -> None:
    given = [item for a in acts if isinstance(a, Command) for item in a.env.items()]
    assert {key for key, text in given if holding([text])} == {"VLLM_API_KEY"}
    assert TOKEN not in [text for _, text in given]


def test_generated_files_hold_no_secret() -> None:
    for runtime in ("venv", "docker"):
        assert holding([launch.text(serve.launched(wanted(runtime), host()))]) == []
    assert holding([venv.configuration(wanted("venv"), PATHS, host())]) == []
    assert holding(venv.command(wanted("venv"), PATHS, host())) == []


def test_compose_gets_the_key_under_its_own_name_only() -> None:
    given = docker.environment(wanted("docker"), PATHS, host())
    assert given.pop("VLLM_API_KEY") == KEY
    assert holding(given.values()) == []


def test_what_was_looked_at_shows_no_secret() -> None:
    on = host(server=running(wanted("venv")))
    assert holding([on, repr(on), wanted("venv"), repr(wanted("venv"))]) == []
