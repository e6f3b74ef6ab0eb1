"""The planner on real starts of vLLM (tests/bench/vram.jsonl): its goals, row by row."""

import pytest

from tests.bench import cases, planner
from tests.bench.planner import Score

SCORES = [planner.score(case) for case in cases.load()]
KNOWN = [one for one in SCORES if one.case.architecture]


def test_most_rows_say_enough() -> None:
    assert len(KNOWN) >= 28
    assert sum(one.given for one in SCORES) >= 8


@pytest.mark.parametrize("score", KNOWN, ids=lambda one: one.case.name)
def test_a_row(score: Score) -> None:
    assert score.bytes_error is None or abs(score.bytes_error) <= 0.01
    assert score.weights_error is None or abs(score.weights_error) <= 0.03
    assert not score.false_fit
    if score.given:
        assert score.tokens_error is not None
        assert abs(score.tokens_error) <= 0.15


def test_half_of_the_tokens_are_closer_still() -> None:
    assert planner.summary(SCORES)["planner-tokens"][0] <= 0.05


def test_hybrids_find_themselves_in_their_range() -> None:
    hybrids = [
        one for one in KNOWN if one.plan and not one.plan.exact and one.case.found("kv_tokens")
    ]
    assert hybrids
    for one in hybrids:
        assert one.plan is not None
        low, high = one.plan.tokens_range
        assert low <= one.case.found("kv_tokens") <= high
