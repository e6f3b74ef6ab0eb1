"""A folder of wheels that this machine's pip is configured with."""

from pathlib import Path

import pytest

from lifecycle.facts import wheels
from lifecycle.shell import Output, Shell


class Configured(Shell):
    """pip's configuration, without pip."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def read(self, *argv: str, **_: object) -> Output:
        assert argv[1:4] == ("-m", "pip", "config")
        return self._output


def test_the_configured_folder_is_found(tmp_path: Path) -> None:
    assert wheels.look(Configured(Output(0, f"'{tmp_path}'\n")), "python") == tmp_path


@pytest.mark.parametrize(
    "output",
    [Output(1, "", "No such key"), Output(127, ""), Output(0, "/absent\n"), Output(0, "\n")],
)
def test_nothing_configured_or_no_such_folder_is_none(output: Output) -> None:
    assert wheels.look(Configured(output), "python") is None


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert wheels.look(Configured(Output(0, "/absent")), "python") == tmp_path
