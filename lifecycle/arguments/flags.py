"""Every flag of `vllm serve`, a table for each recorded version (`data/vllm_flags/`)."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from lifecycle.paths import DATA

FOLDER = DATA / "vllm_flags"
FILE = DATA / "vllm_arguments.toml"
"""What the recorded tables do not say."""


@dataclass(frozen=True)
class Flag:
    """One flag.

    Args:
        name: its long spelling, which everything else calls it by.
        type: `switch` (no value), `text`, `word` (text; case and `-`/`_` are the same), `int`,
            `count` (an int, or `8k`, `4G`), `count or auto`, `float`, `json` (an object),
            `json list`, `text or json`, `object` (JSON that fits `fields`), `adapters`
            (`name=path`, or JSON).
        also: other spellings; `off`: spellings that switch it off.
        optional: the word `None`, or nothing, is a value, too.
        many: takes one value or more.
        alone: may stand without its value.
        each: every time it is given counts, not the last alone.
        choices: the only values; none means any.
        fields: keys of its object and what each holds: `int`, `float`, `bool`, `text` or `any`;
            none means any.
        least: its smallest value; None where nobody looked for one.
    """

    name: str
    type: str
    also: tuple[str, ...] = ()
    off: tuple[str, ...] = ()
    optional: bool = False
    many: bool = False
    alone: bool = False
    each: bool = False
    choices: tuple[str | int, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    least: int | None = None

    @property
    def spellings(self) -> tuple[str, ...]:
        """All that vLLM's parser takes for it."""
        return (self.name, *self.also, *self.off)


@dataclass(frozen=True)
class Table:
    """The flags of one version.

    Args:
        names: lists that vLLM looks values up in: `attention`, `quantization`, `reasoning`, `tool`.
        exact: it was recorded from this version, and not from the nearest one.
    """

    version: str
    flags: Mapping[str, Flag]
    names: Mapping[str, tuple[str, ...]]
    exact: bool = True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


RECORDED = tuple(sorted((file.stem for file in FOLDER.glob("*.toml")), key=_numbers))
"""Versions with a table, oldest first."""
NEWEST = RECORDED[-1]


def table(version: str) -> Table:
    """The flags of a version; of the nearest older one where it was not recorded.

    Args:
        version: "" when unknown.
    """
    if version in RECORDED:
        return _load(version)
    older = [one for one in RECORDED if _numbers(one) <= _numbers(version)]
    nearest = NEWEST if not version else (older or RECORDED[:1])[-1]
    return replace(_load(nearest), version=version, exact=False)


def _frozen(value: Any) -> Any:  # noqa: ANN401 - whatever TOML holds
    return tuple(value) if isinstance(value, list) else value


@cache
def _load(version: str) -> Table:
    read = tomllib.loads((FOLDER / f"{version}.toml").read_text(encoding="utf-8"))
    least = tomllib.loads(FILE.read_text(encoding="utf-8"))["least"]
    flags = {
        name: Flag(name=name, least=least.get(name), **{k: _frozen(v) for k, v in row.items()})
        for name, row in read["flags"].items()
    }
    return Table(version, flags, {name: tuple(words) for name, words in read["names"].items()})
