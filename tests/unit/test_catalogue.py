"""The catalogue of models: every row is whole, found by name, and has something near it."""

import re
import tomllib
from datetime import date

import pytest

from docs.models import FITS, OWNERS, what_fits
from lifecycle import tables
from lifecycle.backend import REPO_ID
from lifecycle.models import known
from lifecycle.paths import DATA
from lifecycle.planner import architecture
from lifecycle.tables.catalogue import CatalogueModel, alternatives, catalogue, find, nearest
from tests.unit.test_vllm_flags import LISTS

ROWS = catalogue()
HUB = [row for row in ROWS if not row.packaged]
AT_MOST = 24 * 1024**3
COMMIT = re.compile(r"[0-9a-f]{40}")
DATA_ROWS = tomllib.loads((DATA / "models.toml").read_text(encoding="utf-8"))
PARSERS = {"tool": LISTS["tool"], "reasoning": LISTS["reasoning"]}
BITS = {"awq": 4, "gptq": 4, "auto-round": 4, "mxfp4": 4, "fp8": 8}

every = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def _row(name: str) -> CatalogueModel:
    found = find(name)
    assert found is not None, name
    return found


def test_there_is_enough_to_choose_from() -> None:
    fitting = [row for row in ROWS if row.recommended and row.size < AT_MOST]
    assert len(fitting) >= 16
    assert sum(not row.gated for row in fitting) > len(fitting) / 2
    assert {row.use for row in fitting} == {"chat", "code", "reasoning", "embedding"}


def test_names_and_repositories_are_unique() -> None:
    names = [name.lower() for row in ROWS for name in {row.name, row.model}]
    assert len(names) == len(set(names))


@every
def test_a_row_is_well_formed(row: CatalogueModel) -> None:
    assert re.fullmatch(r"[a-z0-9.-]+", row.name)
    assert row.packaged or REPO_ID.fullmatch(row.repo)
    assert row.packaged or row.revision == "main" or COMMIT.fullmatch(row.revision)
    assert set(row.gpus) <= {"cpu", "cuda", "rocm"}
    assert row.gpus
    assert row.verified in {"hardware", "documented", "reported", "reckoned"}


@pytest.mark.parametrize(
    "raw", [*DATA_ROWS["model"], *DATA_ROWS["hub"]], ids=lambda raw: raw["name"]
)
def test_a_row_says_where_it_is_from(raw: dict[str, object]) -> None:
    assert raw["source"]
    assert isinstance(raw["checked"], date)
    if raw.get("revision") == "main":
        assert "so main" in str(raw["source"]), "why no commit?"


@every
def test_the_planner_reads_its_config(row: CatalogueModel) -> None:
    read = architecture.parse(row.config)
    assert read.parameters.total == pytest.approx(row.parameters * 1e9, rel=0.05)
    assert read.quantization.method == row.quantization
    assert read.quantization.bits == BITS.get(row.quantization, 0)


@every
def test_bytes_are_what_the_planner_reckons(row: CatalogueModel) -> None:
    # Two ways to one number: `weights` was counted or published, the planner starts from `config`.
    # Some files hold a second copy of tied embeddings, or layers that are not loaded.
    read = architecture.parse(row.config)
    held = known.model(row).weights
    copy = 2 * read.vocab * read.hidden if read.tied else 0
    if read.ahead:  # what guesses ahead is in the files of some, and quantized in those of others
        assert held <= row.size <= (held + 2 * read.ahead + copy) * 1.001
    else:
        assert row.size in (pytest.approx(held, rel=0.016), pytest.approx(held + copy, rel=0.001))


@every
def test_its_parsers_are_vllms(row: CatalogueModel) -> None:
    assert row.tool_parser in {"", *PARSERS["tool"]}
    assert row.reasoning_parser in {"", *PARSERS["reasoning"]}


@every
def test_hardware_it_does_not_suit_is_explained(row: CatalogueModel) -> None:
    if row.recommended and "rocm" not in row.gpus:
        assert row.cautions["rocm"]
    if row.quantization == "fp8":
        assert "rocm" not in row.gpus


@every
def test_it_is_found_by_name_and_by_repository(row: CatalogueModel) -> None:
    assert find(row.name) == row
    assert find(f" {row.model.upper()} ") == row


def test_the_unknown_is_not_found() -> None:
    assert find("nobody/nothing") is None
    assert find("") is None
    assert nearest("zzzz") == []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("qwen3-8b-awk", "qwen3-8b-awq"),
        ("Qwen3-8B-FP8", "qwen3-8b-fp8"),
        ("meta-llama/Llama3.1-8B", "llama-3.1-8b"),
        ("gpt-os", "gpt-oss-20b"),
        ("gemma3", "gemma-3-1b"),
    ],
)
def test_a_slip_of_the_pen_finds_the_name(typed: str, meant: str) -> None:
    assert nearest(typed)[0] == meant


@every
def test_alternatives_are_lighter_and_worth_it(row: CatalogueModel) -> None:
    found = alternatives(row)
    assert all(one.size < row.size for one in found)
    assert all(one.recommended or one.base == row.base for one in found)
    assert all((one.use == "embedding") == (row.use == "embedding") for one in found)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("llama-3.1-8b", "llama-3.1-8b-awq"),
        ("qwen3-14b", "qwen3-14b-awq"),
        ("deepseek-coder-33b", "deepseek-coder-33b-awq"),
        ("qwen2.5-coder-32b-awq", "qwen2.5-coder-14b-awq"),
    ],
)
def test_the_nearest_alternative(name: str, first: str) -> None:
    assert alternatives(_row(name))[0].name == first


@pytest.mark.parametrize("name", ["llama-3.1-70b-awq", "qwen2.5-72b-awq", "llama-2-70b-awq"])
def test_what_guides_wrongly_recommend_has_something_that_could_fit(name: str) -> None:
    assert _row(name).size > AT_MOST
    assert alternatives(_row(name))[0].size < AT_MOST


def test_packaged_models_are_in_it() -> None:
    for name in tables.serving.packaged_models():
        row = _row(name)
        assert row.packaged
        assert row.model == name


def test_the_page_about_24_gb_has_the_planners_figures() -> None:
    page = FITS.read_text(encoding="utf-8")
    assert page == what_fits(page), "docs/explanation/what-fits-in-24-gb.md: nox -s docs"
    assert all(row in page for row, _, _ in OWNERS)


def test_what_the_page_says_in_words_is_so() -> None:
    llama = known.model(_row("llama-3.1-8b"))
    assert llama.weights / 1024**3 == pytest.approx(15.0, abs=0.05)
    assert _row("llama-3.1-70b-awq").size / 1e9 == pytest.approx(39.8, abs=0.05)
    assert _row("qwen2.5-72b-awq").size / 1e9 == pytest.approx(41.6, abs=0.05)
    assert _row("deepseek-coder-33b").size / 1e9 == pytest.approx(66.7, abs=0.05)
    assert _row("llama-2-70b-awq").size / 1e9 == pytest.approx(36.6, abs=0.05)
