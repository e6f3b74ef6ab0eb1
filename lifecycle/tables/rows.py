"""Rows of `data/*.toml` as typed values."""

import tomllib
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar

from lifecycle.paths import DATA

Row = TypeVar("Row")


@cache
def load_file(file: str) -> dict[str, Any]:
    """A whole file of `data/`, read once."""
    return tomllib.loads((DATA / file).read_text(encoding="utf-8"))


def load_rows(kind: type[Row], file: str, table: str) -> list[Row]:
    """Every row of a table of one file."""
    # Rows carry more than the program reads: source, checked, why. People read those.
    wanted = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    rows = load_file(file)[table]
    return [kind(**{k: v for k, v in row.items() if k in wanted}) for row in rows]


def load_row(kind: type[Row], file: str, table: str) -> Row:
    """A table that is one row."""
    wanted = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{k: v for k, v in load_file(file)[table].items() if k in wanted})
