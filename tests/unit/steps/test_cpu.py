"""The processor and the memory, from literals and recorded files."""

from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.errors import NotSupported
from lifecycle.facts import cpu as facts
from lifecycle.host import GIB, Cpu, Memory, Os, Server, Weights
from lifecycle.steps import cpu
from tests.unit import facts as recorded
from tests.unit.given import backend, host, missing, running

FOLDER = Path(str(recorded.__file__)).parent / "cpu"


@pytest.mark.parametrize(
    ("file", "machine", "why"),
    [
        ("xeon-avx512", "x86_64", ""),
        ("arm64", "aarch64", ""),
        ("old-no-avx2", "x86_64", "the processor is missing avx2"),
    ],
)
def test_recorded_processors_are_judged_by_their_flags(file: str, machine: str, why: str) -> None:
    found = facts.parse((FOLDER / f"{file}.txt").read_text(), (0, 1))
    flags, *_ = cpu.steps(backend())
    assert flags.missing(host(cpu=found, os=Os(machine=machine))) == why


def test_unreadable_flags_are_no_reason_to_refuse() -> None:
    assert missing(cpu.steps(backend()), host(cpu=Cpu(allowed=(0,)))) == {}


def test_an_unknown_architecture_is_not_supported() -> None:
    flags, *_ = cpu.steps(backend())
    with pytest.raises(NotSupported, match="riscv64"):
        flags.missing(host(os=Os(machine="riscv64")))


def test_memory_is_needed_for_weights_cache_and_processes() -> None:
    need = cpu.memory_need(backend(KV_CACHE_GIB="2"), host())
    assert need == 272_600_000 + 2 * GIB + 3 * GIB


STRANGE = backend(MODEL="/data/strange")
"""Of a kind the planner cannot read: it says nothing about its memory."""


@pytest.mark.parametrize(
    ("memory", "server", "short"),
    [
        (Memory(16 * GIB, 12 * GIB), Server(), False),
        (Memory(16 * GIB, 2 * GIB), Server(), True),
        (Memory(16 * GIB, 2 * GIB), running(STRANGE), False),
        (Memory(), Server(), False),
    ],
    ids=["enough", "too little", "the server has it", "unknown"],
)
def test_free_memory_decides_unless_our_server_holds_it(
    memory: Memory, server: Server, *, short: bool
) -> None:
    on = host(memory=memory, server=server)
    assert bool(missing(cpu.steps(STRANGE), on)) is short


def test_what_the_planner_knows_is_left_to_it() -> None:
    assert missing(cpu.steps(backend()), host(memory=Memory(4 * GIB, 2 * GIB))) == {}


def test_too_little_memory_is_told_in_parts() -> None:
    told = missing(cpu.steps(STRANGE), host(memory=Memory(4 * GIB, 2 * GIB)))
    (why,) = told.values()
    assert why == (
        "4.3 GiB of RAM are needed (model 0.3, KV cache 1.0, processes 3.0); "
        "2.0 of 4.0 GiB are free"
    )


def test_a_model_that_is_not_here_has_no_size() -> None:
    on = host(memory=Memory(4 * GIB, 2 * GIB), weights=Weights())
    (why,) = missing(cpu.steps(STRANGE), on).values()
    assert "(KV cache 1.0, processes 3.0), without the model" in why
    assert "wslconfig" not in why
    (under_wsl,) = missing(cpu.steps(STRANGE), replace(on, os=replace(on.os, wsl=True))).values()
    assert "memory= in %UserProfile%\\.wslconfig" in under_wsl


def test_a_slow_processor_is_advice_and_stops_nothing() -> None:
    _, fast, *_ = cpu.steps(backend())
    slow = host(cpu=Cpu("old", (0,), frozenset({"avx2"})))
    assert fast.advice
    assert fast.missing(slow) == "the processor is missing avx512f"
    assert fast.missing(host()) == ""


@pytest.mark.parametrize(
    ("dtype", "flag", "slow"),
    [
        ("bfloat16", "avx512f", True),
        ("auto", "avx512f", True),  # the model's own type
        ("float32", "avx512f", False),
        ("bfloat16", "avx512_bf16", False),
        ("bfloat16", "amx_bf16", False),
    ],
)
def test_a_type_that_the_processor_emulates_is_advised_against(
    dtype: str, flag: str, *, slow: bool
) -> None:
    wanted = backend(DTYPE=dtype)
    on = host(cpu=Cpu("a processor", (0,), frozenset({"avx2", flag})))
    (step,) = [step for step in cpu.steps(wanted) if step.id == "cpu.bfloat16"]
    assert step.advice
    assert bool(step.missing(on)) == slow
    assert "DTYPE=float32 into env/cpu.env" in step.fix


def test_a_processor_beside_a_card_needs_avx() -> None:
    masked = host(cpu=Cpu("QEMU", (0,), frozenset({"sse4_2"})))
    assert cpu.beside_gpu().missing(masked) == "the processor is missing avx"
    assert cpu.beside_gpu().missing(host(cpu=Cpu("a", (0,), frozenset({"avx"})))) == ""
