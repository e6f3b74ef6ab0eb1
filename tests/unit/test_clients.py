"""Who has a key: kept as digests, changed one at a time, never lost by a slip."""

import hashlib
import json
import re
import stat
import threading
from pathlib import Path

import pytest

from lifecycle import clients
from lifecycle.clients import Client
from lifecycle.errors import ConfigError
from lifecycle.shell import Shell

ALICE = Client("alice", hashlib.sha256(b"a").hexdigest(), "2026-11-22", 60, 4)
BOB = Client("bob", hashlib.sha256(b"b").hexdigest(), "2026-11-22")
GOOD = {"name": "alice", "sha256": "a" * 64, "made": "2026-11-22", "rate": 0, "in_flight": 0}


def test_a_key_is_random_marked_and_long() -> None:
    keys = {clients.new_key() for _ in range(100)}
    assert len(keys) == 100
    for key in keys:
        assert re.fullmatch(r"sk-vllm-[A-Za-z0-9_-]{43}", key)


def test_what_is_kept_of_a_key_is_its_sha256() -> None:
    assert clients.digest("abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_without_a_file_nobody_has_a_key(tmp_path: Path) -> None:
    assert clients.read(tmp_path) == []


def test_what_is_added_is_read_again_by_name_from_a_private_file(tmp_path: Path) -> None:
    clients.add(tmp_path, Shell(), BOB)
    clients.add(tmp_path, Shell(), ALICE)
    assert clients.read(tmp_path) == [ALICE, BOB]
    assert stat.S_IMODE(clients.file(tmp_path).stat().st_mode) == 0o600
    assert clients.file(tmp_path) == tmp_path / "gateway" / "clients.json"


def test_a_dry_run_writes_nothing_and_says_what(tmp_path: Path) -> None:
    said: list[str] = []
    clients.add(tmp_path, Shell(dry=True, say=said.append), ALICE)
    assert said == [f"write {clients.file(tmp_path)} (mode 600)"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["alice", "ALICE"])
def test_a_name_is_taken_whatever_its_case(tmp_path: Path, name: str) -> None:
    clients.add(tmp_path, Shell(), ALICE)
    with pytest.raises(ConfigError) as error:
        clients.add(tmp_path, Shell(), Client(name, "b" * 64, "2026-11-23"))
    assert "inv key.rotate alice" in error.value.fix
    assert clients.read(tmp_path) == [ALICE]


@pytest.mark.parametrize(
    "name", ["", "-x", ".x", "a b", "a/b", "a\n", 'a"', "é", "a" * 65, "{{x}}"]
)
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="no name for a client"):
        clients.add(tmp_path, Shell(), Client(name, "b" * 64, "2026-11-23"))
    assert not clients.file(tmp_path).exists()


@pytest.mark.parametrize("limit", [-1, 1_000_001])
def test_a_limit_out_of_range_is_refused(tmp_path: Path, limit: int) -> None:
    for one in (
        Client("a", "b" * 64, "2026-11-23", limit),
        Client("a", "b" * 64, "2026-11-23", 0, limit),
    ):
        with pytest.raises(ConfigError, match="must be a whole number"):
            clients.add(tmp_path, Shell(), one)


def test_another_key_keeps_name_and_limits(tmp_path: Path) -> None:
    clients.add(tmp_path, Shell(), ALICE)
    clients.rotate(tmp_path, Shell(), Client("alice", "c" * 64, "2026-12-01"))
    assert clients.read(tmp_path) == [Client("alice", "c" * 64, "2026-12-01", 60, 4)]


def test_one_less(tmp_path: Path) -> None:
    clients.add(tmp_path, Shell(), ALICE)
    clients.add(tmp_path, Shell(), BOB)
    clients.remove(tmp_path, Shell(), "alice")
    assert clients.read(tmp_path) == [BOB]
    clients.remove(tmp_path, Shell(), "bob")
    assert clients.read(tmp_path) == []


def test_somebody_unknown_is_told_who_is_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        clients.remove(tmp_path, Shell(), "carol")
    assert error.value.why == "nobody has a key yet"
    assert error.value.fix == "inv key.add carol"
    clients.add(tmp_path, Shell(), ALICE)
    with pytest.raises(ConfigError) as error:
        clients.rotate(tmp_path, Shell(), Client("carol", "c" * 64, "2026-12-01"))
    assert "alice" in error.value.why


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "{}",
        "{}x",
        '{"alice": 1}',
        '["alice"]',
        json.dumps([{**GOOD, "key": "sk-vllm-x"}]),
        json.dumps([{"name": "alice"}]),
        json.dumps([{**GOOD, "sha256": "abc"}]),
        json.dumps([{**GOOD, "sha256": None}]),
        json.dumps([{**GOOD, "name": 7}]),
        json.dumps([{**GOOD, "made": "yesterday"}]),
        json.dumps([{**GOOD, "rate": True}]),
        json.dumps([{**GOOD, "rate": 1.5}]),
        json.dumps([{**GOOD, "in_flight": "4"}]),
        json.dumps([GOOD, {**GOOD, "name": "Alice"}]),
    ],
)
def test_a_broken_file_is_never_taken_for_an_empty_one(tmp_path: Path, text: str) -> None:
    place = clients.file(tmp_path)
    place.parent.mkdir()
    place.write_text(text)
    for act in (
        lambda: clients.read(tmp_path),
        lambda: clients.add(tmp_path, Shell(), BOB),
        lambda: clients.remove(tmp_path, Shell(), "alice"),
    ):
        with pytest.raises(ConfigError) as error:
            act()
        assert str(place) in error.value.what
        assert "inv key.add" in error.value.fix
    assert place.read_text() == text


def test_bytes_that_are_no_text_are_a_broken_file(tmp_path: Path) -> None:
    place = clients.file(tmp_path)
    place.parent.mkdir()
    place.write_bytes(b"[\xff]")
    with pytest.raises(ConfigError):
        clients.read(tmp_path)


def test_many_at_once_are_all_kept(tmp_path: Path) -> None:
    names = {f"client-{number}" for number in range(12)}
    some = [Client(name, "d" * 64, "2026-11-22") for name in names]
    threads = [threading.Thread(target=clients.add, args=(tmp_path, Shell(), one)) for one in some]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert {one.name for one in clients.read(tmp_path)} == names
