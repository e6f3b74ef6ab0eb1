"""Whether a model fits: which card counts, what is refused, and what is ours to choose."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from lifecycle.errors import ModelUnavailable
from lifecycle.host import GIB, Amd, Gpu, Host, Memory, Nvidia, Os, Server, Weights
from lifecycle.planner.fit import FITS, FITS_WITH
from lifecycle.steps import fit, serve
from tests.unit.given import PATHS, TOOLS, backend, host, missing, running

RTX_4090 = Gpu("NVIDIA GeForce RTX 4090", 24 * GIB, 23 * GIB, "8.9")
RTX_3060 = Gpu("NVIDIA GeForce RTX 3060", 12 * GIB, 12 * GIB, "8.6")
CUDA = backend("4090", GPU="cuda", MODEL="Qwen/Qwen3-8B", MAX_MODEL_LEN="", KV_CACHE_GIB="")


def machine(*cards: Gpu, **changes: Any) -> Host:
    return host(nvidia=Nvidia(gpus=cards or (RTX_4090,)), **changes)


def with_(**settings: str) -> Any:
    changed = CUDA
    for key, value in settings.items():
        changed = changed.with_setting(key, value, "a test")
    return changed


def test_the_catalogue_s_figures_do_before_anything_is_on_disk() -> None:
    found = fit.plan(CUDA, machine())
    assert found is not None
    assert found.weights == pytest.approx(15.26 * GIB, rel=0.01)
    assert missing(fit.steps(CUDA), machine()) == {}


def test_nobody_refuses_what_nobody_knows() -> None:
    assert fit.plan(with_(MODEL="o/n"), machine()) is None
    assert fit.plan(CUDA, host()) is None  # no card: other steps say so
    assert missing(fit.steps(with_(MODEL="o/n")), machine()) == {}


def test_that_a_kind_is_not_known_is_told_and_no_length_is_set() -> None:
    weights = Weights(path=Path("/m"), unread="it has no hidden_size")
    now = machine(weights=weights)
    (step,) = fit.steps(with_(MODEL="/m"))
    assert step.missing(now) == ""
    told = step.found(now)
    assert told == "not reckoned, and the length is left to vLLM: it has no hidden_size"
    assert fit.with_length(with_(MODEL="/m"), None).get("MAX_MODEL_LEN") == ""


def test_a_card_that_does_not_tell_its_memory_is_not_called_large_enough() -> None:
    unread = machine(Gpu(name="NVIDIA GB10", arch="12.1"))
    (step,) = fit.steps(CUDA)
    assert step.missing(unread) == ""
    assert step.found(unread) == "not reckoned: NVIDIA GB10 does not tell its memory"


def test_a_length_no_file_names_is_not_made_up() -> None:
    found = fit.plan(CUDA, machine())
    assert found is not None
    unnamed = dataclasses.replace(found, derived=0, settings={}, length=2048)
    assert fit.with_length(CUDA, unnamed).get("MAX_MODEL_LEN") == ""
    assert any("name no length" in one for one in fit.notes(CUDA, unnamed))


def test_what_nobody_could_look_at_is_told() -> None:
    unread = machine(dataclasses.replace(RTX_4090, free=None))
    found = fit.plan(with_(MAX_MODEL_LEN="8192"), unread)
    assert found is not None
    assert "\nif at least" in fit.summary(found)
    assert any(one.startswith("it starts if at least") for one in fit.notes(CUDA, found))
    assert fit.shortage(with_(MAX_MODEL_LEN="8192"), found) == ""


def test_a_length_of_the_person_s_own_is_refused_where_it_does_not_fit() -> None:
    wanted = with_(MAX_MODEL_LEN="40960")
    (step,) = fit.steps(wanted)
    told = step.missing(machine())
    assert "GiB are missing for 40960 tokens; up to " in told
    assert step.failure is ModelUnavailable
    assert "inv plan --gpu 4090 --model Qwen/Qwen3-8B" in step.fix


def test_without_one_the_longest_that_fits_is_chosen_and_told() -> None:
    found = fit.plan(CUDA, machine())
    assert found is not None
    assert found.verdict == FITS_WITH
    chosen = fit.with_length(CUDA, found).get("MAX_MODEL_LEN")
    assert 8192 < int(chosen) < 40960
    assert any(f"MAX_MODEL_LEN={chosen}" in one for one in fit.notes(CUDA, found))
    assert missing(fit.steps(with_(MAX_MODEL_LEN=chosen)), machine()) == {}


def test_the_whole_length_is_passed_on_too_where_it_fits() -> None:
    small = with_(MODEL="qwen3-0.6b")
    found = fit.plan(small, machine())
    assert found is not None
    assert found.verdict == FITS
    assert fit.with_length(small, found).get("MAX_MODEL_LEN") == "40960"


def test_a_length_that_somebody_chose_stays() -> None:
    wanted = with_(MAX_MODEL_LEN="4096")
    assert fit.with_length(wanted, fit.plan(wanted, machine())).get("MAX_MODEL_LEN") == "4096"
    assert fit.with_length(wanted, None) is wanted


def test_the_newest_card_counts_unless_devices_name_one() -> None:
    both = machine(RTX_3060, RTX_4090)
    assert fit.card(CUDA, both) == fit.card(CUDA, machine(RTX_4090))
    small = fit.card(with_(DEVICES="0"), both)
    assert small is not None
    assert (small.name, small.count) == (RTX_3060.name, 1)


def test_cards_that_are_alike_are_counted() -> None:
    found = fit.card(CUDA, machine(RTX_4090, RTX_4090))
    assert found is not None
    assert found.count == 2


def test_under_wsl_the_table_knows_the_memory_of_an_amd_card() -> None:
    card = Gpu("AMD Radeon RX 7900 XTX", arch="gfx1100")
    on = host(os=Os("linux", "x86_64", wsl=True), amd=Amd(gpus=(card,)))
    found = fit.card(backend("x", GPU="rocm", MODEL="Qwen/Qwen3-8B"), on)
    assert found is not None
    assert (found.total, found.free, found.arch, found.wsl) == (24 * GIB, None, "gfx1100", True)


def test_memory_that_others_hold_is_missing() -> None:
    taken = dataclasses.replace(RTX_4090, free=10 * GIB)
    told = missing(fit.steps(CUDA), machine(taken))
    assert told
    assert missing(fit.steps(with_(GPU_MEMORY_UTILIZATION="0.4", MODEL="qwen3-0.6b")),
                   machine(taken)) == {}  # fmt: skip


def test_what_our_own_running_server_holds_is_not_missing() -> None:
    taken = dataclasses.replace(RTX_4090, free=1 * GIB)
    on = machine(taken, server=Server("ready"))
    assert missing(fit.steps(CUDA), on) == {}


def test_on_the_cpu_its_ram_comes_back_too() -> None:
    wanted = backend(MODEL="qwen3-0.6b")
    short = host(memory=Memory(8 * GIB, 1 * GIB))
    assert missing(fit.steps(wanted), short)
    assert missing(fit.steps(wanted), dataclasses.replace(
        short, server=Server("ready", memory=5 * GIB))) == {}  # fmt: skip


def test_a_server_that_runs_as_wanted_is_not_judged_again() -> None:
    wanted = backend(MODEL="qwen3-8b")  # far too large for this machine
    on = host()
    on = dataclasses.replace(on, server=running(wanted, on))
    names = [step.id for step in serve.prepare(wanted, PATHS, on, TOOLS)]
    assert "model.fits" not in names
    off = dataclasses.replace(on, server=Server())
    assert "model.fits" in missing(serve.prepare(wanted, PATHS, off, TOOLS), off)
    forced = serve.prepare(wanted, PATHS, off, TOOLS, force=True)
    assert "model.fits" not in [step.id for step in forced]


def test_what_stands_in_extra_arguments_counts() -> None:
    wanted = with_(EXTRA_ARGS="--enforce-eager --max-num-batched-tokens=4096")
    asked = fit.wanted(wanted, "0.33.0")
    assert (asked.eager, asked.batched, asked.version) == (True, 4096, "0.33.0")
