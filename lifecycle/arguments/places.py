"""Files, folders and repos that arguments name: where they stand, and how to put others there."""

import copy
import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from lifecycle.arguments.flags import FILE, table
from lifecycle.arguments.parser import Arguments

ON_HUB = {"adapter", "model", "tokenizer", "config"}
"""Kinds that may be a repo of the hub."""


@dataclass(frozen=True)
class Place:
    """One place that an argument names.

    Args:
        flag: as a person finds it: `--speculative-config.model`.
        word: what stands there: a path, or a repo.
        holds: see `data/vllm_arguments.toml`.
        revision: of a repo; "" for its main branch.
    """

    flag: str
    word: str
    holds: str
    revision: str = ""

    @property
    def path(self) -> bool:
        """It is a path, and no repo."""
        return self.holds not in ON_HUB or self.word.startswith(("/", "~", "."))


@dataclass(frozen=True)
class _Row:
    flag: str
    holds: str
    key: str = ""
    words: tuple[str, ...] = field(default=())
    revision: str = ""


@dataclass(frozen=True)
class _Slot:
    """Where in a value a place stands."""

    place: Place
    holder: Any
    key: Any


@cache
def _rows() -> tuple[_Row, ...]:
    rows = tomllib.loads(FILE.read_text(encoding="utf-8"))["place"]
    return tuple(_Row(**{**row, "words": tuple(row.get("words", ()))}) for row in rows)


def places(arguments: Arguments) -> list[Place]:
    """Every place, in the order of the flags."""
    return [slot.place for slot in _slots(dict(arguments.values))]


def with_places(arguments: Arguments, other: Callable[[Place], str]) -> Arguments:
    """The same arguments with other words for their places.

    Args:
        other: the word to put where a place stands.
    """
    values = copy.deepcopy(dict(arguments.values))
    for slot in list(_slots(values)):
        slot.holder[slot.key] = other(slot.place)
    return Arguments(values, arguments.unknown)


def words(arguments: Arguments, version: str) -> tuple[str, ...]:
    """Arguments written out again, each flag by its name."""
    known = table(version).flags
    said: list[str] = []
    for name, value in arguments.values.items():
        flag = known[name]
        if flag.type == "switch":
            said.append(name if value else flag.off[0])
        elif value is True:
            said.append(name)
        elif flag.each:
            said += [part for one in value for part in (name, _text(one))]
        elif isinstance(value, list) and flag.many:
            said += [name, *(_text(one) for one in value)]
        else:
            text = _text(value)
            said += [f"{name}={text}"] if text.startswith("-") else [name, text]
    return (*said, *arguments.unknown)


def _text(value: Any) -> str:  # noqa: ANN401 - whatever a flag holds
    if isinstance(value, dict) and set(value) == {"name", "path"} and "," not in value["path"]:
        return f"{value['name']}={value['path']}"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _slots(values: dict[str, Any]) -> Iterator[_Slot]:
    for row in _rows():
        value = values.get(row.flag)
        if value is None:
            continue
        if not row.key:
            yield from _slot(row, row.flag, values, row.flag, values)
        for held in value if isinstance(value, list) else [value]:
            if row.key and isinstance(held, dict):
                yield from _in(held, row, values)


def _in(held: dict[str, Any], row: _Row, values: dict[str, Any]) -> Iterator[_Slot]:
    *path, last = row.key.split(".")
    for key in path:
        held = held.get(key) or {}
        if not isinstance(held, dict):
            return
    for key in list(held) if last == "*" else [last]:
        name = row.flag if last == "path" else f"{row.flag}.{'.'.join([*path, key])}"
        yield from _slot(row, name, held, key, values)


def _slot(
    row: _Row, name: str, holder: dict[str, Any], key: str, values: dict[str, Any]
) -> Iterator[_Slot]:
    word = holder.get(key)
    if not isinstance(word, str) or not word or word in row.words or "://" in word:
        return
    if row.holds == "model" and _in_the_program(word, holder):
        return
    beside = values if row.revision.startswith("--") else holder
    revision = str(beside.get(row.revision) or "") if row.revision else ""
    yield _Slot(Place(name, word, row.holds, revision), holder, key)


def _in_the_program(word: str, holder: dict[str, Any]) -> bool:
    """A proposer's class by its import path (`_is_custom_proposer_path`), and no model."""
    parts = word.split(".")
    dotted = "/" not in word and len(parts) > 1 and all(part.isidentifier() for part in parts)
    return dotted or holder.get("method") == "custom_class"
