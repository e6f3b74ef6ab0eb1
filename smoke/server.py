"""A live server in the hands of a test: plain HTTP and the OpenAI SDK, every call with a limit."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import requests
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from smoke.target import Target

MESSAGES = list[dict[str, str]]


@dataclass(frozen=True)
class Arrival:
    """One chunk of a stream and when it came, in seconds since the request."""

    seconds: float
    chunk: ChatCompletionChunk

    @property
    def text(self) -> str:
        """The text the chunk adds."""
        return (self.chunk.choices[0].delta.content or "") if self.chunk.choices else ""


class Server:
    """Asks one server; nothing here starts, stops or changes it."""

    def __init__(self, target: Target, client: OpenAI) -> None:
        self.target = target
        self.client = client

    def with_key(self, key: str) -> OpenAI:
        """Return a client that shows another key."""
        return self.client.with_options(api_key=key)

    def get(self, path: str, key: str = "") -> requests.Response:
        """Send a plain GET, by default without a key."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return requests.get(self.target.url + path, headers=headers, timeout=self.target.timeout)

    def ask(self, said: str | MESSAGES, **parameters: Any) -> ChatCompletion:  # noqa: ANN401
        """Return the answer to a question or a conversation, greedy and short by default."""
        answer = self.client.chat.completions.create(**self._request(said, parameters))
        assert isinstance(answer, ChatCompletion)
        return answer

    def text(self, said: str | MESSAGES, **parameters: Any) -> str:  # noqa: ANN401
        """Return the text of the answer alone."""
        return self.ask(said, **parameters).choices[0].message.content or ""

    def stream(self, said: str | MESSAGES, **parameters: Any) -> list[Arrival]:  # noqa: ANN401
        """Return the chunks of a streamed answer with their times."""
        request = self._request(said, parameters)
        started = time.monotonic()
        with self.client.chat.completions.create(**request, stream=True) as chunks:
            return [Arrival(time.monotonic() - started, chunk) for chunk in chunks]

    def max_model_len(self) -> int:
        """Return the model's longest prompt and answer together, in tokens, as the server says."""
        listed = self.get("/v1/models", self.target.api_key).json()["data"]
        lengths = {model["id"]: model["max_model_len"] for model in listed}
        return int(lengths.get(self.target.model) or listed[0]["max_model_len"])

    def _request(self, said: str | MESSAGES, parameters: dict[str, Any]) -> dict[str, Any]:
        messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
        defaults = {"model": self.target.model, "temperature": 0, "max_tokens": 24}
        return {**defaults, **parameters, "messages": messages}


def joined(arrivals: Iterable[Arrival]) -> str:
    """Return the text of a whole stream."""
    return "".join(arrival.text for arrival in arrivals)
