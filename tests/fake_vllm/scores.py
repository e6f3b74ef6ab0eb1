"""Log-probabilities of a prompt's tokens, in the shape of vLLM's `prompt_logprobs`."""

from typing import Any

from tests.fake_vllm import tokenizer

NEW, KNOWN, NOISE = -2.5, -0.1, -10.8
"""Nats: of ordinary prose, of a text that is copied, and of a model that knows nothing."""
CONTEXT = 2
"""Tokens that must have stood before for the next one to be known."""


def of(prompt: str, *, noise: bool) -> list[dict[str, Any] | None]:
    """Return a place for each token; the first has no score."""
    texts, numbers = tokenizer.split(prompt), tokenizer.ids(prompt)
    places: list[dict[str, Any] | None] = [None]
    for index in range(1, len(numbers)):
        known = _stood_before(numbers, index)
        logprob = NOISE if noise else KNOWN if known else NEW
        places.append({str(numbers[index]): _entry(logprob, texts[index], noise=noise)})
    return places


def _stood_before(numbers: list[int], index: int) -> bool:
    recent = numbers[max(0, index - CONTEXT) : index + 1]
    size = len(recent)
    return any(numbers[begin : begin + size] == recent for begin in range(index - size + 1))


def _entry(logprob: float, text: str, *, noise: bool) -> dict[str, Any]:
    return {"logprob": logprob, "rank": 900 if noise else 1, "decoded_token": text}
