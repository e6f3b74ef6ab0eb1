"""A client for measuring: requests that are bytes already, on connections that are kept.

Our own, because an HTTP library's time for each request is a multiple of what is measured.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from tests.bench.results import NotMeasured

T = TypeVar("T")
CHAT = "/v1/chat/completions"
LIMIT = 60.0
"""Seconds for any one measurement; who is slower than that is not worth a number."""


@dataclass(frozen=True)
class Way:
    """One way to a model: a port of this machine, and the key that is asked for there."""

    port: int
    key: str

    def request(self, model: str, tokens: int, **more: Any) -> bytes:
        messages = [{"role": "user", "content": "Tell me a story."}]
        body = json.dumps({"model": model, "max_tokens": tokens, "messages": messages, **more})
        return (
            f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()


@dataclass(frozen=True)
class Line:
    """One open connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def begin(self, request: bytes) -> bytes:
        """Send a request; returns the head of its answer, which is a 200."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise NotMeasured(f"an answer was {head.splitlines()[0].decode()}")
        return head

    async def whole(self, request: bytes) -> None:
        """One answer that comes in one piece."""
        head = (await self.begin(request)).lower()
        length = head.partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        await self.reader.readexactly(int(length))

    async def tokens(self, request: bytes) -> list[float]:
        """When the request went out and when each event of its stream came, seconds."""
        times = [time.perf_counter()]
        await self.begin(request)
        while b"[DONE]" not in (event := await self.reader.readuntil(b"\n\n")):
            if b"data: {" in event:
                times.append(time.perf_counter())
        await self.reader.readuntil(b"0\r\n\r\n")
        return times


def run(what: Awaitable[T]) -> T:
    """Bring a measurement to its end, or say why it has none."""

    async def bounded() -> T:
        async with asyncio.timeout(LIMIT):
            return await what

    try:
        return asyncio.run(bounded())
    except (OSError, EOFError, asyncio.LimitOverrunError, ValueError) as problem:
        raise NotMeasured(f"a request broke off: {problem!r}") from None


async def firsts(sides: tuple[tuple[Way, str], ...], streams: int) -> list[list[float]]:
    """Seconds to the first event, of each way to a model; they take turns, stream by stream."""
    found: list[list[float]] = [[] for _ in sides]
    async with _lines(tuple(way for way, _ in sides)) as lines:
        for _ in range(streams):
            for (way, model), line, samples in zip(sides, lines, found, strict=True):
                times = await line.tokens(way.request(model, 1, stream=True))
                samples.append(times[1] - times[0])
    return found


async def gaps(way: Way, model: str, tokens: int) -> list[float]:
    """Seconds between the events of one stream."""
    async with _lines((way,)) as (line,):
        times = await line.tokens(way.request(model, tokens, stream=True, ignore_eos=True))
    return [later - earlier for earlier, later in pairwise(times[1:])]


async def load(way: Way, model: str, clients: int, seconds: float) -> int:
    """Requests answered within so many seconds; each client asks anew when it is answered."""
    request = way.request(model, 1)
    async with _lines((way,) * clients) as lines:
        until = time.perf_counter() + seconds
        return sum(await asyncio.gather(*(_ask_until(until, one, request) for one in lines)))


async def _ask_until(until: float, line: Line, request: bytes) -> int:
    count = 0
    while True:
        await line.whole(request)
        if time.perf_counter() > until:
            return count
        count += 1


@asynccontextmanager
async def _lines(ways: tuple[Way, ...]) -> AsyncIterator[list[Line]]:
    opened = [await asyncio.open_connection("127.0.0.1", way.port) for way in ways]
    try:
        yield [Line(reader, writer) for reader, writer in opened]
    finally:
        for _, writer in opened:
            writer.close()
