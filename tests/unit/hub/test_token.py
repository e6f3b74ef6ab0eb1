"""Where the token comes from; and that it is shown nowhere."""

from pathlib import Path

import pytest
from huggingface_hub import constants

from lifecycle.errors import ConfigError
from lifecycle.hub.token import find_token
from tests.unit.given import Checkout

WRITTEN, EXPORTED, LOGGED_IN = "hf_written", "hf_exported", "hf_loggedin"


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's own token file; a developer's is out of reach."""
    file = tmp_path / "home" / "token"
    file.parent.mkdir()
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(file))
    return file


@pytest.mark.usefixtures("login")
def test_nowhere(checkout: Checkout) -> None:
    found = find_token(checkout.root, {})
    assert not found
    assert found.source == ""


def test_the_root_env_file_comes_first(checkout: Checkout, login: Path) -> None:
    login.write_text(LOGGED_IN)
    checkout.secrets(f"# mine\nHF_TOKEN={WRITTEN}\n")
    found = find_token(checkout.root, {"HF_TOKEN": EXPORTED})
    assert (found.text, found.source) == (WRITTEN, ".env:2")


def test_then_the_process_environment(checkout: Checkout, login: Path) -> None:
    login.write_text(LOGGED_IN)
    checkout.secrets("HF_TOKEN=\n")
    found = find_token(checkout.root, {"HF_TOKEN": EXPORTED})
    assert (found.text, found.source) == (EXPORTED, "process environment")


def test_then_the_hubs_own_file(checkout: Checkout, login: Path) -> None:
    login.write_text(f"{LOGGED_IN}\n")
    found = find_token(checkout.root, {})
    assert (found.text, found.source) == (LOGGED_IN, str(login))


def test_it_is_not_shown(checkout: Checkout) -> None:
    checkout.secrets(f"HF_TOKEN={WRITTEN}\n")
    assert WRITTEN not in repr(find_token(checkout.root, {}))


@pytest.mark.parametrize("bad", ["hf_two words", "hf_\u00e4", "hf_a\nX: b"])
@pytest.mark.usefixtures("login")
def test_one_that_no_header_may_hold_is_refused_unseen(checkout: Checkout, bad: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_token(checkout.root, {"HF_TOKEN": bad})
    assert "process environment" in caught.value.what
    assert bad not in f"{caught.value.what} {caught.value.why} {caught.value.fix}"
