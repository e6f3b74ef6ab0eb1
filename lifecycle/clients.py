"""The people with a key to the gateway: names, digests of their keys, and their limits.

A key is 256 random bits, so that a plain SHA-256 of it is enough: there is no password to guess.
The gateway compares digests too, and so no file on this machine holds a key.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path

from lifecycle.errors import ConfigError
from lifecycle.shell import Shell, nothing
from lifecycle.step import WriteFile

PREFIX = "sk-vllm-"
"""So that scanners for leaked secrets, and people, know one when they see it."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DIGEST = re.compile(r"[0-9a-f]{64}")
Tell = Callable[[str], None]
"""Hears why there is a wait."""
MOST = 1_000_000
"""A limit above this is a slip."""


@dataclass(frozen=True)
class Client:
    """One of them.

    Args:
        name: as the gateway's log names who asked.
        sha256: digest of the key, in hex. The key itself is kept nowhere.
        made: the day of the key, as 2026-11-22.
        rate: requests a minute; 0 for no limit.
        in_flight: requests at once; 0 for no limit.
    """

    name: str
    sha256: str
    made: str
    rate: int = 0
    in_flight: int = 0


def file(home: Path) -> Path:
    """Where they are kept, mode 600."""
    return home / "gateway" / "clients.json"


def digest(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def read(home: Path) -> list[Client]:
    """Everybody with a key, by name; nobody when there is no file.

    Raises:
        ConfigError: the file is not what we wrote. It is never taken for an empty one: that would
            lock everybody out, and the next key would overwrite them.
    """
    place = file(home)
    try:
        text = place.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except UnicodeDecodeError as error:
        raise _broken(place, str(error)) from None
    try:
        rows = json.loads(text)
        found = [Client(**row) for row in rows]
    except (ValueError, TypeError, RecursionError) as error:
        raise _broken(place, str(error)) from None
    if not isinstance(rows, list):
        raise _broken(place, "it is no list")
    for client in found:
        problem = _problem(client)
        if problem:
            raise _broken(place, problem)
    names = [client.name.lower() for client in found]
    if len(set(names)) < len(names):
        raise _broken(place, "a name stands there twice")
    return found


def add(home: Path, shell: Shell, client: Client, tell: Tell = nothing) -> None:
    """One more; two at once are both kept.

    Raises:
        ConfigError: the name is taken, or is no name; a limit is no limit.
    """
    problem = _problem(client)
    if problem:
        raise ConfigError(problem)

    def change(known: list[Client]) -> list[Client]:
        taken = _named(known, client.name)
        if taken:
            raise ConfigError(
                f"{taken.name} has a key already, of {taken.made}",
                why="it is kept as a digest only, and cannot be shown again",
                fix=f"A new key instead of the old one: inv key.rotate {taken.name}",
            )
        return [*known, client]

    _change(home, shell, change, tell)


def rotate(home: Path, shell: Shell, fresh: Client, tell: Tell = nothing) -> None:
    """Another key for the same client and limits; the old one ends.

    Args:
        fresh: the name, and the new key's digest and day.

    Raises:
        ConfigError: nobody has that name.
    """

    def change(known: list[Client]) -> list[Client]:
        old = _require(known, fresh.name)
        new = replace(old, sha256=fresh.sha256, made=fresh.made)
        return [new if one is old else one for one in known]

    _change(home, shell, change, tell)


def remove(home: Path, shell: Shell, name: str, tell: Tell = nothing) -> None:
    """One less; the key ends.

    Raises:
        ConfigError: nobody has that name.
    """

    def change(known: list[Client]) -> list[Client]:
        old = _require(known, name)
        return [one for one in known if one is not old]

    _change(home, shell, change, tell)


def new_key() -> str:
    """A fresh key: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def _change(
    home: Path, shell: Shell, change: Callable[[list[Client]], list[Client]], tell: Tell
) -> None:
    with shell.lock(file(home).with_name("clients.lock"), tell):
        shell.write(WriteFile(file(home), _text(change(read(home))), mode=0o600))


def _text(some: Iterable[Client]) -> str:
    rows = [asdict(client) for client in sorted(some, key=lambda one: one.name.lower())]
    return json.dumps(rows, indent=2) + "\n"


def _named(known: list[Client], name: str) -> Client | None:
    # Whatever the case: alice and Alice would be one person's two names in a log.
    return next((one for one in known if one.name.lower() == name.lower()), None)


def _require(known: list[Client], name: str) -> Client:
    found = _named(known, name)
    if found is None:
        names = ", ".join(one.name for one in known)
        raise ConfigError(
            f"nobody here is called {name}",
            why=f"there are keys for: {names}" if names else "nobody has a key yet",
            fix="" if names else f"inv key.add {name}",
        )
    return found


def _problem(client: Client) -> str:
    if not isinstance(client.name, str) or not NAME.fullmatch(client.name):
        return (
            f"{client.name!r} is no name for a client: letters, digits, '-', '_' and '.', up to "
            "64 of them, a letter or digit first"
        )
    if not isinstance(client.sha256, str) or not DIGEST.fullmatch(client.sha256):
        return f"{client.name}: not a valid SHA-256 digest"
    if not isinstance(client.made, str) or not _is_day(client.made):
        return f"{client.name}: not a valid date"
    for word, limit in (("rate", client.rate), ("in_flight", client.in_flight)):
        # A bool is an int to Python.
        if type(limit) is not int or not 0 <= limit <= MOST:
            return f"{word} of {client.name} must be a whole number from 0 (no limit) to {MOST}"
    return ""


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _broken(place: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{place} cannot be read",
        why=why,
        fix="Mend it, or move it away and make every key anew with inv key.add: without it nobody "
        "has one.",
    )
