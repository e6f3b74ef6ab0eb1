"""Verdicts: noise of a number format is not a broken kernel, and each sign has its causes."""

import math

import pytest

from lifecycle.host import Sanity
from lifecycle.verification import judgement
from lifecycle.verification.circumstances import Circumstances
from lifecycle.verification.judgement import judge
from lifecycle.verification.observation import Observation, TokenScore
from lifecycle.verification.symptoms import Symptom
from tests.unit.verification import seen
from tests.unit.verification.seen import ON_CPU, UNKNOWN, healthy, scores

STUCK = "!" * 24
NAN = Observation(refusal="HTTP 400: Out of range float values are not JSON compliant: nan")


def test_a_healthy_server_is_sane_and_its_figures_are_told() -> None:
    verdict = judge(healthy(), ON_CPU)
    assert (verdict.sanity, verdict.reason, verdict.advice) == (Sanity.SANE, "", ())
    assert verdict.figures == "perplexity 13.9, reference 13.9"


@pytest.mark.parametrize(
    ("dtype", "off", "sanity"),
    [
        # Measured between vLLM 0.32 and transformers in float32: 0.0003; in bfloat16: 0.034.
        ("float32", 0.001, Sanity.SANE),
        ("float32", 0.12, Sanity.BROKEN),
        ("bfloat16", 0.12, Sanity.SANE),
        ("auto", 0.12, Sanity.SANE),
        # Two layers exchanged: 0.28; one layer of zeros: 0.38.
        ("bfloat16", 0.28, Sanity.BROKEN),
        ("float16", 0.02, Sanity.SANE),
        ("float16", 0.28, Sanity.BROKEN),
    ],
)
def test_the_tolerance_is_that_of_the_number_format(dtype: str, off: float, sanity: Sanity) -> None:
    given = Circumstances(model=seen.PACKAGED, gpu="cpu", dtype=dtype)
    verdict = judge(healthy(scores=scores(off)), given)
    assert verdict.sanity == sanity
    assert ("nats a token off the float32 reference" in verdict.reason) == (sanity == Sanity.BROKEN)


@pytest.mark.parametrize(("stored", "off", "sanity"), [
    ("fp8", 0.2, Sanity.SANE), ("fp8", 0.9, Sanity.BROKEN),
    ("bitsandbytes", 0.9, Sanity.SANE), ("bitsandbytes", 1.5, Sanity.BROKEN),
])  # fmt: skip
def test_a_quantized_model_may_be_further_off(stored: str, off: float, sanity: Sanity) -> None:
    given = Circumstances(model=seen.PACKAGED, gpu="cuda", dtype="bfloat16", quantization=stored)
    assert judge(healthy(scores=scores(off)), given).sanity == sanity


def test_noise_is_broken_whatever_the_model() -> None:
    verdict = judge(healthy(scores=scores(8, copied=-9), continuation=" xk qui"), UNKNOWN)
    assert verdict.sanity == Sanity.BROKEN
    assert "ordinary prose is noise to it (perplexity 41," in verdict.reason
    assert any("files of the model are damaged" in line for line in verdict.advice)


def test_prose_may_be_strange_to_a_model_that_copies() -> None:
    verdict = judge(healthy(scores=scores(4)), UNKNOWN)
    assert (verdict.sanity, "it copies well" in verdict.reason) == (Sanity.DOUBTFUL, True)


def test_a_model_that_cannot_copy_is_broken() -> None:
    verdict = judge(healthy(scores=scores(copied=-3)), UNKNOWN)
    assert verdict.sanity == Sanity.BROKEN
    assert "does not recognize a text that it read a moment before" in verdict.reason


@pytest.mark.parametrize("text", [STUCK, "! " * 12, " the the the the the the the the", "0" * 30])
def test_the_same_again_and_again_is_broken(text: str) -> None:
    verdict = judge(healthy(continuation=text), UNKNOWN)
    assert verdict.sanity == Sanity.BROKEN
    assert "the same again and again" in verdict.reason


@pytest.mark.parametrize(
    "text", ["早上好面包师打开了商店的门。", "Добрый день, пекарь открыл дверь"]
)
def test_a_different_script_is_broken(text: str) -> None:
    assert judge(healthy(continuation=text), UNKNOWN).sanity == Sanity.BROKEN


@pytest.mark.parametrize(
    "text", ["L'Étoile, la Marseillaise, la femme", "Paris (巴黎) is the capital."]
)
def test_accents_and_single_foreign_words_are_no_different_script(text: str) -> None:
    assert judge(healthy(chat=text), UNKNOWN).sanity == Sanity.SANE


@pytest.mark.parametrize("text", ["", "\n \n", STUCK, "<|im_end|>\n<|im_start|>user\n"])
def test_chat_alone_can_be_wrong(text: str) -> None:
    verdict = judge(healthy(chat=text), UNKNOWN)
    assert verdict.sanity == Sanity.BROKEN
    assert "it continues plain text well, but in chat it answers" in verdict.reason
    assert verdict.advice[0].startswith("the chat template is that of a different model")


def test_a_server_without_chat_is_judged_by_the_rest() -> None:
    seen_without = healthy(chat=None, chat_refusal="HTTP 400: no chat template")
    assert judge(seen_without, UNKNOWN).sanity == Sanity.SANE


def test_plausible_text_that_is_no_copy_is_doubtful() -> None:
    verdict = judge(healthy(continuation="Bananas are best eaten on the moon."), UNKNOWN)
    assert verdict.sanity == Sanity.DOUBTFUL
    assert "it was to copy a text, and wrote 'Bananas" in verdict.reason


@pytest.mark.parametrize("observed", [
    NAN, healthy(scores=(*scores()[:5], TokenScore(1, math.nan, 1))),
])  # fmt: skip
def test_what_is_no_number_is_broken(observed: Observation) -> None:
    verdict = judge(observed, Circumstances(gpu="cuda", dtype="float16"))
    assert verdict.sanity == Sanity.BROKEN
    assert "NaN" in verdict.reason
    assert verdict.advice[0].startswith("a model made in bfloat16 overflows in float16")


def test_a_server_that_scores_nothing_is_judged_by_what_it_writes() -> None:
    told = "HTTP 400: prompt_logprobs is not supported"
    verdict = judge(healthy(scores=(), refusal=told), ON_CPU)
    assert (verdict.sanity, verdict.perplexity, verdict.reference) == (Sanity.SANE, None, None)
    assert told in verdict.reason
    assert judge(healthy(scores=(), refusal=told, chat=STUCK), ON_CPU).sanity == Sanity.BROKEN


def test_who_answers_nothing_is_unchecked() -> None:
    verdict = judge(Observation(refusal="HTTP 404: Not Found", chat_refusal="HTTP 404"), UNKNOWN)
    assert verdict.sanity == Sanity.UNCHECKED


def test_a_different_tokenizer_is_doubtful_and_its_reference_is_not_compared() -> None:
    shifted = tuple(TokenScore(one.token + 1, one.logprob - 0.5, 0) for one in scores())
    verdict = judge(healthy(scores=shifted), ON_CPU)
    assert verdict.sanity == Sanity.DOUBTFUL
    assert "its tokenizer splits text differently" in verdict.reason


@pytest.mark.parametrize(
    ("signs", "given", "first"),
    [
        ([Symptom.NOISE], Circumstances(gpu="rocm", archs=("gfx1100",)), "aiter"),
        ([Symptom.REPEATS], Circumstances(gpu="rocm", archs=("gfx1201",)), "aiter"),
        ([Symptom.NOISE], Circumstances(gpu="rocm", archs=("gfx942",)), "attention-kernels"),
        (
            [Symptom.NOISE],
            Circumstances(gpu="cuda", archs=("8.9",), quantization="compressed-tensors"),
            "fp8-scales",
        ),
        (
            [Symptom.CANNOT_COPY],
            Circumstances(gpu="cuda", archs=("8.9",), kv_cache_dtype="fp8_e5m2"),
            "fp8-cache",
        ),
        ([Symptom.OFF_REFERENCE], ON_CPU, "processor-kernels"),
        ([Symptom.NOISE], Circumstances(gpu="cuda"), "attention-kernels"),
        ([Symptom.FOREIGN], Circumstances(gpu="cuda"), "damaged-weights"),
        ([Symptom.CHAT_ONLY], Circumstances(gpu="cuda"), "chat-template"),
        ([Symptom.OTHER_TOKENIZER], ON_CPU, "different-model"),
    ],
)
def test_the_cause_that_fits_best_comes_first(
    signs: list[Symptom], given: Circumstances, first: str
) -> None:
    assert judgement.likely(signs, given)[0].id == first


def test_every_symptom_of_the_table_exists() -> None:
    from lifecycle.tables import known_answers

    named = {symptom for cause in known_answers.causes() for symptom in cause.symptoms}
    assert named <= set(Symptom)


def test_a_server_that_is_too_busy_is_not_said_to_score_nothing() -> None:
    busy = "HTTP 429: Too many requests"
    verdict = judge(Observation(refusal=busy, chat_refusal=busy), UNKNOWN)
    assert verdict.sanity == Sanity.UNCHECKED
    assert verdict.reason == f"it refuses the test questions: {busy}"
