"""Reading scores: what was read for the first time, what is a copy, and perplexity."""

import math

import pytest

from lifecycle.tables import known_answers
from lifecycle.verification.observation import Observation, TokenScore, perplexity
from tests.unit.verification import seen


def test_the_prompt_is_the_text_and_its_beginning_once_more() -> None:
    passage = known_answers.passage()
    assert passage.prompt.startswith(passage.text)
    assert passage.text.startswith(passage.prompt[len(passage.text) :])
    assert passage.prompt.endswith("the first")
    assert passage.expected.startswith("customers came in.")


def test_the_copy_is_found_by_its_tokens() -> None:
    observed = seen.healthy()
    assert observed.lag == len(seen.recorded().logprobs) + 1
    assert len(observed.prose) == len(seen.recorded().logprobs)
    assert {score.logprob for score in observed.copied} == {seen.COPIED}


def test_without_a_copy_everything_is_prose() -> None:
    scores = tuple(TokenScore(number, -1.0, number) for number in range(40))
    observed = Observation(scores)
    assert (observed.lag, observed.prose, observed.copied) == (0, scores, ())
    assert observed.copied_perplexity is None


def test_nothing_scored_has_no_perplexity() -> None:
    assert Observation().perplexity is None


@pytest.mark.parametrize(
    ("logprobs", "expected"),
    [([0.0, 0.0], 1.0), ([-math.log(8)] * 3, 8.0), ([-1e6], math.inf)],
)
def test_perplexity(logprobs: list[float], expected: float) -> None:
    assert perplexity(logprobs) == pytest.approx(expected)
