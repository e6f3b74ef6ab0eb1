"""From what a server said to a verdict with its likely causes."""

import time

from lifecycle.host import Answers, Sanity
from lifecycle.tables import known_answers
from lifecycle.tables.known_answers import Cause, Reference
from lifecycle.verification import symptoms, words
from lifecycle.verification.circumstances import Circumstances
from lifecycle.verification.observation import Observation, perplexity
from lifecycle.verification.symptoms import Symptom

MOST_CAUSES = 3


def judge(seen: Observation, given: Circumstances) -> Answers:
    """The verdict on one observation."""
    reference = known_answers.reference(given.model)
    signs = _signs(seen, given, reference)
    return Answers(
        sanity=_sanity(seen, signs),
        reason=_reason(seen, signs, reference),
        advice=tuple(f"{cause.text}: {cause.fix}" for cause in likely(signs, given)),
        perplexity=seen.perplexity,
        reference=perplexity(reference.logprobs) if reference and seen.scores else None,
        checked=time.time(),
    )


def likely(signs: list[Symptom], given: Circumstances) -> list[Cause]:
    """Known causes that fit the signs and the circumstances, the most specific first."""
    fitting = [cause for cause in known_answers.causes() if _fits(cause, signs, given)]
    return sorted(fitting, key=_specificity, reverse=True)[:MOST_CAUSES]


def _signs(seen: Observation, given: Circumstances, reference: Reference | None) -> list[Symptom]:
    bounds = known_answers.bounds()
    signs = symptoms.of_scores(seen, bounds)
    if reference and seen.scores and Symptom.NAN not in signs:
        tolerance = known_answers.tolerance(given.quantization or given.dtype)
        signs += symptoms.of_reference(seen, reference, tolerance)
    if not seen.refusal:
        expected = known_answers.passage().expected
        signs += symptoms.of_continuation(seen.continuation, expected, bounds)
    healthy_so_far = not set(signs) - symptoms.DOUBTFUL
    if seen.chat is not None and (chat := symptoms.of_chat(seen.chat, bounds)):
        signs += [Symptom.CHAT_ONLY] if healthy_so_far and seen.scores else chat
    return list(dict.fromkeys(signs))


def _sanity(seen: Observation, signs: list[Symptom]) -> Sanity:
    if set(signs) - symptoms.DOUBTFUL:
        return Sanity.BROKEN
    if signs:
        return Sanity.DOUBTFUL
    asked = seen.scores or seen.continuation or seen.chat
    return Sanity.SANE if asked else Sanity.UNCHECKED


def _reason(seen: Observation, signs: list[Symptom], reference: Reference | None) -> str:
    if signs:
        return words.describe(signs, seen, reference)
    if not seen.refusal:
        return ""
    wrote = seen.continuation or seen.chat
    what = "the server does not score text" if wrote else "it refuses the test questions"
    return f"{what}: {seen.refusal}"


def _fits(cause: Cause, signs: list[Symptom], given: Circumstances) -> bool:
    return (
        bool(set(cause.symptoms) & set(signs))
        and (not cause.gpus or given.gpu in cause.gpus)
        and (not cause.archs or any(arch.startswith(tuple(cause.archs)) for arch in given.archs))
        and _begins(cause.dtypes, given.dtype)
        and _begins(cause.quantizations, given.quantization)
        and _begins(cause.kv_cache_dtypes, given.kv_cache_dtype)
        and (not cause.models or any(part in given.model.lower() for part in cause.models))
    )


def _begins(beginnings: list[str], value: str) -> bool:
    return not beginnings or value.startswith(tuple(beginnings))


def _specificity(cause: Cause) -> int:
    narrowed = (cause.archs, cause.dtypes, cause.quantizations, cause.kv_cache_dtypes, cause.models)
    return 2 * sum(map(bool, narrowed)) + bool(cause.gpus) - len(cause.symptoms) // 4
