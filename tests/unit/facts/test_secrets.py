"""The root `.env`: its mode and its key."""

import pytest

from lifecycle.facts import secrets
from tests.unit.given import KEY, Checkout


def test_no_file_has_no_mode_and_no_key(checkout: Checkout) -> None:
    assert (secrets.mode(checkout.paths), secrets.key(checkout.paths)) == (0, "")


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_mode_is_that_of_the_file(checkout: Checkout, mode: int) -> None:
    checkout.secrets("").paths.secrets.chmod(mode)
    assert secrets.mode(checkout.paths) == mode


def test_the_key_is_that_of_the_file(checkout: Checkout) -> None:
    checkout.secrets(f"# mine\nVLLM_API_KEY={KEY}\n")
    assert secrets.key(checkout.paths) == KEY


def test_the_key_of_the_process_wins(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.secrets("VLLM_API_KEY=other\n")
    monkeypatch.setenv("VLLM_API_KEY", KEY)
    assert secrets.key(checkout.paths) == KEY


@pytest.mark.parametrize("content", ["MODLE=x\n", b"\xff\xfe"])
def test_a_broken_file_has_no_key_and_does_not_raise(
    checkout: Checkout, content: str | bytes
) -> None:
    assert secrets.key(checkout.secrets(content).paths) == ""
