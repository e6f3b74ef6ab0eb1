"""A generation request: read from JSON, checked as vLLM checks it."""

from dataclasses import dataclass
from typing import Any

from tests.fake_vllm import errors, model, tokenizer
from tests.fake_vllm.faults import Fault
from tests.fake_vllm.model import Message
from tests.fake_vllm.settings import Settings

SAMPLING = ("top_p", "seed", "presence_penalty", "frequency_penalty", "n")


@dataclass(frozen=True)
class Wanted:
    """What a client asks for, after all checks."""

    messages: list[Message]
    prompt: str
    prompt_tokens: int
    max_tokens: int
    stop: tuple[str, ...]
    temperature: float
    seed: int | None
    n: int
    stream: bool
    include_usage: bool
    prompt_logprobs: int | None = None


def read_chat(body: dict[str, Any], settings: Settings) -> Wanted:
    """Return the checked chat request, or raise the error vLLM gives."""
    if "messages" not in body:
        raise errors.malformed("missing", "body.messages", "Field required", body)
    if not isinstance(body["messages"], list):
        given = body["messages"]
        raise errors.malformed("list_type", "body.messages", "Input should be a valid list", given)
    messages = [
        Message(str(m.get("role", "")), read_content(m.get("content"))) for m in body["messages"]
    ]
    wanted = _read(body, settings, visible(messages, settings), "")
    if not messages:
        raise errors.bad_request(
            "Cannot apply chat template to an empty conversation. Provide at least one message."
        )
    return wanted


def read_completion(body: dict[str, Any], settings: Settings) -> Wanted:
    """Return the checked text completion request, or raise the error vLLM gives."""
    prompt = body.get("prompt")
    if not prompt:
        message = "Either prompt or prompt_embeds must be provided and non-empty."
        raise errors.bad_request(f"{message} (parameter=prompt)", "prompt")
    return _read(body, settings, [], str(prompt))


def read_content(content: object) -> str:
    """Return a message's text, given plain or as a list of parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return "" if content is None else str(content)


def visible(messages: list[Message], settings: Settings) -> list[Message]:
    """Return the messages a possibly broken model sees."""
    if settings.has(Fault.IGNORES_SYSTEM):
        messages = [message for message in messages if message.role != "system"]
    if settings.has(Fault.FORGETS):
        messages = [m for m in messages[:-1] if m.role == "system"] + messages[-1:]
    return messages


def _read(body: dict[str, Any], settings: Settings, messages: list[Message], prompt: str) -> Wanted:
    _check_types(body)
    _check_model(body, settings)
    tokens = tokenizer.count(prompt) if prompt else model.prompt_tokens(messages)
    _check_length(tokens, settings)
    if not settings.has(Fault.ACCEPTS_ANYTHING):
        _check_ranges(body, settings)
    _check_scores(body, settings)
    stop = body.get("stop") or ()
    options = body.get("stream_options") or {}
    room = max(settings.max_model_len - tokens, 1)
    return Wanted(
        messages=messages,
        prompt=prompt,
        prompt_tokens=tokens,
        max_tokens=max(min(_max_tokens(body) or room, room), 1),
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        temperature=_number(body, "temperature", 1.0),
        seed=body.get("seed"),
        n=1 if settings.has(Fault.IGNORES_N) else max(int(_number(body, "n", 1)), 1),
        stream=bool(body.get("stream")),
        include_usage=bool(options.get("include_usage")),
        prompt_logprobs=body.get("prompt_logprobs"),
    )


def _max_tokens(body: dict[str, Any]) -> int | None:
    asked = body.get("max_completion_tokens")
    value = body.get("max_tokens") if asked is None else asked
    # A text completion is short unless told otherwise; a chat answer may fill the room.
    return 16 if value is None and "prompt" in body else value


def _number(body: dict[str, Any], name: str, default: float) -> float:
    value = body.get(name)
    return default if value is None else float(value)


def _check_types(body: dict[str, Any]) -> None:
    for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
        _check_type(body, name, "float", "number")
    for name in ("max_tokens", "max_completion_tokens", "n", "seed"):
        _check_type(body, name, "int", "integer")
    if body.get("stream_options") and not body.get("stream"):
        message = "Stream options can only be defined when `stream=True`."
        raise errors.bad_request(f"{message} (parameter=stream_options)", "stream_options")


def _check_type(body: dict[str, Any], name: str, kind: str, word: str) -> None:
    value = body.get(name)
    if value is None or isinstance(value, (int, float)):
        return
    message = f"Input should be a valid {word}"
    if isinstance(value, str):
        unable = f"{message}, unable to parse string as {'an' if kind == 'int' else 'a'} {word}"
        raise errors.malformed(f"{kind}_parsing", f"body.{name}", unable, value)
    raise errors.malformed(f"{kind}_type", f"body.{name}", message, value)


def _check_model(body: dict[str, Any], settings: Settings) -> None:
    name = body.get("model") or settings.model
    if name != settings.model and not settings.has(Fault.ANY_MODEL):
        raise errors.unknown_model(name, settings.model)


def _check_length(tokens: int, settings: Settings) -> None:
    if tokens < settings.max_model_len or settings.has(Fault.LONG_PROMPT_200):
        return
    if settings.has(Fault.LONG_PROMPT_500):
        raise errors.internal("EngineCore encountered an issue.")
    raise errors.prompt_too_long(settings.max_model_len)


def _check_ranges(body: dict[str, Any], settings: Settings) -> None:
    _check_max_tokens(_max_tokens(body), settings)
    temperature = _number(body, "temperature", 1.0)
    if temperature < 0:
        message = f"temperature must be non-negative, got {temperature}."
        raise errors.bad_parameter(message, "temperature", temperature)
    if temperature > 2:
        message = f"temperature must be in [0, 2], got {temperature}."
        raise errors.bad_parameter(message, "temperature", temperature)
    top_p = _number(body, "top_p", 1.0)
    if not 0 < top_p <= 1:
        raise errors.bad_parameter(f"top_p must be in (0, 1], got {top_p}.", "top_p", top_p)
    for name in ("presence_penalty", "frequency_penalty"):
        if abs(penalty := _number(body, name, 0)) > 2:
            raise errors.bad_request(f"{name} must be in [-2, 2], got {penalty}.")
    _check_n(int(_number(body, "n", 1)), temperature)
    if settings.has(Fault.REJECTS_SAMPLING):
        for name in SAMPLING:
            if body.get(name) is not None:
                raise errors.bad_request(f"{name} is not supported.", name)


def _check_scores(body: dict[str, Any], settings: Settings) -> None:
    if body.get("prompt_logprobs") is None:
        return
    if settings.has(Fault.NO_SCORES):
        raise errors.bad_request("prompt_logprobs is not supported by this engine.")
    if settings.has(Fault.NOT_A_NUMBER):
        # What starlette's encoder says of NaN: https://docs.python.org/3/library/json.html
        raise errors.bad_request("Out of range float values are not JSON compliant: nan")


def _check_n(n: int, temperature: float) -> None:
    if n < 1:
        raise errors.bad_request(f"n must be at least 1, got {n}.")
    if n > 1 and temperature == 0:
        raise errors.bad_request(f"n must be 1 when using greedy sampling, got {n}.")


def _check_max_tokens(max_tokens: int | None, settings: Settings) -> None:
    if max_tokens is None:
        return
    if max_tokens < 1:
        message = f"max_tokens must be at least 1, got {max_tokens}."
        raise errors.bad_parameter(message, "max_tokens", max_tokens)
    if max_tokens > settings.max_model_len:
        message = (
            f"max_tokens={max_tokens} cannot be greater than"
            f" max_model_len={settings.max_model_len}. Please request fewer output tokens."
        )
        raise errors.bad_parameter(message, "max_tokens", max_tokens)
