"""`/proc/meminfo` as recorded."""

from pathlib import Path

import pytest

from lifecycle.facts import memory
from lifecycle.host import Memory

RECORDED = Path(__file__).parent / "memory" / "meminfo.txt"


def test_recorded_figures_become_bytes() -> None:
    assert memory.parse(RECORDED.read_text()) == Memory(24684096 * 1024, 21287228 * 1024)


@pytest.mark.parametrize("text", ["", "MemTotal:\n", "MemTotal: many kB\n", "nonsense"])
def test_unreadable_figures_are_zeros(text: str) -> None:
    assert memory.parse(text) == Memory()
