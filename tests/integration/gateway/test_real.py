"""A real Traefik before a real vLLM, twice: two servers of the small model on the CPU, in order."""

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from lifecycle.gateway import health
from tests.integration import prepared
from tests.integration.checkout import Checkout, free_port, free_triple
from tests.integration.gateway.running import Gateway, begun, stream

MODEL = prepared.MODEL
COMPLETIONS = "/v1/completions"
TIERS = {"first": "TIER=gpu\nMAX_IN_FLIGHT=1\n", "second": "TIER=cpu\n"}
"""One is called a card, and takes one request at a time."""


@pytest.fixture(scope="module")
def real(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Both servers and the gateway, each brought up by its command."""
    place = tmp_path_factory.mktemp("real")
    made = Gateway(checkout(place, engine.parent.parent), free_triple())
    with (made.checkout.root / ".env").open("a") as file:
        file.write(f"GATEWAY_PORT={made.port}\n")
    try:
        for name in TIERS:
            done = made.checkout.inv("up", "--gpu", name, limit=600)
            assert done.returncode == 0, done.stderr
        with made.up():
            for name in TIERS:
                made.until(name, up=True)
            yield made
    finally:
        for name in TIERS:
            made.checkout.inv("down", "--gpu", name, limit=60)


def checkout(place: Path, users: Path) -> Checkout:
    """A checkout with a home of its own; engine, model and compiled code are the user's."""
    home = place / "home"
    home.mkdir()
    for shared in ("engines", "models", "cache"):
        (home / shared).symlink_to(users / shared)
    made = Checkout.copy(place / "checkout", "first", free_port())
    text = made.env_file.read_text()
    for file in (made.root / "env").glob("*.env"):
        file.unlink()
    for name, tier in TIERS.items():
        file = made.root / "env" / f"{name}.env"
        file.write_text(text.replace(f"PORT={made.port}", f"PORT={free_port()}") + tier)
    made.env["LIFECYCLE_HOME"] = str(home)
    return made


@pytest.fixture(scope="module")
def key(real: Gateway) -> str:
    """What `inv key.add` shows, this once."""
    shown = real.inv("key.add", "alice")
    (found,) = [word for word in shown.split() if word.startswith("sk-vllm-")]
    return found


def completion(tokens: int) -> dict[str, Any]:
    return {"model": MODEL, "prompt": "Once upon a time", "max_tokens": tokens, "ignore_eos": True}


def ask(real: Gateway, key: str, tokens: int) -> tuple[int, Any]:
    answer = real.ask(COMPLETIONS, completion(tokens), key, **{"Content-Type": "application/json"})
    return answer.status, json.loads(answer.body)


def rows(real: Gateway) -> dict[str, dict[str, Any]]:
    told = json.loads(real.inv("gateway.status", "--json"))
    return {row["name"]: row for row in told["backends"]}


def computes(real: Gateway, name: str, count: int, limit: float = 20) -> None:
    """Wait until a server computes so many requests."""
    port = real.file(name).read_text().partition("PORT=")[2].split()[0]
    deadline = time.monotonic() + limit
    while True:
        page = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
        found = health.load(page)
        if found == count:
            return
        assert time.monotonic() < deadline, f"{name} computes {found:g} and not {count}"
        time.sleep(0.02)


def process(real: Gateway, name: str) -> int:
    """The number of a server's process."""
    return int(json.loads(real.inv("status", "--gpu", name, "--json"))["backends"][0]["pid"])


def test_an_answer_and_a_stream_come_through(real: Gateway, key: str) -> None:
    status, answer = ask(real, key, 8)
    assert status == 200
    assert answer["usage"]["completion_tokens"] == 8
    with stream(real.port, key, completion(8), COMPLETIONS) as response:
        events = [line for line in response if line.startswith(b"data: ")]
    assert events[-1] == b"data: [DONE]\n"
    assert len(events) > 4
    assert real.served_by(MODEL) == {"first": 2}


def test_two_at_once_are_one_each(real: Gateway, key: str) -> None:
    with begun(real.port, key, completion(3000), COMPLETIONS):
        computes(real, "first", 1)
        assert ask(real, key, 4)[0] == 200
        assert real.log()[-1]["ServiceName"] == "backend-second@file"
        assert rows(real)["first"]["in_flight"] == 1
    computes(real, "first", 0)


def test_status_shows_both(real: Gateway) -> None:
    shown = rows(real)
    assert {name: (row["tier"], row["max_in_flight"]) for name, row in shown.items()} == {
        "first": ("gpu", 1), "second": ("cpu", 8),
    }  # fmt: skip
    for row in shown.values():
        assert (row["models"], row["models_from"], row["up"]) == ([MODEL], "server", True)
        assert row["in_flight"] == 0
        assert 0 < time.time() - row["since"] < 600
    assert shown["first"]["since"] < shown["second"]["since"]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_that_leaves_ends_its_generation(
    real: Gateway, key: str, *, streamed: bool
) -> None:
    body = completion(3000) | {"stream": streamed}
    with begun(real.port, key, body, COMPLETIONS):
        computes(real, "first", 1)
    computes(real, "first", 0)


def test_kill_9_before_the_first_byte_is_answered_by_the_other(real: Gateway, key: str) -> None:
    pid = process(real, "first")
    before = real.served_by(MODEL)
    with ThreadPoolExecutor(1) as crew:
        asked = crew.submit(ask, real, key, 60)
        computes(real, "first", 1)
        os.kill(pid, signal.SIGKILL)
        status, answer = asked.result()
    assert (status, answer["usage"]["completion_tokens"]) == (200, 60)
    assert real.served_by(MODEL) - before == {"second": 1}


def test_kill_9_after_the_first_byte_is_an_error_to_the_client(real: Gateway, key: str) -> None:
    """The first is still starting again: it is the second that answers, and is killed."""
    pid = process(real, "second")
    with stream(real.port, key, completion(3000), COMPLETIONS) as response:
        assert response.readline().startswith(b"data: {")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(http.client.IncompleteRead) as broken:
            response.read()
    assert b"[DONE]" not in broken.value.partial
