"""What a newcomer's `.env` becomes."""

from pathlib import Path

import pytest

from lifecycle.steps.onboard import TOKEN, asks_for_token, with_token

EXAMPLE = (Path(__file__).parents[3] / ".env.example").read_text(encoding="utf-8")
TOKENS = "hf_abcDEF123"


def test_a_new_file_is_the_example_with_the_token_in_its_place() -> None:
    made = with_token(None, EXAMPLE, TOKENS)
    assert made == EXAMPLE.replace("# HF_TOKEN=", f"HF_TOKEN={TOKENS}")
    assert f"\nHF_TOKEN={TOKENS}\n" in made


def test_without_a_token_it_is_the_example() -> None:
    assert with_token(None, EXAMPLE, "") == EXAMPLE


@pytest.mark.parametrize(
    "text", ["HF_TOKEN=mine", "export HF_TOKEN=mine", "# HF_TOKEN=\nVLLM_API_KEY=k\n", EXAMPLE]
)
def test_who_has_decided_is_not_asked_and_nothing_changes(text: str) -> None:
    assert not asks_for_token(text)
    assert with_token(text, EXAMPLE, TOKENS) == text


@pytest.mark.parametrize("text", ["", "VLLM_API_KEY=k\n", "PORT=9000 # mine", "MY_HF_TOKEN=x\n"])
@pytest.mark.parametrize("token", ["", TOKENS])
def test_a_file_of_ones_own_stays_as_it_is_and_gets_lines_at_its_end(text: str, token: str) -> None:
    assert asks_for_token(text)
    after = with_token(text, EXAMPLE, token)
    assert after.startswith(text)
    added = after.removeprefix(text).splitlines()
    assert added[-1] == (f"HF_TOKEN={token}" if token else "# HF_TOKEN=")
    assert not asks_for_token(after), "the same question must not come again"


@pytest.mark.parametrize("said", ["$(id)", "a b c d e f", "short", "hf_abc\ndef_ghi", 'hf_"12345'])
def test_what_is_no_token_is_known(said: str) -> None:
    assert not TOKEN.fullmatch(said)
