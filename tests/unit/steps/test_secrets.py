"""The root `.env`: a key is added, nothing is lost, nobody else reads it."""

import pytest

from lifecycle.step import WriteFile
from lifecycle.steps import secrets
from tests.unit.given import KEY, PATHS, host


def written(text: str, new_key: str) -> WriteFile:
    (step,) = secrets.steps(PATHS, text, new_key)
    (action,) = step.actions
    assert isinstance(action, WriteFile)
    return action


def why(api_key: str, mode: int) -> str:
    (step,) = secrets.steps(PATHS, "", "")
    return step.missing(host(api_key=api_key, secrets_mode=mode))


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_key_needs_nothing(mode: int) -> None:
    assert why(KEY, mode) == ""


def test_a_key_of_the_process_needs_no_file() -> None:
    assert why(KEY, 0) == ""


def test_without_a_key_one_is_made() -> None:
    assert why("", 0) == why("", 0o600) == "there is no API key yet"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_told(mode: int) -> None:
    assert why(KEY, mode) == ".env can be read by other users"


@pytest.mark.parametrize("before", ["", "HF_TOKEN=x\n", "# mine\nHF_TOKEN=x"])
def test_a_key_is_added_below_what_is_there(before: str) -> None:
    file = written(before, KEY)
    assert file.text.startswith(before)
    assert file.text.splitlines()[-1] == f"VLLM_API_KEY={KEY}"
    assert file.text.splitlines()[: len(before.splitlines())] == before.splitlines()


def test_a_file_that_only_has_to_be_closed_keeps_its_text() -> None:
    assert written("HF_TOKEN=x\n", "").text == "HF_TOKEN=x\n"


def test_the_file_is_the_owners_alone() -> None:
    assert (written("", KEY).path, written("", KEY).mode) == (PATHS.secrets, 0o600)
