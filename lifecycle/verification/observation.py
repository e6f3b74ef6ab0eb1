"""What a server said to the fixed questions, as plain values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_LAG = 8
"""Tokens a passage has at least; any shorter repetition is chance."""
TAIL = 12
"""So many tokens at the end must repeat earlier ones for the copy to be found."""
SETTLE = 4
"""Tokens of the copy that a model may need to see that it is one."""


@dataclass(frozen=True)
class TokenScore:
    """One token of the prompt: its natural log-probability, and the token ranked first."""

    token: int
    logprob: float
    top: int


@dataclass(frozen=True)
class Observation:
    """Everything one check asked.

    Args:
        scores: every token of the prompt but the first; empty when the server does not score.
        refusal: why it does not.
        continuation: how it goes on after the prompt, greedily.
        chat: its answer to a plain question; None when it was not to be had.
        chat_refusal: why not.
    """

    scores: tuple[TokenScore, ...] = ()
    refusal: str = ""
    continuation: str = ""
    chat: str | None = None
    chat_refusal: str = ""

    @property
    def lag(self) -> int:
        """Tokens from a token to its repetition in the copy; 0 when there is no copy."""
        tokens = [score.token for score in self.scores]
        lags = range(LEAST_LAG, len(tokens) - TAIL)
        return next((lag for lag in lags if tokens[-TAIL:] == tokens[-TAIL - lag : -lag]), 0)

    @property
    def perplexity(self) -> float | None:
        """Of the tokens that the model reads for the first time; None when it scores nothing."""
        return perplexity([score.logprob for score in self.prose]) if self.scores else None

    @property
    def copied_perplexity(self) -> float | None:
        """Of the tokens it has read before; None when there are none."""
        return perplexity([score.logprob for score in self.copied]) if self.copied else None

    @property
    def prose(self) -> tuple[TokenScore, ...]:
        """The tokens that the model reads for the first time."""
        return self.scores[: self.lag - 1] if self.lag else self.scores

    @property
    def copied(self) -> tuple[TokenScore, ...]:
        """The tokens it has read before in this prompt, without the first few."""
        return self.scores[self.lag + SETTLE :] if self.lag else ()


def perplexity(logprobs: Sequence[float]) -> float:
    """The exponential of the mean negative log-probability; infinite when it is beyond a float."""
    mean = -sum(logprobs) / len(logprobs)
    return math.exp(mean) if mean < math.log(1e300) else math.inf
