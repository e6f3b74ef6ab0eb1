"""`inv models`: the catalogue with a verdict for a card, and without a word over the network."""

import json
from typing import Any

import pytest
from invoke import Context, Exit

from lifecycle import facts
from lifecycle.cmd import card, choose, models
from lifecycle.errors import ConfigError
from lifecycle.host import GIB, Amd, Gpu, Host, Memory, Nvidia, Os
from lifecycle.tables.catalogue import catalogue
from tests.unit.given import Checkout, backend, host
from tests.unit.models import folder

Captured = pytest.CaptureFixture[str]
CONTEXT = Context()
RTX = Gpu("NVIDIA GeForce RTX 4090", 24 * GIB, 22 * GIB, "8.9")


@pytest.fixture(autouse=True)
def here(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    monkeypatch.setattr(choose, "ROOT", checkout.root)
    monkeypatch.setattr(choose, "places", lambda: checkout.paths)
    monkeypatch.setattr(facts, "hardware", lambda _: Host(os=Os(wsl=True)))
    monkeypatch.setattr(facts.memory, "look", lambda _: Memory(24 * GIB, 20 * GIB))
    # Nobody's own cache counts.
    monkeypatch.setenv("HF_HUB_CACHE", str(checkout.root / "nothing"))
    checkout.env("4090", "GPU=cuda\nPORT=8001\nMODEL=Qwen/Qwen3-8B\nGPU_MEMORY_UTILIZATION=0.85\n")
    checkout.env("7900xtx", "GPU=rocm\nPORT=8002\nMODEL=Qwen/Qwen3-8B\n")
    return checkout.env("cpu", "GPU=cpu\nPORT=8000\nMODEL=some-model\n")


def told(capsys: Captured, **options: Any) -> dict[str, dict[str, Any]]:
    """Its JSON, by name."""
    models.models(CONTEXT, json=True, **options)
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)["models"]}


def test_every_row_is_listed_with_its_verdict(capsys: Captured) -> None:
    rows = told(capsys, gpu="4090", vram="24GiB")
    assert set(rows) == {row.name for row in catalogue()}
    assert rows["qwen3-14b-awq"]["verdict"] == "fits, if"
    assert rows["llama-3.1-70b-awq"]["verdict"] == "does not fit"
    assert rows["llama-3.1-8b"]["gated"]
    assert rows["llama-3.1-8b"]["verdict"] == "fits with these settings"
    assert 8192 < rows["llama-3.1-8b"]["longest"] < 131072
    assert not any(row["here"] for row in rows.values())


def test_a_card_that_cannot_is_told_apart_from_one_that_is_too_small(capsys: Captured) -> None:
    rows = told(capsys, gpu="7900xtx", vram="24GiB")
    blocked = [row for row in rows.values() if row["blocked"]]
    assert not any(row["suits"] for row in blocked)
    assert not rows["qwen3-8b-fp8"]["blocked"]
    assert rows["qwen3-8b-awq"]["verdict"] == "fits, if"
    assert rows["qwen3-8b-awq"]["suits"]


def test_the_table_says_what_a_person_needs(capsys: Captured) -> None:
    models.models(CONTEXT, gpu="4090", vram="24GiB")
    said = capsys.readouterr()
    lines = {line.split()[0]: line for line in said.out.splitlines() if line.strip()}
    assert "24.0 GiB" in lines["For"]
    assert "16.4 GB" in lines["qwen3-8b"]
    (large,) = [line for line in said.out.splitlines() if line.startswith("does not fit: ")]
    assert "qwen2.5-72b-awq" in large
    assert "Llama-3.1*" in lines["llama-3.1-8b"]
    assert "accept it" in said.err


def test_a_model_on_this_disk_is_seen(here: Checkout, capsys: Captured) -> None:
    repo = here.paths.models / "hub" / "models--Qwen--Qwen3-0.6B"
    place = repo / "snapshots" / ("c" * 40)
    folder.make(place)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("c" * 40)
    rows = told(capsys, gpu="cpu")
    assert rows["qwen3-0.6b"]["here"]
    assert not rows["qwen3-1.7b"]["here"]


def test_without_a_card_its_memory_must_be_named(capsys: Captured) -> None:
    with pytest.raises(Exit) as ended:
        models.models(CONTEXT, gpu="4090")
    assert ended.value.code == ConfigError.exit_code
    assert "--vram 24GiB" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "count"),
    [("24GiB", 24 * GIB), ("24", 24 * GIB), ("16 gb", 16 * 10**9), ("512MiB", 512 * 1024**2),
     ("23.5G", int(23.5 * GIB))],
)  # fmt: skip
def test_sizes(text: str, count: int) -> None:
    assert card.size(text) == count


@pytest.mark.parametrize("text", ["", "x", "24GiBs", "-1", "0", "1e3", "24 TiB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ConfigError, match="is no size"):
        card.size(text)


def test_the_machines_own_card_comes_with_what_is_free() -> None:
    cards = (Gpu("small", 8 * GIB, 8 * GIB, "8.6"), RTX)
    found = card.of(backend(GPU="cuda"), host(nvidia=Nvidia(gpus=cards)))
    assert (found.name, found.total, found.free, found.arch) == (
        RTX.name,
        RTX.total,
        RTX.free,
        "8.9",
    )
    assert found.count == 1


def test_a_named_size_replaces_the_cards_own() -> None:
    found = card.of(backend(GPU="cuda"), host(nvidia=Nvidia(gpus=(RTX, RTX))), "48GiB")
    assert (found.total, found.free, found.arch, found.count) == (48 * GIB, None, "8.9", 1)


def test_a_backend_named_after_a_card_says_its_architecture() -> None:
    assert card.of(backend("4090", GPU="cuda"), host(), "24GiB").arch == "8.9"
    assert card.of(backend("7900xtx", GPU="rocm"), host(), "24GiB").arch == "gfx1100"
    assert card.of(backend("mine", GPU="cuda"), host(), "24GiB").arch == ""


def test_an_integrated_card_is_no_card() -> None:
    small = Gpu("AMD Radeon Graphics", 4 * GIB, 4 * GIB, "gfx1036", integrated=True)
    with pytest.raises(ConfigError, match="cannot be read"):
        card.of(backend(GPU="rocm"), host(amd=Amd(gpus=(small,))))
