"""The routes: who may ask, what is asked, what goes back."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from tests.fake_vllm import errors, shapes, tokenizer
from tests.fake_vllm.engine import ClientGoneError, Engine, Step
from tests.fake_vllm.faults import Fault
from tests.fake_vllm.metrics import RUNNING, WAITING, Metrics
from tests.fake_vllm.parameters import Wanted, read_chat, read_completion
from tests.fake_vllm.sampling import Choice
from tests.fake_vllm.settings import VERSION, Settings
from tests.fake_vllm.wire import DropConnectionError, Gone, Reply, Request

# Everything else answers without a key, as in vLLM.
GUARDED = ("/v1", "/v2", "/inference", "/cohere")
JSON = "application/json"
EVENTS = "text/event-stream; charset=utf-8"
PROMETHEUS = "text/plain; version=1.0.0; charset=utf-8"
CUT_AFTER = 3
NO_ANSWER = 0
"""In place of a status: the connection was dropped."""
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Seen:
    """One request and the status it was answered with, kept for the tests."""

    method: str
    path: str
    status: int


class App:
    """Answers requests; `seen` holds what it answered."""

    def __init__(self, settings: Settings, crash: Callable[[], None]) -> None:
        self.settings = settings
        self.metrics = Metrics(settings.model)
        self.seen: list[Seen] = []
        # Frozen metrics: the books are kept, but in a copy that nobody is shown.
        books = Metrics(settings.model) if settings.has(Fault.FROZEN_METRICS) else self.metrics
        self._engine = Engine(settings, books)
        self._crash = crash
        self._routes: dict[str, dict[str, Callable[[Request], Awaitable[Reply]]]] = {
            "/health": {"GET": self._health},
            "/ping": {"GET": self._health, "POST": self._health},
            "/version": {"GET": self._version},
            "/load": {"GET": self._load},
            "/metrics": {"GET": self._metrics_text},
            "/tokenize": {"POST": self._tokenize},
            "/v1/models": {"GET": self._models},
            "/v1/chat/completions": {"POST": self._chat},
            "/v1/completions": {"POST": self._completion},
        }

    async def handle(self, request: Request) -> Reply:
        """Return the reply to one request, refusals included."""
        try:
            reply = await self._answer(request)
        except errors.ApiError as error:
            reply = as_json(error.body, error.status)
        except Exception:
            self.seen.append(Seen(request.method, request.path, NO_ANSWER))
            raise
        self.seen.append(Seen(request.method, request.path, reply.status))
        if self.settings.log:
            line = f'INFO:     127.0.0.1:0 - "{request.method} {request.path} HTTP/1.1"'
            print(f"{line} {reply.status}", flush=True)
        return reply

    async def _answer(self, request: Request) -> Reply:
        if self.settings.has(Fault.HANG):
            await self._wait_for_ever(request.gone)
        if request.path.startswith(GUARDED) and not self._may_enter(request):
            return as_json({"error": "Unauthorized"}, 401)
        route = self._routes.get(request.path.rstrip("/"))
        if route is None:
            return as_json({"detail": "Not Found"}, 404)
        if request.method not in route:
            reply = as_json({"detail": "Method Not Allowed"}, 405)
            reply.headers["allow"] = next(iter(route))
            return reply
        return await route[request.method](request)

    def _may_enter(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        if request.method == "OPTIONS" or not self.settings.api_key:
            return True
        if self.settings.has(Fault.OPEN_DOOR):
            return True
        if self.settings.has(Fault.WRONG_KEY_ACCEPTED):
            return bool(given)
        return given == f"Bearer {self.settings.api_key}"

    async def _wait_for_ever(self, gone: Gone) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if gone():
                raise ClientGoneError

    def in_flight(self) -> int:
        """How many requests are computed or wait."""
        return round(self.metrics.value(RUNNING) + self.metrics.value(WAITING))

    async def _health(self, _: Request) -> Reply:
        return Reply(503 if self.settings.has(Fault.HEALTH_503) else 200)

    async def _version(self, _: Request) -> Reply:
        return as_json({"version": VERSION})

    async def _load(self, _: Request) -> Reply:
        return as_json({"server_load": 0})

    async def _metrics_text(self, _: Request) -> Reply:
        if self.settings.has(Fault.NO_METRICS):
            return as_json({"detail": "Not Found"}, 404)
        text = self.metrics.render()
        if self.settings.has(Fault.RENAMED_METRICS):
            text = text.replace("vllm:", "vllm_")
        return Reply(200, text.encode(), PROMETHEUS)

    async def _models(self, _: Request) -> Reply:
        return as_json(shapes.models(self.settings))

    async def _tokenize(self, request: Request) -> Reply:
        tokens = tokenizer.ids(str(read_json(request).get("prompt", "")))
        return as_json(
            {
                "count": len(tokens),
                "max_model_len": self.settings.max_model_len,
                "tokens": tokens,
                "token_strs": None,
            }
        )

    async def _chat(self, request: Request) -> Reply:
        wanted = read_chat(read_json(request), self.settings)
        form = shapes.Form("chat", self.settings, wanted, shapes.new_id("chatcmpl"))
        return await self._generate(form, wanted, request.gone)

    async def _completion(self, request: Request) -> Reply:
        wanted = read_completion(read_json(request), self.settings)
        form = shapes.Form("text", self.settings, wanted, shapes.new_id("cmpl"))
        return await self._generate(form, wanted, request.gone)

    async def _generate(self, form: shapes.Form, wanted: Wanted, gone: Gone) -> Reply:
        await self._fail_early()
        if instead := self._instead():
            return instead
        choices = self._engine.choices(wanted)
        if wanted.stream:
            events = self._events(form, wanted, choices, gone)
            return Reply(200, content_type=EVENTS, stream=events)
        async for _ in self._engine.run(wanted, choices, gone):
            pass
        return as_json(form.whole(choices))

    async def _fail_early(self) -> None:
        if self.settings.has(Fault.CRASH_ON_REQUEST):
            self._crash()
            raise DropConnectionError
        if self.settings.has(Fault.DROP_CONNECTION):
            raise DropConnectionError
        if self.settings.has(Fault.STATUS_429):
            raise errors.too_many_requests()
        if self.settings.has(Fault.STATUS_500):
            raise errors.internal("EngineCore encountered an issue.")
        if self.settings.has(Fault.SLOW_FIRST_BYTE):
            await asyncio.sleep(self.settings.fault_seconds)

    def _instead(self) -> Reply | None:
        """What takes the place of an answer in a shape that is not OpenAI's."""
        return next((INSTEAD[one] for one in INSTEAD if self.settings.has(one)), None)

    async def _events(
        self, form: shapes.Form, wanted: Wanted, choices: list[Choice], gone: Gone
    ) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._steps(wanted, choices, gone)) as steps:
            # With the first token, as vLLM does: what comes before it is no sign of one.
            opening = choices if form.is_chat else []
            async for step in steps:
                for choice in opening:
                    yield as_event(form.opening(choice))
                opening = []
                if step.text or step.last:
                    yield as_event(form.chunk(step))
        if wanted.include_usage and not self.settings.has(Fault.NO_USAGE):
            yield as_event(form.usage_chunk(choices))
        yield b"data: [DONE]\n\n"

    async def _steps(
        self, wanted: Wanted, choices: list[Choice], gone: Gone
    ) -> AsyncGenerator[Step, None]:
        """Yield the engine's tokens as a possibly broken stream passes them on."""
        held: list[Step] = []
        late = self.settings.has(Fault.BUFFERED_STREAM) or self.settings.has(Fault.NO_STREAM)
        async with aclosing(self._engine.run(wanted, choices, gone)) as steps:
            sent = 0
            async for step in steps:
                if late:
                    held.append(step)
                    continue
                if self.settings.has(Fault.CUT_STREAM) and sent == CUT_AFTER:
                    raise DropConnectionError
                yield step
                sent += 1
        if self.settings.has(Fault.NO_STREAM):
            held = [Step(choice, choice.text, last=True) for choice in choices]
        for step in held:
            yield step


def read_json(request: Request) -> dict[str, Any]:
    """Return the request's JSON object, or raise the error vLLM gives."""
    if not request.headers.get("content-type", JSON).startswith(JSON):
        raise errors.wrong_content_type()
    try:
        body = json.loads(request.body)
    except json.JSONDecodeError as error:
        raise errors.not_json(error) from None
    if not isinstance(body, dict):
        raise errors.malformed("dict_type", "body", "Input should be a valid dictionary", body)
    return body


def as_json(body: object, status: int = 200) -> Reply:
    """Return a JSON reply."""
    return Reply(status, json.dumps(body, separators=(",", ":")).encode(), JSON)


def as_event(body: object) -> bytes:
    """Return one server-sent event."""
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


INSTEAD = {
    # A proxy of Go's says nothing more: https://pkg.go.dev/net/http/httputil#ReverseProxy
    Fault.STATUS_502: Reply(502),
    # As in vllm/entrypoints/serve/elastic_ep/middleware.py.
    Fault.STATUS_503: as_json(
        {"error": "The model is currently scaling. Please try again later."}, 503
    ),
    Fault.STATUS_504: Reply(504, b"Gateway Timeout", "text/plain"),
}
