"""Observations: a healthy one of the packaged model, to change one thing of."""

import dataclasses
from typing import Any

from lifecycle.tables import known_answers
from lifecycle.tables.known_answers import Reference
from lifecycle.verification.circumstances import Circumstances
from lifecycle.verification.observation import Observation, TokenScore

PACKAGED = "smollm2-135m-instruct"
ON_CPU = Circumstances(model=PACKAGED, gpu="cpu", dtype="bfloat16")
UNKNOWN = Circumstances(model="somebody/a-model", gpu="cuda", archs=("8.9",))
COPIED = -0.2


def recorded() -> Reference:
    reference = known_answers.reference(PACKAGED)
    assert reference is not None
    return reference


def scores(off: float = 0.0, copied: float = COPIED) -> tuple[TokenScore, ...]:
    """The reference's tokens; each log-probability is off by so many nats."""
    reference = recorded()
    prose = [logprob - off for logprob in reference.logprobs]
    rest = [copied] * (len(reference.tokens) - len(prose))
    return tuple(
        TokenScore(token, logprob, token)
        for token, logprob in zip(reference.tokens, prose + rest, strict=True)
    )


def healthy(**changes: Any) -> Observation:
    good = Observation(
        scores=scores(),
        continuation=" " + known_answers.passage().expected[:80],
        chat="The capital of France is Paris.",
    )
    return dataclasses.replace(good, **changes)
