"""The recorded tables."""

import pytest

from lifecycle import tables
from lifecycle.arguments import NEWEST, RECORDED, table
from lifecycle.arguments.flags import _numbers

TYPES = {"switch", "text", "word", "int", "count", "count or auto", "float", "json", "json list",
         "text or json", "object", "adapters"}  # fmt: skip


@pytest.mark.parametrize("version", RECORDED)
def test_a_table_is_whole(version: str) -> None:
    known = table(version)
    assert known.exact
    assert len(known.flags) > 280
    assert {flag.type for flag in known.flags.values()} == TYPES
    assert all(known.names[name] for name in ("attention", "quantization", "reasoning", "tool"))
    spellings = [word for flag in known.flags.values() for word in flag.spellings]
    assert len(spellings) == len(set(spellings))
    assert known.flags["--tensor-parallel-size"].also == ("-tp",)
    assert known.flags["--speculative-config"].fields["num_speculative_tokens"] == "int"


def test_every_engine_has_its_table() -> None:
    ours = {tables.serving.engine(gpu).version for gpu in ("cpu", "cuda")}
    assert ours <= set(RECORDED)


def test_the_newest_is_by_number() -> None:
    assert max(RECORDED, key=_numbers) == NEWEST


@pytest.mark.parametrize(
    ("version", "like"),
    [
        ("", NEWEST),
        ("0.9.2", "0.29.0"),
        ("0.31.5", "0.29.0"),
        ("0.32.1", "0.32.0"),
        ("1.0", NEWEST),
    ],
)
def test_of_others_the_nearest_older_one_is_taken(version: str, like: str) -> None:
    found = table(version)
    assert not found.exact
    assert found.flags == table(like).flags
