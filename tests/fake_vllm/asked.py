"""The requests whose answers were recorded from a real vLLM and are asked of the double too."""

import json
from dataclasses import dataclass, replace
from typing import Any, Self

RIGHT_KEY = "Bearer KEY"
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
FRANCE = "What is the capital of France?"


@dataclass(frozen=True)
class Asked:
    """One request; ``MODEL`` in its body and ``KEY`` in its key are filled in when it is sent."""

    name: str
    path: str
    body: dict[str, Any] | str | None = None
    method: str = "POST"
    key: str | None = RIGHT_KEY

    def of_model(self, model: str) -> Self:
        """Return the request with the served model's name in place."""
        if isinstance(self.body, dict) and self.body.get("model") == "MODEL":
            return replace(self, body={**self.body, "model": model})
        return self

    def payload(self) -> str | None:
        """Return the body as it goes over the wire."""
        return json.dumps(self.body) if isinstance(self.body, dict) else self.body


def chat(name: str, text: str = FRANCE, **fields: Any) -> Asked:
    """Return a chat request with one user message, deterministic unless told otherwise."""
    messages = [{"role": "user", "content": text}]
    body = {"model": "MODEL", "messages": messages, "temperature": 0, "max_tokens": 40, **fields}
    return Asked(name, CHAT, body)


def completion(name: str, text: str, **fields: Any) -> Asked:
    """Return a text completion request, deterministic unless told otherwise."""
    body = {"model": "MODEL", "prompt": text, "temperature": 0, "max_tokens": 8, **fields}
    return Asked(name, COMPLETIONS, body)


def get(name: str, path: str, key: str | None = None) -> Asked:
    """Return a GET request, without a key unless told otherwise."""
    return Asked(name, path, None, "GET", key)


LONG = "word " * 6000
WITH_USAGE: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}

REQUESTS = (
    get("health", "/health"),
    get("ping", "/ping"),
    get("version", "/version"),
    get("load", "/load"),
    get("metrics", "/metrics"),
    get("models", "/v1/models", RIGHT_KEY),
    get("models-no-key", "/v1/models"),
    get("models-wrong-key", "/v1/models", "Bearer wrong"),
    get("models-key-without-bearer", "/v1/models", "KEY"),
    get("guarded-unknown-path", "/v1/nothing"),
    get("unknown-path", "/nothing"),
    get("chat-wrong-method", CHAT, RIGHT_KEY),
    Asked("chat-options", CHAT, None, "OPTIONS", None),
    Asked("health-wrong-method", "/health", None),
    Asked("tokenize", "/tokenize", {"model": "MODEL", "prompt": "The capital of France"}, key=None),
    chat("chat"),
    chat("chat-length", "Write a long story about the sea.", max_tokens=8),
    chat("chat-stop", "Count from 1 to 10.", stop=["5"]),
    chat("chat-two-choices", n=2, temperature=1, seed=3),
    chat("chat-stream", stream=True),
    chat("chat-stream-usage", **WITH_USAGE),
    chat("chat-stream-length", "Write a long story about the sea.", max_tokens=4, stream=True),
    chat("chat-stream-length-usage", "Write a long story.", **WITH_USAGE | {"max_tokens": 4}),
    chat("chat-unknown-model", model="nope"),
    chat("chat-too-long", LONG),
    chat("chat-stream-too-long", LONG, stream=True),
    chat("chat-max-tokens-too-big", max_tokens=9_999_999),
    chat("chat-max-tokens-zero", max_tokens=0),
    chat("chat-temperature-negative", temperature=-1),
    chat("chat-temperature-high", temperature=3),
    chat("chat-temperature-text", temperature="x"),
    chat("chat-top-p-high", top_p=2),
    chat("chat-presence-penalty-high", presence_penalty=5),
    chat("chat-frequency-penalty-low", frequency_penalty=-5),
    chat("chat-seed-text", seed="x"),
    chat("chat-greedy-two-choices", n=2),
    chat("chat-no-choices", n=0, temperature=1),
    chat("chat-stream-options-alone", stream_options={"include_usage": True}),
    chat("chat-messages-empty", messages=[]),
    chat("chat-messages-text", messages="x"),
    chat("chat-stream-temperature-negative", temperature=-1, stream=True),
    chat("chat-unknown-field", bogus=1),
    Asked("chat-no-messages", CHAT, {"model": "MODEL"}),
    Asked("chat-not-json", CHAT, "{not json"),
    Asked("chat-no-key", CHAT, {"model": "MODEL"}, key=None),
    completion("completion", "Once upon a time"),
    completion("completion-stream", "Once upon a time", **WITH_USAGE),
    completion("completion-unknown-model", "Hello", model="nope"),
    completion("completion-too-long", LONG),
    Asked("completion-no-prompt", COMPLETIONS, {"model": "MODEL"}),
)
