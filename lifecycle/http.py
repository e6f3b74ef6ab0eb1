"""The door to HTTP: what we ask a server, with a time limit on everything."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import requests

from lifecycle.errors import HostNotReady, ServerUnhealthy
from lifecycle.keys.checks import header_secret
from lifecycle.step import Download

QUICK = 2.0
"""Seconds for an answer that needs no computing."""
NOT_FOUND, SERVER_ERROR = 404, 500
SHOWN = 300
"""Characters of an answer that an error repeats."""
UNEXPECTED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What it raises to read an answer that is no JSON, or not of the API's shape."""
UNFINISHED = re.compile(r"^vllm:num_requests_(?:running|waiting)(?:\{.*\})? (\S+)$", re.MULTILINE)
"""As vllm/v1/metrics/loggers.py names them in vLLM 0.32.0."""


def models(url: str, key: str, limit: float = QUICK) -> tuple[str, ...] | None:
    """The names `/v1/models` lists; None when the server does not answer (yet).

    Raises:
        ServerUnhealthy: it answers, but refuses our key; or the key cannot be sent.
    """
    listed = model_lengths(url, key, limit)
    return None if listed is None else tuple(listed)


def model_lengths(url: str, key: str, limit: float = QUICK) -> dict[str, int] | None:
    """What `/v1/models` lists, with each model's longest prompt and answer together, in tokens.

    0 where it does not say; None when the server does not answer (yet).

    Raises:
        ServerUnhealthy: it answers, but refuses our key.
    """
    try:
        answer = _session().get(f"{url}/v1/models", headers=_headers(key), timeout=limit)
    except requests.RequestException:
        return None
    if answer.status_code == requests.codes.unauthorized:
        raise ServerUnhealthy(
            f"the server at {url} refuses our key",
            why="it was started with another VLLM_API_KEY, or it is not ours",
            fix="Run inv restart, or look who listens there: inv status",
        )
    if not answer.ok:
        return None
    try:
        return {
            str(entry["id"]): int(entry.get("max_model_len") or 0)
            for entry in answer.json()["data"]
        }
    except UNEXPECTED:
        return None


def unfinished(url: str, limit: float = QUICK) -> int | None:
    """How many requests a server computes or keeps waiting, by `/metrics`.

    None when it does not tell: it does not answer, or was started with `--disable-log-stats`.
    """
    try:
        # Without the key: vLLM asks for it below /v1 only.
        answer = _session().get(f"{url}/metrics", timeout=limit)
        counts = [float(count) for count in UNFINISHED.findall(answer.text)]
    except (requests.RequestException, ValueError):
        return None
    return round(sum(counts)) if answer.ok and counts else None


def status(url: str, limit: float = QUICK) -> int:
    """The HTTP status of a page asked for without a key, redirects not followed; 0: no answer."""
    try:
        with (
            _session() as session,
            session.get(url, timeout=limit, allow_redirects=False, stream=True) as answer,
        ):
            return answer.status_code
    except requests.RequestException:
        return 0


def metrics(url: str, limit: float = QUICK) -> str:
    """What `/metrics` of a server says; "" when it does not answer."""
    try:
        answer = _session().get(f"{url}/metrics", timeout=limit)
    except requests.RequestException:
        return ""
    return answer.text if answer.ok else ""


def generation(url: str, key: str, model: str, limit: float = 120) -> str:
    """Why a short generation did not come back; "" when it did."""
    body = {"model": model, "prompt": "Hello", "max_tokens": 4, "temperature": 0}
    try:
        answer = _session().post(
            f"{url}/v1/completions", json=body, headers=_headers(key), timeout=limit
        )
    except ServerUnhealthy as error:
        return f"{error.what}: {error.why}"
    except requests.RequestException as error:
        return f"no answer to a short generation: {error}"
    try:
        if answer.ok and answer.json()["usage"]["completion_tokens"]:
            return ""
    except UNEXPECTED:
        return f"a short generation came back without usage: {answer.text[:SHOWN]}"
    return f"a short generation came back as HTTP {answer.status_code}: {_message(answer)}"


@dataclass(frozen=True)
class Reply:
    """What a server answered to a question.

    Args:
        status: of HTTP; 0 when nothing came back.
        body: the JSON object of a good answer; None for any other.
        refusal: why there is none; "" when there is.
    """

    status: int
    body: dict[str, Any] | None = None
    refusal: str = ""


def post(url: str, path: str, body: dict[str, Any], key: str, limit: float) -> Reply:
    """Ask one question and wait for the whole answer; never raises."""
    try:
        answer = _session().post(url + path, json=body, headers=_headers(key), timeout=limit)
    except ServerUnhealthy as error:
        return Reply(0, refusal=f"{error.what}: {error.why}")
    except requests.RequestException as error:
        return Reply(0, refusal=str(error))
    if not answer.ok:
        return Reply(answer.status_code, refusal=f"HTTP {answer.status_code}: {_message(answer)}")
    try:
        return Reply(answer.status_code, dict(answer.json()))
    except UNEXPECTED:
        return Reply(answer.status_code, refusal=f"no JSON object: {answer.text[:SHOWN]}")


def chat(  # noqa: PLR0913, PLR0917 - a server, a key, and one request
    url: str,
    key: str,
    model: str,
    messages: list[dict[str, str]],
    max_tokens: int,
    on_cut: Callable[[], None] = lambda: None,
) -> Iterator[str]:
    """Stream an answer, piece by piece.

    Args:
        on_cut: called when the answer ends at `max_tokens`, and not by itself.

    Raises:
        ServerUnhealthy: the server refuses, breaks off, falls silent for two minutes, or answers
            in a way that is no stream of the API; or the key cannot be sent.
    """
    body = {"model": model, "messages": messages, "stream": True, "max_tokens": max_tokens}
    try:
        with _session().post(
            f"{url}/v1/chat/completions",
            json=body, headers=_headers(key), timeout=(QUICK, 120), stream=True,
        ) as answer:  # fmt: skip
            if not answer.ok:
                raise ServerUnhealthy(
                    f"the server answered HTTP {answer.status_code}", why=_message(answer)
                )
            yield from _pieces(answer, on_cut)
    except requests.RequestException as error:
        raise ServerUnhealthy(
            "the answer broke off", why=str(error), fix="Look at the log: inv logs"
        ) from None


def download(file: Download, on_line: Callable[[str], None]) -> None:
    """Fetch a file: complete and checked, or not there at all.

    Raises:
        HostNotReady: the server cannot be reached, does not have it, or sent something else.
    """
    part = file.path.with_name(file.path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    try:
        # A session of its own: here the environment's proxy is wanted.
        with requests.get(file.url, stream=True, timeout=(10, 60)) as answer:
            answer.raise_for_status()
            with part.open("wb") as stream:
                for piece in answer.iter_content(1 << 16):
                    stream.write(piece)
                    digest.update(piece)
                    size += len(piece)
                    on_line(f"{file.path.name}: {size / 1e6:.1f} MB")
    except requests.RequestException as error:
        part.unlink(missing_ok=True)
        raise HostNotReady(
            f"cannot fetch {file.url}", why=str(error),
            fix="Check the network (a proxy is read from HTTPS_PROXY), then run the same command "
            "again.",
        ) from None  # fmt: skip
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if file.sha256 and digest.hexdigest() != file.sha256:
        part.unlink()
        raise HostNotReady(
            f"{file.url} is not what it should be",
            why=f"sha256 {digest.hexdigest()}\nwanted {file.sha256}",
            fix="Do not install it. Run the same command again; if that does not help, report it.",
        )
    part.replace(file.path)


def _session() -> requests.Session:
    session = requests.Session()
    # Our servers are on this machine: a proxy of the environment must see neither key nor text.
    session.trust_env = False
    return session


def _pieces(answer: requests.Response, on_cut: Callable[[], None]) -> Iterator[str]:
    """The text of a stream of events.

    https://developers.openai.com/api/reference/resources/chat/subresources/completions/streaming-events
    """
    answer.encoding = "utf-8"
    for line in answer.iter_lines(decode_unicode=True):
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            return
        yield from _texts(data, on_cut)
    raise ServerUnhealthy(
        "the answer broke off", why="its stream has no end mark", fix="Look at the log: inv logs"
    )


def _texts(data: str, on_cut: Callable[[], None]) -> list[str]:
    """The text in one event, for each choice.

    Raises:
        ServerUnhealthy: the event tells of an error, or is none of the API.
    """
    try:
        event: Any = json.loads(data)
        if isinstance(event, dict) and "error" in event:
            raise ServerUnhealthy("the server broke off", why=str(event["error"])[:SHOWN])
        texts = [choice["delta"].get("content") or "" for choice in event["choices"]]
        if isinstance(event["choices"], list) and all(isinstance(text, str) for text in texts):
            if any(choice.get("finish_reason") == "length" for choice in event["choices"]):
                on_cut()
            return texts
    except UNEXPECTED:
        pass
    raise ServerUnhealthy(
        "the server streams something that is no chat",
        why=f"it sent: {data[:SHOWN]}",
        fix="Look who listens there: inv status; and at the log: inv logs",
    )


def _headers(key: str) -> dict[str, str]:
    """The header that proves who asks.

    Raises:
        ServerUnhealthy: the key is none that a header can carry; it is not repeated.
    """
    if not key:
        return {}
    problem = header_secret(key).partition("\n")[0]
    if problem:
        raise ServerUnhealthy(
            "the key cannot be sent", why=f"VLLM_API_KEY {problem}",
            fix="Write VLLM_API_KEY in .env anew, then: inv restart",
        )  # fmt: skip
    return {"Authorization": f"Bearer {key}"}


def _message(answer: requests.Response) -> str:
    try:
        error = answer.json()["error"]
    except UNEXPECTED:
        return answer.text.strip()[:SHOWN] or str(answer.reason)
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)
