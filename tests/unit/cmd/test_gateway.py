"""What the gateway's commands say of backends that they cannot take as they are."""

import pytest

from lifecycle import http, report
from lifecycle.cmd import choose
from lifecycle.cmd import gateway as commands
from tests.unit.given import Checkout

FAR = "GPU=cuda\nENDPOINT={}\nMODEL=tiny\n"


@pytest.fixture
def here(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A checkout whose backends list two models, one of an odd name."""
    monkeypatch.setattr(choose, "ROOT", checkout.root)
    monkeypatch.setattr(http, "model_lengths", lambda _url, _key: {"tiny": 0, 'a "quoted" one': 0})
    return checkout


def members(here: Checkout) -> list[str]:
    return [one.name for one in commands._members(here.paths)]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_gateway_is_no_backend_of_its_own(
    host: str, here: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    here.secrets("GATEWAY_PORT=9080\n")
    here.env("self", FAR.format(f"http://{host}:9080"))
    here.env("far", FAR.format(f"http://{host}:9090"))
    found = members(here)
    assert "far" in found
    assert "self" not in found
    assert f"left out: self: http://{host}:9080 is the gateway itself" in capsys.readouterr().err


def test_a_model_that_is_not_let_in_is_told(
    here: Checkout, capsys: pytest.CaptureFixture[str]
) -> None:
    here.env("far", FAR.format("http://far:8000"))
    members(here)
    said = capsys.readouterr().err
    assert """left out: 'a "quoted" one', of far""" in said
    assert "SERVED_NAME" in said


def test_of_many_models_the_first_are_shown() -> None:
    assert report.shortened(["a", "b"]) == "a, b"
    assert report.shortened(map(str, range(1000))) == "0, 1, 2, 3, 4, 5, 6, 7 and 992 more"
