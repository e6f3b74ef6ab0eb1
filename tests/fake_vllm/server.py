"""One double: bound at once, listening once it has booted, as vLLM does."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from tests.fake_vllm import boot, wire
from tests.fake_vllm.app import App
from tests.fake_vllm.faults import Fault
from tests.fake_vllm.settings import Settings

# A load test opens many connections in one moment.
BACKLOG = 512
SETTLING_TURNS = 10
POLL_SECONDS = 0.02


class CrashedAtBootError(Exception):
    """The double was told to die before it listened."""


class Server:
    """Binds when it is made, so that its address is known before it can be reached."""

    def __init__(self, settings: Settings, crash: Callable[[], None] | None = None) -> None:
        # The protocol by its number: asyncio sets TCP_NODELAY on no other socket, and each second
        # piece of a stream would wait 40 ms for the client's delayed acknowledgement.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((settings.host, settings.port))
        except OSError:
            self._socket.close()
            raise
        settings.port = self._socket.getsockname()[1]
        self.settings = settings
        self.app = App(settings, crash or self.stop)
        self._connections: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """Where it will be reached."""
        scheme = "https" if self.settings.certificate else "http"
        return f"{scheme}://{self.settings.host}:{self.settings.port}"

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Boot, listen, and answer until it is stopped."""
        self._loop = asyncio.get_running_loop()
        with self._socket:
            await self._boot()
            if self._stopped.is_set():
                return
            listening = await asyncio.start_server(
                self._connected, sock=self._socket, backlog=BACKLOG, limit=wire.HEAD_LIMIT,
                ssl=_tls(self.settings.certificate),
            )  # fmt: skip
            ready()
            try:
                await self._stopped.wait()
                await self._drain()
            finally:
                # Accept no more before closing: asyncio leaks a connection that it has
                # accepted when the server is closed under it.
                self._loop.remove_reader(self._socket)
                await _settle()
                listening.close()
                await self._hang_up()

    def stop(self) -> None:
        """Stop as soon as possible; safe to call from its own loop only."""
        self._stopped.set()

    def stop_from_outside(self) -> None:
        """Stop from another thread."""
        if self._loop is not None:
            # The loop is closed already where the server has ended by itself.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.stop)

    async def _boot(self) -> None:
        for wait, line in boot.replay(self.settings):
            if wait:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), wait)
            if self._stopped.is_set():
                return
            if self.settings.log:
                print(line, flush=True)
        if self.settings.has(Fault.CRASH_AT_BOOT):
            raise CrashedAtBootError

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await wire.serve(reader, writer, self.app.handle)
        finally:
            self._connections.discard(task)

    async def _drain(self) -> None:
        """Let requests in flight finish, and the last of them reach its client."""
        deadline = self._now() + self.settings.shutdown_timeout
        while self._now() < deadline and self.app.in_flight():  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(POLL_SECONDS)
        if self.settings.shutdown_timeout:
            await asyncio.sleep(POLL_SECONDS)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _hang_up(self) -> None:
        connections = tuple(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await _settle()


def _tls(certificate: Path | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


async def _settle() -> None:
    """Let asyncio finish what it has begun: a connection takes a few turns to open or to close."""
    for _ in range(SETTLING_TURNS):
        await asyncio.sleep(0)
