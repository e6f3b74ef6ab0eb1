"""`inv verify`: asks, shows and keeps the verdict; broken answers are a failure."""

import json

import pytest
from invoke import Context

from lifecycle.cmd import verify
from lifecycle.host import Answers, Sanity
from lifecycle.runtimes import known_answers
from tests.unit.cmd.world import DRY, OLD, World, ends

Captured = pytest.CaptureFixture[str]
SANE = Answers(Sanity.SANE, "", (), 13.9, 13.9, checked=5)
BROKEN = Answers(Sanity.BROKEN, "it writes '!!!!'", ("a cause: a fix",), checked=5)


@pytest.fixture(autouse=True)
def answering(world: World) -> World:
    world.answers[OLD] = SANE
    return world


def test_a_sane_server_is_told_with_its_figures(world: World, capsys: Captured) -> None:
    verify.verify(Context())
    assert capsys.readouterr().out == "answers   are sane (perplexity 13.9, reference 13.9)\n"
    assert known_answers.read(world.run, since=0) == SANE


def test_broken_answers_are_kept_and_a_failure(world: World, capsys: Captured) -> None:
    world.answers[OLD] = BROKEN
    ends(8, lambda: verify.verify(Context()))
    said = capsys.readouterr().err
    assert "its answers are broken\n  it writes '!!!!'\n→ perhaps a cause: a fix" in said
    assert known_answers.read(world.run, since=0) == BROKEN


def test_json_is_for_programs_broken_or_not(world: World, capsys: Captured) -> None:
    verify.verify(Context(), json=True)
    assert json.loads(capsys.readouterr().out) == {
        "backend": "cpu", "answers": "sane", "reason": "", "causes": [], "perplexity": 13.9,
        "reference_perplexity": 13.9, "checked": 5,
    }  # fmt: skip
    world.answers[OLD] = BROKEN
    ends(8, lambda: verify.verify(Context(), json=True))
    assert json.loads(capsys.readouterr().out)["answers"] == "broken"


def test_a_dry_run_asks_nothing(world: World, capsys: Captured) -> None:
    before = known_answers.read(world.run, since=0)
    verify.verify(DRY)
    assert capsys.readouterr().out == f"ask {OLD} at http://127.0.0.1:8000 for known answers\n"
    assert known_answers.read(world.run, since=0) == before


def test_no_server_is_one_message(world: World, capsys: Captured) -> None:
    world.down()
    ends(3, lambda: verify.verify(Context()))
    assert "no server runs" in capsys.readouterr().err
