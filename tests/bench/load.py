"""A bounded load: some streams at once, each of a fixed number of tokens; loopback only."""

import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor

from lifecycle.backend import Backend
from tests.bench.results import NotMeasured

STREAMS = 8
TOKENS = 96
REQUESTS = 3
"""Of each stream, one after another."""
LIMIT = 180.0
"""Seconds for all of it; a server slower than that is not worth a number."""


def tokens_per_second(backend: Backend) -> float:
    """Generated tokens over wall-clock time, after a short warm-up."""
    _all(backend, requests=1, tokens=8)
    started = time.monotonic()
    generated = _all(backend, requests=REQUESTS, tokens=TOKENS)
    return generated / (time.monotonic() - started)


def _all(backend: Backend, requests: int, tokens: int) -> int:
    deadline = time.monotonic() + LIMIT
    pool = ThreadPoolExecutor(STREAMS)
    try:
        streams = [
            pool.submit(_stream, backend, number, requests, tokens, deadline)
            for number in range(STREAMS)
        ]
        return sum(stream.result() for stream in streams)
    finally:
        # Not waited for: after Ctrl-C the streams end when their server does.
        pool.shutdown(wait=False, cancel_futures=True)


def _stream(backend: Backend, number: int, requests: int, tokens: int, deadline: float) -> int:
    generated = 0
    for request in range(requests):
        # Each prompt is another one: nothing comes out of the prefix cache.
        prompt = f"{number}.{request}. Tell me a long story about a town by the sea:"
        generated += _generate(backend, prompt, tokens, deadline)
    return generated


def _generate(backend: Backend, prompt: str, tokens: int, deadline: float) -> int:
    body = {
        "model": backend.served_name, "prompt": prompt, "max_tokens": tokens,
        "ignore_eos": True, "temperature": 0, "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    headers = {
        "Authorization": f"Bearer {backend.api_key}",
        "Content-Type": "application/json",
    }
    connection = http.client.HTTPConnection("127.0.0.1", backend.port, timeout=60)
    try:
        connection.request("POST", "/v1/completions", json.dumps(body), headers)
        return _usage(connection.getresponse(), deadline)
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as problem:
        raise NotMeasured(f"a stream broke off: {problem!r}") from None
    finally:
        connection.close()


def _usage(answer: http.client.HTTPResponse, deadline: float) -> int:
    """How many tokens the server says it generated: in the last event before the end."""
    if answer.status != http.client.OK:
        raise NotMeasured(f"a stream came back as HTTP {answer.status}: {answer.read(300)!r}")
    last = b""
    for line in answer:
        if line.startswith(b"data: {"):
            last = line
        if time.monotonic() > deadline:
            raise NotMeasured(f"{STREAMS} streams took longer than {LIMIT:g} s")
    return int(json.loads(last.removeprefix(b"data: "))["usage"]["completion_tokens"])
