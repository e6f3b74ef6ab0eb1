"""HTTP/1.1 on asyncio streams: just enough of it, with chunked answers and lost clients."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

HEAD_LIMIT = 65_536
Gone = Callable[[], bool]


class DropConnectionError(Exception):
    """Close the connection at once, whatever has been sent so far."""


@dataclass(frozen=True)
class Request:
    """What a client sent, and whether it is still there."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    gone: Gone


@dataclass(frozen=True)
class Reply:
    """What goes back: a body, or a stream of pieces that are sent as they come."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    stream: AsyncGenerator[bytes, None] | None = None


Handler = Callable[[Request], Awaitable[Reply]]


async def serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler
) -> None:
    """Answer the requests of one connection until one side has had enough."""

    def gone() -> bool:
        return reader.at_eof() or writer.is_closing()

    try:
        while request := await _read_request(reader, writer, gone):
            await _send(writer, await handler(request))
            if request.headers.get("connection", "").lower() == "close":
                break
    except (DropConnectionError, ConnectionError, asyncio.IncompleteReadError):
        writer.transport.abort()
    except asyncio.CancelledError:
        # The server is stopping; the connection's own task has nothing to pass on.
        writer.transport.abort()
    finally:
        writer.close()


async def _read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, gone: Gone
) -> Request | None:
    """Return the next request, or None when the client has closed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.split(":", 1) for line in lines)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _read_body(reader, headers)
    return Request(method, target.split("?", 1)[0], headers, body, gone)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


async def _send(writer: asyncio.StreamWriter, reply: Reply) -> None:
    headers = {"date": formatdate(usegmt=True), "server": "uvicorn", **reply.headers}
    if reply.content_type:
        headers["content-type"] = reply.content_type
    if reply.stream is None:
        headers["content-length"] = str(len(reply.body))
    else:
        headers["transfer-encoding"] = "chunked"
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + reply.body)
    await writer.drain()
    if reply.stream is not None:
        await _send_stream(writer, reply.stream)


async def _send_stream(writer: asyncio.StreamWriter, pieces: AsyncGenerator[bytes, None]) -> None:
    # Closing the source at once, not when it is collected, is what ends a lost client's work.
    async with aclosing(pieces) as source:
        async for piece in source:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
