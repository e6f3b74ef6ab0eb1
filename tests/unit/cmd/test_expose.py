"""What `inv expose` refuses before it looks at anything."""

from typing import Any

import pytest
from invoke import Exit, MockContext

from lifecycle.cmd import choose
from lifecycle.cmd import expose as expose_module
from lifecycle.errors import ConfigError
from tests.unit.given import Checkout


def test_a_gateway_that_listens_on_the_tailnet_is_not_shown_to_it_a_second_time(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(choose, "ROOT", checkout.root)
    monkeypatch.setenv("LIFECYCLE_HOME", str(checkout.paths.home))
    monkeypatch.setenv("GATEWAY_BIND", "tailnet")
    with pytest.raises(Exit) as ended:
        expose_module.expose(MockContext())
    assert ended.value.code == ConfigError.exit_code
    said = capsys.readouterr().err
    assert "GATEWAY_BIND=tailnet" in said
    assert "inv gateway.status" in said


@pytest.mark.parametrize("command", [expose_module.expose, expose_module.unexpose])
def test_two_answers_to_one_question_are_refused(
    command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exit) as ended:
        command(MockContext(), backend="cpu", gateway=True)
    assert ended.value.code == ConfigError.exit_code
    assert "exclude each other" in capsys.readouterr().err
