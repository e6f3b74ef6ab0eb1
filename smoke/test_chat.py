"""The answers: right, repeatable, as long as allowed, and counted."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from smoke.server import Server

pytestmark = pytest.mark.smoke

FRANCE = "What is the capital of France?"
COUNT = "Count from 1 to 10."
STORY = "Write a long story about the sea."
CAPITALS = {"France": "Paris", "Germany": "Berlin", "Japan": "Tokyo", "England": "London"}


def test_chat_gives_the_right_answer(server: Server) -> None:
    text = server.text(FRANCE)
    assert "Paris" in text, (
        f"asked {FRANCE!r}, got {text!r}: the weights, the chat template or the precision are wrong"
    )


def test_temperature_zero_is_deterministic(server: Server) -> None:
    texts = {server.text(STORY, max_tokens=32) for _ in range(3)}
    assert len(texts) == 1, f"three greedy answers to one question differ: {sorted(texts)}"


def test_max_tokens_is_honoured(server: Server) -> None:
    answer = server.ask(STORY, max_tokens=8)
    assert answer.usage is not None, "the answer has no usage"
    written, reason = answer.usage.completion_tokens, answer.choices[0].finish_reason
    assert (written, reason) == (8, "length"), (
        f"max_tokens=8 gave {written} tokens and finish_reason {reason!r}, not 8 and 'length'"
    )


def test_stop_is_honoured(server: Server) -> None:
    free = server.text(COUNT)
    assert "5" in free, f"asked {COUNT!r} without a stop, got {free!r}: no 5 to stop at"
    choice = server.ask(COUNT, stop=["5"]).choices[0]
    text = choice.message.content or ""
    assert "4" in text, f"stop=['5'] ended too early: {text!r}"
    assert "5" not in text, f"stop=['5'] was ignored: {text!r}"
    assert choice.finish_reason == "stop", f"finish_reason is {choice.finish_reason!r}, not 'stop'"


def test_usage_adds_up(server: Server) -> None:
    usage = server.ask(FRANCE, max_tokens=16).usage
    assert usage is not None, "the answer has no usage"
    assert usage.prompt_tokens > 0, f"a question of seven words cost no tokens: {usage}"
    assert 0 < usage.completion_tokens <= 16, f"max_tokens=16, but {usage}"
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, (
        f"prompt and completion do not add up to the total: {usage}"
    )


def test_eight_at_once_are_all_right(server: Server) -> None:
    countries = [*CAPITALS, *CAPITALS]
    questions = [f"What is the capital of {country}?" for country in countries]
    with ThreadPoolExecutor(len(questions)) as pool:
        texts = list(pool.map(server.text, questions))
    wrong = {
        question: text
        for country, question, text in zip(countries, questions, texts, strict=True)
        if CAPITALS[country] not in text
    }
    assert not wrong, f"right one by one, wrong when eight ask at once: {wrong}"
