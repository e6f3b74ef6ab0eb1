"""`/proc/cpuinfo` as recorded, per architecture."""

import os
from pathlib import Path

import pytest

from lifecycle.facts import cpu
from lifecycle.host import Cpu
from lifecycle.machine import Replay

RECORDED = Path(__file__).parent / "cpu"


@pytest.mark.parametrize(
    ("file", "model", "has", "lacks"),
    [
        ("xeon-avx512", "Intel(R) Xeon(R) Processor", {"avx2", "avx512f"}, {"asimd"}),
        ("arm64", "", {"asimd"}, {"avx2", "bf16"}),
        ("old-no-avx2", "Intel(R) Core(TM) i5-3470 CPU @ 3.20GHz", {"avx"}, {"avx2"}),
    ],
)
def test_a_recorded_processor(file: str, model: str, has: set[str], lacks: set[str]) -> None:
    found = cpu.parse((RECORDED / f"{file}.txt").read_text(), (0, 1))
    assert (found.model, found.allowed) == (model, (0, 1))
    assert has <= found.flags
    assert not lacks & found.flags


@pytest.mark.parametrize("text", ["", "no colon\n", "flags\n", ": x\n"])
def test_an_unreadable_description_is_an_unknown_processor(text: str) -> None:
    assert cpu.parse(text, (0,)) == Cpu(allowed=(0,))


def test_only_the_cores_we_may_use_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {7, 2}, raising=False)
    assert cpu.allowed() == (2, 7)


def test_without_affinity_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert cpu.allowed() == (0, 1, 2)


def test_a_look_never_raises() -> None:
    assert cpu.look(Replay({})).flags == frozenset()
