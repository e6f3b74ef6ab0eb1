"""A short, bounded load on a server of ours: how many tokens a second it writes."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from lifecycle import http
from lifecycle.backend import Backend
from lifecycle.errors import ServerUnhealthy

if TYPE_CHECKING:
    from collections.abc import Iterable

STREAMS = 8
TOKENS = 64
ROUNDS = 3
LIMIT = 120
"""Seconds for one answer."""


def tokens_per_second(backend: Backend) -> float:
    """The best of some rounds: other work on the machine only ever makes one slower.

    Raises:
        ServerUnhealthy: a request failed.
    """
    _round(backend, -1, tokens=8)
    speeds = []
    for number in range(ROUNDS):
        begun = time.monotonic()
        written = _round(backend, number, TOKENS)
        speeds.append(written / (time.monotonic() - begun))
    return max(speeds)


def _round(backend: Backend, number: int, tokens: int) -> int:
    with ThreadPoolExecutor(STREAMS) as pool:
        counts: Iterable[int] = pool.map(
            lambda stream: _answer(backend, f"{number}.{stream}", tokens), range(STREAMS)
        )
        return sum(counts)


def _answer(backend: Backend, label: str, tokens: int) -> int:
    body = {
        "model": backend.served_name, "max_tokens": tokens, "temperature": 0, "ignore_eos": True,
        # Each prompt begins differently: nothing comes out of the prefix cache.
        "prompt": f"{label}: Tell me a long story about a town by the sea.",
    }  # fmt: skip
    reply = http.post(backend.url, "/v1/completions", body, backend.api_key, LIMIT)
    usage = (reply.body or {}).get("usage")
    if not isinstance(usage, dict):
        raise ServerUnhealthy(
            f"the server of {backend.name} does not write under load",
            why=reply.refusal or "its answer tells no usage",
            fix=f"inv logs --gpu {backend.name}",
        )
    return int(usage.get("completion_tokens", 0))
