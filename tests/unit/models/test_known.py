"""The catalogue's models, as the planner takes them."""

import pytest

from lifecycle.models import known
from lifecycle.planner import weights
from lifecycle.tables import catalogue

ROWS = {row.name: row for row in catalogue.catalogue()}
FOUND = [row for row in ROWS.values() if row.verified in known.FOUND]


@pytest.mark.parametrize("row", FOUND, ids=lambda row: row.name)
def test_bytes_of_files_and_of_config_agree(row: catalogue.CatalogueModel) -> None:
    model = known.model(row)
    assert model.exact
    assert model.by_dtype == row.weights
    assert model.weights == pytest.approx(weights.estimate(model.architecture).total, rel=0.002)


def test_what_is_not_loaded_is_said() -> None:
    tied = known.model(ROWS["qwen3-0.6b"])
    assert ROWS["qwen3-0.6b"].size - tied.weights == 151936 * 1024 * 2
    assert tied.source.endswith("without the copy of the embedding")
    guessing = known.model(ROWS["qwen3.5-9b"])
    assert guessing.weights < ROWS["qwen3.5-9b"].size
    assert guessing.source.endswith("without layers that guess ahead")
    assert known.model(ROWS["qwen3-8b"]).weights == ROWS["qwen3-8b"].size


def test_what_was_reckoned_is_no_fact() -> None:
    row = ROWS["qwen3-8b-fp8"]
    assert row.verified == "reckoned"
    assert not known.model(row).exact


def test_weights_changed_at_the_start_are_reckoned() -> None:
    plain, small = known.model(ROWS["qwen3-8b"]), known.model(ROWS["qwen3-8b"], online="fp8")
    assert plain.exact
    assert not small.exact
    assert small.weights < 0.65 * plain.weights


def test_the_part_that_sees_is_counted_apart() -> None:
    # transformers 5.19 builds 333.5 and 456.0 million parameters on the meta device.
    for name, number in (("qwen3.5-4b", 333.5e6), ("qwen3.5-9b", 456.0e6)):
        found = known.model(ROWS[name])
        assert found.held.vision == found.architecture.parameters.vision * 2
        assert found.architecture.parameters.vision == pytest.approx(number, rel=0.01)
