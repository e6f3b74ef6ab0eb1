"""The known-answer check calls every broken double broken, and no healthy one."""

import pytest

from lifecycle.host import Answers, Sanity
from lifecycle.runtimes import known_answers
from lifecycle.step import CheckAnswers
from lifecycle.verification.circumstances import Circumstances
from tests.fake_vllm import Fault, Settings, fake_vllm

KEY = "double-key"


def verdict(*faults: Fault) -> Answers:
    with fake_vllm(Settings(model="double", api_key=KEY), faults=list(faults)) as server:
        asked = CheckAnswers("cpu", server.url, "double", KEY, Circumstances(gpu="cpu"))
        return known_answers.check(asked)


def test_a_healthy_double_is_sane() -> None:
    answers = verdict()
    assert (answers.sanity, answers.reason) == (Sanity.SANE, "")
    assert answers.perplexity is not None


@pytest.mark.parametrize(("fault", "sign"), [
    (Fault.GARBAGE, "ordinary prose is noise to it"),
    (Fault.STUCK_TOKEN, "the same again and again: '!!!!"),
    (Fault.NOT_A_NUMBER, "its log-probabilities are not numbers"),
    (Fault.CHAT_GARBAGE, "but in chat it answers '<|im_end|>"),
])  # fmt: skip
def test_a_broken_double_is_broken(fault: Fault, sign: str) -> None:
    answers = verdict(fault)
    assert answers.sanity == Sanity.BROKEN
    assert sign in answers.reason


def test_a_double_without_scores_is_judged_by_its_texts() -> None:
    assert verdict(Fault.NO_SCORES).sanity == Sanity.SANE
    assert verdict(Fault.NO_SCORES, Fault.STUCK_TOKEN).sanity == Sanity.BROKEN


def test_fluent_and_wrong_is_doubtful() -> None:
    assert verdict(Fault.WRONG_ANSWER).sanity == Sanity.DOUBTFUL
