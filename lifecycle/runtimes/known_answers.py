"""Ask a server the fixed questions, and keep the verdict beside it."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lifecycle import http
from lifecycle.errors import ServerUnhealthy
from lifecycle.host import Answers, Sanity
from lifecycle.step import CheckAnswers, WriteFile
from lifecycle.tables import known_answers
from lifecycle.tables.known_answers import Passage
from lifecycle.verification.judgement import judge
from lifecycle.verification.observation import Observation, TokenScore

FILE = "answers.json"
LIMIT = 120
"""Seconds for one question; on two busy cores the first one compiles a kernel."""


def check(action: CheckAnswers) -> Answers:
    """Ask, and judge what comes back.

    Raises:
        ServerUnhealthy: it does not answer at all.
    """
    return judge(_observe(action), action.circumstances)


def record(folder: Path, answers: Answers) -> WriteFile:
    """The file that keeps a verdict for `inv status`."""
    return WriteFile(folder / FILE, json.dumps(asdict(answers), indent=1) + "\n", 0o600)


def read(folder: Path, since: float) -> Answers:
    """The verdict on the start that began at `since` (seconds since the epoch).

    That of an earlier start, or a file that cannot be read, is none.
    """
    try:
        kept = json.loads((folder / FILE).read_text())
        answers = Answers(**{
            **kept, "sanity": Sanity(kept["sanity"]), "advice": tuple(kept["advice"]),
        })  # fmt: skip
        return answers if answers.checked >= since else Answers()
    except (OSError, ValueError, KeyError, TypeError):
        return Answers()


def _observe(action: CheckAnswers) -> Observation:
    passage = known_answers.passage()
    # At once: a server computes both in the time of the longer.
    with ThreadPoolExecutor(max_workers=2) as both:
        written = both.submit(_written, action, passage)
        asked = both.submit(_chat, action, passage)
    (scored, refusal), chat = written.result(), asked.result()
    _refuse_silence(action, scored, chat)
    choice = _first_choice(scored.body)
    return Observation(
        scores=_scores(choice.get("prompt_logprobs")),
        refusal=refusal,
        continuation=str(choice.get("text") or ""),
        chat=None if chat.refusal else _answer(_first_choice(chat.body)),
        chat_refusal=chat.refusal,
    )


def _written(action: CheckAnswers, passage: Passage) -> tuple[http.Reply, str]:
    """The passage scored and continued, and why it was not scored; "" when it was."""
    body = {
        "model": action.model, "prompt": passage.prompt, "max_tokens": passage.tokens,
        "temperature": 0, "prompt_logprobs": 1,
    }  # fmt: skip
    scored = http.post(action.url, "/v1/completions", body, action.key, LIMIT)
    refusal = scored.refusal
    if refusal and scored.status != http.NOT_FOUND:
        # Some engines score no prompts (with some kinds of speculation, say); they still write.
        del body["prompt_logprobs"]
        plain = http.post(action.url, "/v1/completions", body, action.key, LIMIT)
        scored = plain if plain.body else scored
    return scored, refusal


def _chat(action: CheckAnswers, passage: Passage) -> http.Reply:
    body = {
        "model": action.model, "messages": [{"role": "user", "content": passage.question}],
        "max_tokens": passage.tokens, "temperature": 0,
    }  # fmt: skip
    return http.post(action.url, "/v1/chat/completions", body, action.key, LIMIT)


def _refuse_silence(action: CheckAnswers, *replies: http.Reply) -> None:
    """A server that fails at both questions is not one that merely does not score."""
    failed = [reply for reply in replies if not reply.status or reply.status >= http.SERVER_ERROR]
    if len(failed) == len(replies):
        raise ServerUnhealthy(
            f"the server of {action.backend} does not answer the test questions",
            why=failed[0].refusal,
            fix=f"Look at its log: inv logs --gpu {action.backend}",
        )


def _first_choice(body: dict[str, Any] | None) -> dict[str, Any]:
    choices = (body or {}).get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    return first if isinstance(first, dict) else {}


def _answer(choice: dict[str, Any]) -> str:
    """The text of a chat answer, or what a model thought aloud before it."""
    message = choice.get("message")
    said = message if isinstance(message, dict) else {}
    names = ("content", "reasoning", "reasoning_content")
    return next((str(said[name]) for name in names if said.get(name)), "")


def _scores(places: object) -> tuple[TokenScore, ...]:
    """VLLM's `prompt_logprobs`: a place for each token, `{id: {logprob, rank, …}}`, the token's own
    entry first and that of rank 1 after it; the first place is null.
    """
    if not isinstance(places, list):
        return ()
    return tuple(_score(place) for place in places if isinstance(place, dict) and place)


def _score(place: dict[str, dict[str, Any]]) -> TokenScore:
    token, entry = next(iter(place.items()))
    logprob = entry.get("logprob")
    ranked = [int(number) for number, other in place.items() if other.get("rank") == 1]
    return TokenScore(
        int(token), math.nan if logprob is None else float(logprob), (ranked or [int(token)])[0]
    )
