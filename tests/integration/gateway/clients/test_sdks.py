"""The clients of OpenAI and Anthropic hear the same from the gateway as from the server."""

import asyncio
from typing import Any

import anthropic
import openai
import pytest

from tests.integration.gateway.clients.conftest import Way, Ways

MESSAGES: list[Any] = [{"role": "user", "content": "Hello"}]
LIMIT = 300
"""Seconds for an answer on a machine with other work."""


def by_openai(way: Way) -> dict[str, Any]:
    with openai.OpenAI(base_url=f"{way.url}/v1", api_key=way.key, timeout=LIMIT) as client:
        asked: dict[str, Any] = {"model": way.model, "max_tokens": 8, "temperature": 0}
        chat = client.chat.completions.create(messages=MESSAGES, **asked)
        pieces = client.chat.completions.create(
            messages=MESSAGES, stream=True, stream_options={"include_usage": True}, **asked
        )
        chunks = list(pieces)
        completion = client.completions.create(prompt="Once upon a time", **asked)
        response = client.responses.create(
            model=way.model, input="Hello", max_output_tokens=16, temperature=0
        )
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(messages=MESSAGES, **asked | {"model": "nobodys"})
        with pytest.raises(openai.NotFoundError):
            client.embeddings.create(model=way.model, input="Hello")
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(messages=MESSAGES, **asked | {"temperature": -1})
        return {
            "chat": chat.choices[0].message.content,
            "usage": chat.usage,
            "streamed": "".join(c.choices[0].delta.content or "" for c in chunks if c.choices),
            "streamed usage": chunks[-1].usage,
            "completion": completion.choices[0].text,
            "response": response.output_text,
            "models": [one.id for one in client.models.list()],
            "refused": refused.value.body,
        }


def by_anthropic(way: Way) -> dict[str, Any]:
    with anthropic.Anthropic(base_url=way.url, auth_token=way.key, timeout=LIMIT) as client:
        asked: dict[str, Any] = {"model": way.model, "messages": MESSAGES}
        # The client of today has no such parameter, vLLM has.
        greedy = {"temperature": 0}
        message = client.messages.create(max_tokens=8, extra_body=greedy, **asked)
        with client.messages.stream(max_tokens=8, extra_body=greedy, **asked) as pieces:
            streamed = "".join(pieces.text_stream)
        with pytest.raises(anthropic.NotFoundError):
            client.messages.create(max_tokens=8, **asked | {"model": "nobodys"})
        return {
            "message": [one.model_dump() for one in message.content],
            "usage": message.usage.model_dump(),
            "streamed": streamed,
            "counted": client.messages.count_tokens(**asked).input_tokens,
        }


def test_openai(ways: Ways) -> None:
    assert by_openai(ways.through) == by_openai(ways.direct)


def test_anthropic(ways: Ways) -> None:
    assert by_anthropic(ways.through) == by_anthropic(ways.direct)


def test_anthropics_own_header_is_a_key_at_the_gateway(ways: Ways) -> None:
    way = ways.through
    with anthropic.Anthropic(base_url=way.url, api_key=way.key, timeout=LIMIT) as client:
        assert client.messages.create(model=way.model, messages=MESSAGES, max_tokens=2).content
    with (
        anthropic.Anthropic(base_url=way.url, api_key="sk-wrong") as client,
        pytest.raises(anthropic.AuthenticationError) as refused,
    ):
        client.messages.create(model=way.model, messages=MESSAGES, max_tokens=2)
    assert isinstance(refused.value.body, dict)
    assert refused.value.body["error"]["type"] == "authentication_error"


def test_many_at_once_lose_none(ways: Ways) -> None:
    async def ask_all(way: Way) -> list[object]:
        async with openai.AsyncOpenAI(
            base_url=f"{way.url}/v1", api_key=way.key, timeout=LIMIT, max_retries=0
        ) as client:
            asked = [
                client.completions.create(model=way.model, prompt="Hello", max_tokens=4)
                for _ in range(24)
            ]
            return await asyncio.gather(*asked, return_exceptions=True)

    assert {type(one).__name__ for one in asyncio.run(ask_all(ways.through))} == {"Completion"}
