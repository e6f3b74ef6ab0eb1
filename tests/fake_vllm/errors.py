"""The refusals of vLLM 0.32.0, word for word."""

import json
from typing import Any


class ApiError(Exception):
    """A refusal that goes to the client as JSON in OpenAI's shape."""

    def __init__(self, message: str, kind: str, param: str | None, status: int) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": status}}


def bad_request(message: str, param: str | None = None) -> ApiError:
    """Return the refusal of a well-formed request that asks for the impossible."""
    return ApiError(message, "BadRequestError", param, 400)


def bad_parameter(message: str, name: str, value: object) -> ApiError:
    """Return the refusal of one parameter's value."""
    return bad_request(f"{message} (parameter={name}, value={value})", name)


def malformed(kind: str, place: str, message: str, given: object, why: str = "") -> ApiError:
    """Return the refusal of a body that does not fit the schema."""
    detail: dict[str, Any] = {"type": kind, "loc": place, "msg": message, "input": shorten(given)}
    if why:
        detail["ctx"] = {"error": why}
    return ApiError(f"1 validation error:\n  {detail}", "Bad Request", place, 400)


def not_json(error: json.JSONDecodeError) -> ApiError:
    """Return the refusal of a body that is not JSON."""
    return malformed("json_invalid", f"body.{error.pos}", "JSON decode error", {}, error.msg)


def wrong_content_type() -> ApiError:
    """Return the refusal of a body that does not call itself JSON."""
    message = "Unsupported Media Type: Only 'application/json' is allowed"
    return ApiError(f"1 validation error:\n  {message}", "Bad Request", None, 400)


def unknown_model(name: str, served: str) -> ApiError:
    """Return the refusal of a model that is not served."""
    message = f"The model `{name}` does not exist. Valid aliases: {served}."
    return ApiError(message, "NotFoundError", "model", 404)


def prompt_too_long(max_model_len: int) -> ApiError:
    """Return the refusal of a prompt that leaves no room for an answer."""
    least = max_model_len + 1
    message = (
        f"This model's maximum context length is {max_model_len} tokens. However, your prompt"
        f" contains at least {least} input tokens, which exceeds this limit even without any"
        " output tokens. Please reduce the length of the input prompt."
    )
    return bad_parameter(message, "input_tokens", least)


def too_many_requests() -> ApiError:
    """Return the refusal of a full queue."""
    return ApiError("Too many requests, try again later.", "TooManyRequestsError", None, 429)


def internal(message: str) -> ApiError:
    """Return the failure of the server itself."""
    return ApiError(message, "InternalServerError", None, 500)


def shorten(given: object) -> object:
    """Return what was given as vLLM repeats it: containers by their size only."""
    if isinstance(given, dict):
        return f"<dict of {len(given)} items>"
    if isinstance(given, list):
        return f"<list of {len(given)} items>"
    return given
