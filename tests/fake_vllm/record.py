"""Record what a real vLLM answers, so that the double can be held against it.

Run it against a live server that was started with ``--max-model-len 4096``, from the root::

    VLLM_API_KEY=... python -m tests.fake_vllm.record --port 8000 --model NAME > FILE

and keep FILE as ``recorded/exchanges-<version>-<device>.json``.
"""

import argparse
import http.client
import json
import os
import sys
from typing import Any

from tests.fake_vllm.asked import REQUESTS, Asked

TIMEOUT_SECONDS = 120


def ask(port: int, key: str, asked: Asked) -> dict[str, Any]:
    """Send one request to the server on this machine and return what came back."""
    headers = {} if asked.key is None else {"Authorization": asked.key.replace("KEY", key)}
    headers["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(asked.method, asked.path, asked.payload(), headers)
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    content_type = response.headers["Content-Type"]
    return {
        "status": response.status,
        "content_type": content_type,
        "allow": response.headers["Allow"],
        "body": read_body(content_type, text),
    }


def read_body(content_type: str | None, text: str) -> Any:
    """Return the JSON value, the list of events, or the plain text of a response."""
    if content_type is None:
        return text
    if content_type.startswith("application/json"):
        return json.loads(text)
    if content_type.startswith("text/event-stream"):
        return read_events(text)
    return None


def read_events(text: str) -> list[Any]:
    """Return the events of a stream; the closing ``[DONE]`` stays a string."""
    events = []
    for line in text.splitlines():
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            events.append(data if data == "[DONE]" else json.loads(data))
    return events


def main() -> None:
    """Print every recorded exchange as one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True)
    options = parser.parse_args()
    key = os.environ["VLLM_API_KEY"]
    exchanges = {
        asked.name: ask(options.port, key, asked.of_model(options.model)) for asked in REQUESTS
    }
    json.dump({"model": options.model, "exchanges": exchanges}, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
