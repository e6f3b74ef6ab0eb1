"""Wherever the state lives and whatever the locale is: no traceback, and a known exit code."""

import os
from pathlib import Path

import pytest

from tests.integration import every_command
from tests.integration.checkout import Checkout
from tests.integration.every_command import COMMANDS, Case, all_of, typed

POSIX = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
NARROW = {"COLUMNS": "40", "LC_ALL": "C", "HOME": None}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return every_command.copy(tmp_path_factory.mktemp("places"))


def homes(folder: Path) -> list[str]:
    """Some that can be used, some that cannot."""
    (folder / "a file").write_text("")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere")
    return [
        str(folder / "with spaces, ☃ and 100 %(here)s"),
        str(folder.joinpath(*["l" * 200] * 4)),
        str(folder / ("n" * 300)),
        str(folder / "a file"),
        str(folder / "loop"),
        str(folder / "dangling"),
        "/proc",
        "/dev/null/below",
        os.fsdecode(bytes(folder) + b"/\xff\xfe"),
        "",
        "relative",
        "~nobody-of-that-name/home",
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_ends_well_in_an_odd_place(made: Checkout, name: str, tmp_path: Path) -> None:
    odd = homes(tmp_path)
    turn = COMMANDS.index(name)
    cases = [
        Case(typed(name), env={"LIFECYCLE_HOME": odd[0], **POSIX}),
        Case(typed(name), env={"LIFECYCLE_HOME": odd[3 + turn % 2 * 3], **NARROW}),
        Case(typed(name), env={"LIFECYCLE_HOME": odd[turn % len(odd)], **NARROW}),
    ]
    ends = all_of(made, cases)
    assert not [end.problem for end in ends if end.problem]


@pytest.mark.parametrize("name", ["key.add", "status"])
def test_each_odd_place_is_met(made: Checkout, name: str, tmp_path: Path) -> None:
    cases = [Case(typed(name), env={"LIFECYCLE_HOME": home}) for home in homes(tmp_path)]
    ends = all_of(made, cases)
    assert not [end.problem for end in ends if end.problem]
