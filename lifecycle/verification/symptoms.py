"""Signs that answers are broken, each found in one place."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from lifecycle.tables.known_answers import Bounds, Reference
from lifecycle.verification.observation import Observation, TokenScore

NOT_A_NUMBER = re.compile(r"out of range float values|\bnan\b|not JSON compliant", re.IGNORECASE)
"""How vLLM's JSON encoder refuses log-probabilities that are none."""
MARKER = re.compile(r"<\|[a-z_ ]{2,30}\|>|<\uff5c[^\uff5c]{2,30}\uff5c>|<(?:start|end)_of_turn>")
"""Marks of a chat template, which belong to the prompt and never to an answer."""
ENOUGH_WORDS = 6
"""Fewer words can repeat by chance."""
ENOUGH_LETTERS = 8
AGREED = 8
"""Characters of the expected continuation that must come first."""


class Symptom(StrEnum):
    """One sign, as `data/known_answers.toml` names it."""

    NAN = "not-a-number"
    NOISE = "noise"
    CANNOT_COPY = "cannot-copy"
    OFF_REFERENCE = "off-reference"
    REPEATS = "repeats"
    FOREIGN = "foreign-script"
    EMPTY = "empty"
    CHAT_ONLY = "chat-only"
    """Plain text is continued well, chat is not: what is around the question is wrong."""
    OTHER_TOKENIZER = "other-tokenizer"
    UNEXPECTED = "unexpected"
    """Plausible text that is not the continuation: a fault of decoding, or a headstrong model."""
    HIGH_PERPLEXITY = "high-perplexity"
    """It copies well, so it computes well, but finds prose strange: heavily trained to think."""


DOUBTFUL = {Symptom.UNEXPECTED, Symptom.HIGH_PERPLEXITY, Symptom.OTHER_TOKENIZER}
"""These alone do not prove a fault."""


def of_scores(seen: Observation, bounds: Bounds) -> list[Symptom]:
    """What the log-probabilities tell without any reference."""
    if NOT_A_NUMBER.search(seen.refusal) or any(math.isnan(one.logprob) for one in seen.scores):
        return [Symptom.NAN]
    if seen.perplexity is None:
        return []
    strange = seen.perplexity > bounds.perplexity
    copied = seen.copied_perplexity
    if strange and (copied is None or copied > bounds.copied):
        return [Symptom.NOISE]
    if copied is not None and copied > bounds.copied:
        return [Symptom.CANNOT_COPY]
    return [Symptom.HIGH_PERPLEXITY] if strange else []


def of_reference(seen: Observation, reference: Reference, tolerance: float) -> list[Symptom]:
    """What the comparison with the recorded float32 answers tells.

    Args:
        tolerance: nats that the mean absolute difference may have.
    """
    if [one.token for one in seen.scores] != reference.tokens:
        return [Symptom.OTHER_TOKENIZER]
    off = mean_difference(seen.scores, reference)
    return [Symptom.OFF_REFERENCE] if off > tolerance else []


def mean_difference(scores: Sequence[TokenScore], reference: Reference) -> float:
    """Mean absolute difference of log-probabilities over the reference's places, in nats."""
    pairs = list(zip(scores, reference.logprobs, strict=False))
    return sum(abs(one.logprob - true) for one, true in pairs) / len(pairs)


def of_text(text: str, bounds: Bounds) -> list[Symptom]:
    """What an answer shows that is no language, or not the one it was asked in."""
    if not text.strip():
        return [Symptom.EMPTY]
    if _repeats(text, bounds.repeated):
        return [Symptom.REPEATS]
    letters = [letter for letter in text if letter.isalpha()]
    foreign = [one for one in letters if not unicodedata.name(one, "").startswith("LATIN")]
    if len(letters) >= ENOUGH_LETTERS and len(foreign) / len(letters) > bounds.foreign:
        return [Symptom.FOREIGN]
    return []


def of_continuation(text: str, expected: str, bounds: Bounds) -> list[Symptom]:
    """The same of the copied text, which must also be the text that was to be copied."""
    signs = of_text(text, bounds)
    if signs or _plain(text)[:AGREED] == _plain(expected)[:AGREED]:
        return signs
    return [Symptom.UNEXPECTED]


def of_chat(text: str, bounds: Bounds) -> list[Symptom]:
    """The same of an answer in chat, where no mark of the template may show."""
    return of_text(text, bounds) or ([Symptom.CHAT_ONLY] if MARKER.search(text) else [])


def _repeats(text: str, share: float) -> bool:
    """Whether one word, or one sign without spaces (`!!!!`), makes up most of an answer."""
    words = text.split()
    signs = [sign for sign in text if not sign.isspace()]
    few_words = len(words) < ENOUGH_WORDS
    pieces = signs if few_words else words
    if few_words and len(signs) < 2 * ENOUGH_WORDS:
        return False
    (_, most), *_ = Counter(pieces).most_common(1)
    return most / len(pieces) > share


def _plain(text: str) -> str:
    return re.sub(r"\W+", "", text).lower()
