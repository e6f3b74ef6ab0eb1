"""The double gives the answers that were recorded from a real vLLM: status, shape, refusals."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tests.fake_vllm as package
from tests.fake_vllm import FakeVllm, Settings, fake_vllm
from tests.fake_vllm.asked import REQUESTS, Asked
from tests.fake_vllm.metrics import RECORDED
from tests.fake_vllm.record import ask

KEY = "recorded-key"
RECORDING = Path(package.__file__).parent / "recorded" / "exchanges-0.32.0-cpu.json"
REAL = json.loads(RECORDING.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def server() -> Iterator[FakeVllm]:
    settings = Settings(model=REAL["model"], api_key=KEY, max_model_len=4096, token_seconds=0)
    with fake_vllm(settings) as double:
        yield double


@pytest.mark.parametrize("asked", REQUESTS, ids=lambda asked: asked.name)
def test_answers_as_recorded(server: FakeVllm, asked: Asked) -> None:
    real = REAL["exchanges"][asked.name]
    fake = ask(server.port, KEY, asked.of_model(REAL["model"]))
    assert fake["status"] == real["status"]
    assert fake["content_type"] == real["content_type"]
    assert fake["allow"] == real["allow"]
    if real["status"] == 200:
        assert outline(fake["body"]) == outline(real["body"])
    else:
        assert fake["body"] == real["body"]


@pytest.mark.parametrize("name", ["chat", "chat-stream-usage", "completion"])
def test_counts_tokens_as_recorded(server: FakeVllm, name: str) -> None:
    asked = next(asked for asked in REQUESTS if asked.name == name)
    fake = ask(server.port, KEY, asked.of_model(REAL["model"]))
    assert usage(fake["body"]) == usage(REAL["exchanges"][name]["body"])


def test_metrics_have_the_recorded_names_and_types(server: FakeVllm) -> None:
    recorded = RECORDED.read_text(encoding="utf-8")
    with fake_vllm(Settings(model=REAL["model"])) as fresh:
        shown = fresh.read_metrics()
    assert described(shown) == described(recorded)
    assert sample_names(shown) == sample_names(recorded)
    assert "vllm:num_requests_running" in described(server.read_metrics())


def outline(value: Any) -> Any:
    """Return the keys of a JSON value and the kinds of its leaves; a list by its distinct items."""
    if isinstance(value, dict):
        return {key: outline(item) for key, item in value.items()}
    if isinstance(value, list):
        distinct: list[Any] = []
        for item in map(outline, value):
            if item not in distinct:
                distinct.append(item)
        return distinct
    return value if value == "[DONE]" else type(value).__name__


def usage(body: Any) -> Any:
    whole = body[-2] if isinstance(body, list) else body
    return whole["usage"]


def described(text: str) -> dict[str, str]:
    lines = [line.split() for line in text.splitlines() if line.startswith("# TYPE ")]
    return {name: kind for _, _, name, kind in lines}


def sample_names(text: str) -> list[str]:
    return [line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")]
