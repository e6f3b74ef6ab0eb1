"""The model computes: ordinary prose is no noise to it, and it copies what it read before."""

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
import requests

from smoke.server import Server

pytestmark = pytest.mark.smoke

KNOWN = tomllib.loads(
    (Path(__file__).parent.parent / "lifecycle" / "data" / "known_answers.toml").read_text()
)
TEXT: str = KNOWN["passage"]["text"]
COPY = TEXT[: TEXT.index(KNOWN["passage"]["breaks_before"])].rstrip()
EXPECTED = TEXT[len(COPY) :].strip()


def ask(server: Server, **fields: Any) -> requests.Response:  # noqa: ANN401
    body = {"model": server.target.model, "prompt": TEXT + COPY, "temperature": 0, "max_tokens": 8}
    return requests.post(
        f"{server.target.url}/v1/completions",
        json={**body, **fields},
        headers={"Authorization": f"Bearer {server.target.api_key}"},
        timeout=server.target.timeout,
    )


def test_prose_is_no_noise(server: Server) -> None:
    answer = ask(server, prompt_logprobs=0, max_tokens=1)
    if answer.status_code == requests.codes.bad_request and "nan" not in answer.text.lower():
        pytest.skip(f"this server does not score prompts: {answer.text[:200]}")
    assert answer.ok, f"scoring a text gave HTTP {answer.status_code}: {answer.text[:200]}"
    places = answer.json()["choices"][0]["prompt_logprobs"][1:]
    scores = [next(iter(place.values()))["logprob"] for place in places]
    perplexity = math.exp(-sum(scores) / len(scores))
    bound = KNOWN["bounds"]["perplexity"]
    assert perplexity < bound, (
        f"ordinary prose has perplexity {perplexity:.0f}, healthy models stay below {bound:.0f}: "
        "inv verify names likely causes"
    )


def test_a_text_is_copied(server: Server) -> None:
    text = ask(server).json()["choices"][0]["text"].strip()
    assert EXPECTED.startswith(text[:8]), f"to go on with {EXPECTED[:30]!r}, it wrote {text!r}"
