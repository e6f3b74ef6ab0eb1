"""Symptoms in plain words, with the figures that show them."""

import math

from lifecycle.tables import known_answers
from lifecycle.tables.known_answers import Reference
from lifecycle.verification import symptoms
from lifecycle.verification.observation import Observation
from lifecycle.verification.symptoms import Symptom

LONGEST = 60
"""Characters of an answer that are shown."""

TEXTS = {
    Symptom.NAN: "its log-probabilities are not numbers (NaN)",
    Symptom.NOISE: (
        "ordinary prose is noise to it (perplexity {perplexity:,.0f}; healthy models stay below "
        "{bound:.0f})"
    ),
    Symptom.CANNOT_COPY: (
        "it does not recognize a text that it read a moment before (perplexity {copied:,.1f}; "
        "healthy models are near 1)"
    ),
    Symptom.OFF_REFERENCE: (
        "it is {off:.2f} nats a token off the float32 reference, more than its number format "
        "explains"
    ),
    Symptom.REPEATS: "it writes the same again and again: {sample}",
    Symptom.FOREIGN: "it writes a different script than it was asked in: {sample}",
    Symptom.EMPTY: "it writes nothing at all",
    Symptom.CHAT_ONLY: "it continues plain text well, but in chat it answers {chat}",
    Symptom.OTHER_TOKENIZER: "its tokenizer splits text differently than the recorded one",
    Symptom.UNEXPECTED: "it was to copy a text, and wrote {continuation}",
    Symptom.HIGH_PERPLEXITY: (
        "it copies well, but ordinary prose is strange to it (perplexity {perplexity:,.0f})"
    ),
}


def describe(signs: list[Symptom], seen: Observation, reference: Reference | None) -> str:
    """What was seen, a clause a symptom."""
    off = (
        symptoms.mean_difference(seen.scores, reference) if reference and seen.scores else math.nan
    )
    figures = {
        "perplexity": seen.perplexity or math.nan,
        "copied": seen.copied_perplexity or math.nan,
        "bound": known_answers.bounds().perplexity,
        "off": off,
        "chat": _quoted(seen.chat or ""),
        "continuation": _quoted(seen.continuation),
    }
    return "; ".join(
        TEXTS[sign].format(**figures, sample=_quoted(_sample(sign, seen))) for sign in signs
    )


def _sample(sign: Symptom, seen: Observation) -> str:
    """The answer that shows a sign."""
    bounds = known_answers.bounds()
    texts = (seen.continuation, seen.chat or "")
    return next((text for text in texts if sign in symptoms.of_text(text, bounds)), texts[0])


def _quoted(text: str) -> str:
    return repr(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")
