"""Requests at once: what vLLM would refuse is chosen for it, or refused with the reason."""

import pytest

from lifecycle.host import GIB, Cpu, Gpu, Nvidia
from lifecycle.planner.fit import FITS_WITH
from lifecycle.steps import fit
from tests.unit.given import backend, host

QWEN = backend("4090", GPU="cuda", MODEL="Qwen/Qwen3.5-9B", MAX_MODEL_LEN="8192", KV_CACHE_GIB="",
               EXTRA_ARGS="--language-model-only")  # fmt: skip
CARD = Gpu("NVIDIA GeForce RTX 4090", 24 * GIB, 23 * GIB, "8.9")
HERE = host(nvidia=Nvidia(gpus=(CARD,)))


def test_fewer_requests_are_chosen_where_nobody_chose() -> None:
    found = fit.plan(QWEN, HERE)
    assert found is not None
    assert found.verdict == FITS_WITH
    assert set(found.settings) == {"MAX_NUM_SEQS"}
    chosen = fit.with_length(QWEN, found)
    assert chosen.get("MAX_NUM_SEQS") == found.settings["MAX_NUM_SEQS"]
    assert chosen.get("MAX_MODEL_LEN") == "8192"
    assert fit.shortage(QWEN, found) == ""
    assert any("MAX_NUM_SEQS=" in one for one in fit.notes(QWEN, found))


def test_too_many_of_a_persons_own_are_refused() -> None:
    own = QWEN.with_setting("MAX_NUM_SEQS", "256", "a test")
    found = fit.plan(own, HERE)
    assert found is not None
    said = fit.shortage(own, found)
    assert said.startswith("MAX_NUM_SEQS=256 is too many")
    assert fit.with_length(own, found).get("MAX_NUM_SEQS") == "256"
    fewer = own.with_setting("MAX_NUM_SEQS", found.settings["MAX_NUM_SEQS"], "a test")
    again = fit.plan(fewer, HERE)
    assert again is not None
    assert fit.shortage(fewer, again) == ""


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ({"avx2", "avx512f", "amx_tile"}, "amx"),
        ({"avx2", "avx512f"}, "avx512"),
        ({"avx2"}, "avx2"),
        ({"asimd", "fp"}, "aarch64"),
        (set(), ""),
    ],
)
def test_kinds_of_cpu(flags: set[str], kind: str) -> None:
    assert fit.kind(Cpu(flags=frozenset(flags))) == kind
