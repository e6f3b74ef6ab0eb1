"""A backend on another machine: the gateway knows it, nothing here starts it."""

import pytest

from lifecycle.cmd import choose
from lifecycle.errors import ConfigError, NotSupported
from tests.unit.given import Checkout

REMOTE = "GPU=cuda\nENDPOINT=http://workstation:8000\nMODEL=some-model\n"


@pytest.fixture
def with_remote(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    checkout.env("remote", REMOTE)
    monkeypatch.setattr(choose, "ROOT", checkout.root)
    return checkout


def test_it_needs_no_port(with_remote: Checkout) -> None:
    backend = with_remote.load("remote")
    assert (backend.elsewhere, backend.url, backend.port) == (True, "http://workstation:8000", 0)
    assert not with_remote.load("cpu").elsewhere


def test_one_here_still_does(with_remote: Checkout) -> None:
    with_remote.env("remote", "GPU=cuda\nMODEL=some-model\n")
    with pytest.raises(ConfigError, match="PORT is missing"):
        with_remote.load("remote")


@pytest.mark.parametrize(
    "text", ["workstation:8000", "http://u:p@x:1", "http://x/v1", "ftp://x", "http://x:123456"]
)
def test_an_address_is_a_host_and_a_port(with_remote: Checkout, text: str) -> None:
    with_remote.env("remote", f"GPU=cuda\nENDPOINT={text}\nMODEL=m\n")
    with pytest.raises(ConfigError, match="must be written like"):
        with_remote.load("remote")


@pytest.mark.usefixtures("with_remote")
def test_it_is_no_backend_of_this_machine() -> None:
    assert [one.name for one in choose.readable()] == ["cpu"]
    assert [one.name for one in choose.everywhere()] == ["cpu", "remote"]


@pytest.mark.usefixtures("with_remote")
def test_to_start_it_is_refused_with_its_address() -> None:
    with pytest.raises(NotSupported, match="workstation:8000") as refused:
        choose.to_start("remote")
    assert "on that machine" in refused.value.fix


def test_keys_of_others_belong_in_the_root_env(with_remote: Checkout) -> None:
    with_remote.env("remote", f"{REMOTE}REMOTE_KEYS=remote=sk-secret-xyz\n")
    with pytest.raises(ConfigError) as refused:
        with_remote.load("remote")
    assert "sk-secret-xyz" not in f"{refused.value.what}{refused.value.why}{refused.value.fix}"
    with_remote.env("remote", REMOTE).secrets("REMOTE_KEYS=no key at all\n")
    with pytest.raises(ConfigError) as wrong:
        with_remote.load("remote")
    assert "no key" not in wrong.value.what
