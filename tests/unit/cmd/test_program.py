"""What `inv` cannot make out of a command line: what was wrong, the nearest name, what to type."""

import copy

import invoke
import pytest
from invoke import ParseError

from lifecycle.cmd.program import Program
from lifecycle.errors import ConfigError
from tasks import namespace

Captured = pytest.CaptureFixture[str]


def program() -> Program:
    # Invoke takes the help of a task's arguments out of it when it reads them.
    return Program(copy.deepcopy(namespace))


def run(line: str) -> int | str | None:
    with pytest.raises(SystemExit) as end:
        program().run(line.split())
    return end.value.code


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("upp", "there is no command upp\n→ Did you mean ./inv up? All commands: ./inv --list"),
        ("qqq", "there is no command qqq\n→ All commands: ./inv --list"),
        ("--help upp", "there is no command upp\n→ Did you mean ./inv up?"),
        ("--list qqq", "there is no command qqq\n→ All commands: ./inv --list"),
        ("up stray", "there is no command stray\n  what follows inv up is an option of it, or"),
        (
            "up --modle x",
            "inv up has no option --modle\n→ Did you mean --model? Its options: ./inv up --help",
        ),
        ("--dryy up", "inv has no option --dryy\n→ Did you mean --dry? Its options: ./inv --help"),
        ("up --model", "--model needs a value\n→ Its options: ./inv up --help"),
        ("key.add", "inv key.add needs NAME\n→ Its options: ./inv key.add --help"),
        ("switch x --max-model-len abc", "'abc' is not a whole number\n→ Its options: ./inv "),
        ("--list-depth abc up", "'abc' is not a whole number\n→ Its options: ./inv "),
    ],
)
def test_what_cannot_be_made_out_is_one_clear_error(line: str, told: str, capsys: Captured) -> None:
    assert run(f"inv {line}") == ConfigError.exit_code
    out, err = capsys.readouterr()
    assert err.startswith(f"✗ {told}")
    assert err.count("✗") == 1
    assert out == ""


@pytest.mark.parametrize("said", ["'x' is ambiguous when given after an optional-value flag"])
def test_other_words_of_invokes_are_shown_as_they_are(
    said: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def odd(_: object) -> None:
        raise ParseError(said)

    monkeypatch.setattr(invoke.Program, "parse_tasks", odd)
    assert run("inv up") == ConfigError.exit_code
    assert capsys.readouterr().err == f"✗ {said}\n→ All commands: ./inv --list\n"


def test_a_bug_is_not_taken_for_a_slip(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(invoke.Program, "parse_tasks", broken)
    with pytest.raises(ValueError, match="a bug"):
        program().run(["inv", "up"])


def test_help_and_lists_are_no_errors(capsys: Captured) -> None:
    for line in ("inv", "inv --help", "inv --help up", "inv up --help", "inv --list gateway"):
        assert run(line) == 0
    out, err = capsys.readouterr()
    assert "Usage: inv" in out
    assert err == ""
