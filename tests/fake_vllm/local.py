"""The double inside a test: a server in a thread, for as long as a `with` block lasts."""

import asyncio
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.fake_vllm.app import Seen
from tests.fake_vllm.faults import parse_faults
from tests.fake_vllm.server import CrashedAtBootError, Server
from tests.fake_vllm.settings import Settings

READY_SECONDS = 60


class FakeVllm:
    """A handle on a running double."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return self._server.url

    @property
    def port(self) -> int:
        """Its port on this machine."""
        return self._server.settings.port

    @property
    def settings(self) -> Settings:
        """How it was started."""
        return self._server.settings

    @property
    def seen(self) -> list[Seen]:
        """The requests it has answered, oldest first."""
        return list(self._server.app.seen)

    def metric(self, name: str, telling: str = "") -> float:
        """Return what a counter or gauge stands at, read without a request."""
        return self._server.app.metrics.value(name, telling)

    def read_metrics(self) -> str:
        """Return what /metrics would say, read without a request."""
        return self._server.app.metrics.render()

    def become(self, *faults: str) -> None:
        """Have these faults from now on, and no others; without any it is healthy again."""
        self._server.settings.faults = parse_faults(faults)


@contextmanager
def fake_vllm(
    settings: Settings | None = None, *, faults: Iterable[str] = (), wait: bool = True
) -> Iterator[FakeVllm]:
    """Run a double; with ``wait`` it is listening when the block begins."""
    base = settings or Settings()
    server = Server(replace(base, faults=base.faults | parse_faults(faults)))
    crashed: list[CrashedAtBootError] = []
    ready = threading.Event()

    def run() -> None:
        try:
            asyncio.run(server.run(ready.set))
        except CrashedAtBootError as error:
            crashed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="fake-vllm", daemon=True)
    thread.start()
    try:
        if wait:
            assert ready.wait(READY_SECONDS), "the double did not get ready"
            if crashed:
                raise crashed[0]
        yield FakeVllm(server)
    finally:
        server.stop_from_outside()
        thread.join(READY_SECONDS)
