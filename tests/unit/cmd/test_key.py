"""`inv key.*`: a key is shown once, alone, and the gateway hears of every change."""

import json
from pathlib import Path

import pytest
from invoke import Config, Context, Exit

from lifecycle import clients
from lifecycle.cmd import choose, key
from tests.unit.given import Checkout

Captured = pytest.CaptureFixture[str]
CONTEXT = Context()
DRY = Context(Config(overrides={"run": {"dry": True}}))


@pytest.fixture(autouse=True)
def home(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(choose, "places", lambda: checkout.paths)
    return checkout.paths.home


@pytest.fixture(autouse=True)
def reloads(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """One entry for each time the gateway was told; whether it was a dry run."""
    told: list[bool] = []
    monkeypatch.setattr(key, "_reload", lambda _, shell: told.append(shell.dry))
    return told


def test_the_key_stands_alone_on_stdout_and_nowhere_else(
    home: Path, capsys: Captured, reloads: list[bool]
) -> None:
    key.add(CONTEXT, "alice", rate=60, in_flight=4)
    shown = capsys.readouterr()
    fresh = shown.out.removesuffix("\n")
    assert fresh.startswith(clients.PREFIX)
    assert "\n" not in fresh
    assert "alice" in shown.err
    assert fresh not in shown.err
    (alice,) = clients.read(home)
    assert alice.sha256 == clients.digest(fresh)
    assert (alice.rate, alice.in_flight) == (60, 4)
    assert not [file for file in home.rglob("*") if file.is_file() and fresh in file.read_text()]
    assert reloads == [False]


def test_a_new_key_ends_the_old_one(home: Path, capsys: Captured, reloads: list[bool]) -> None:
    key.add(CONTEXT, "alice")
    key.rotate(CONTEXT, "alice")
    old, new = capsys.readouterr().out.splitlines()
    assert old != new
    (alice,) = clients.read(home)
    assert alice.sha256 == clients.digest(new)
    assert reloads == [False, False]


def test_a_key_that_is_taken_away_is_gone(home: Path, reloads: list[bool]) -> None:
    key.add(CONTEXT, "alice")
    key.remove(CONTEXT, "alice")
    assert clients.read(home) == []
    assert reloads == [False, False]


def test_a_dry_run_shows_no_key_and_writes_nothing(home: Path, capsys: Captured) -> None:
    key.add(DRY, "alice")
    shown = capsys.readouterr()
    assert clients.PREFIX not in shown.out + shown.err
    assert "clients.json (mode 600)" in shown.out
    assert not home.exists()


def test_a_second_key_of_one_name_is_refused(capsys: Captured) -> None:
    key.add(CONTEXT, "alice")
    with pytest.raises(Exit) as left:
        key.add(CONTEXT, "alice")
    assert left.value.code == 2
    assert "inv key.rotate alice" in capsys.readouterr().err


def test_the_list_shows_limits_and_no_digest(home: Path, capsys: Captured) -> None:
    key.add(CONTEXT, "alice", rate=60)
    key.add(CONTEXT, "bob", in_flight=2)
    capsys.readouterr()
    key.list_(CONTEXT)
    shown = capsys.readouterr().out
    assert "60 a minute" in shown
    assert "2 at once" in shown
    key.list_(CONTEXT, json=True)
    rows = json.loads(capsys.readouterr().out)["clients"]
    assert [(row["name"], row["rate"], row["in_flight"]) for row in rows] == [
        ("alice", 60, 0),
        ("bob", 0, 2),
    ]
    for one in clients.read(home):
        assert one.sha256 not in shown
        assert one.sha256 not in json.dumps(rows)


def test_an_empty_list_says_what_to_type(capsys: Captured) -> None:
    key.list_(CONTEXT)
    assert "inv key.add" in capsys.readouterr().err
