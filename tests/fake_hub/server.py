"""The two hosts: the hub, and the CDN its signed URLs point to."""

import hashlib
import hmac
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from tests.fake_hub.cdn import CdnRequest
from tests.fake_hub.faults import Fault, Faults
from tests.fake_hub.gate import Token
from tests.fake_hub.hub import HubRequest
from tests.fake_hub.log import Log
from tests.fake_hub.repos import Repos
from tests.fake_hub.request import Request


class FakeHub:
    """A hub that runs in threads of this process while it is entered.

    Args:
        root: the folder of repos.
        tokens: what is known of each token; any other is invalid.
        url_seconds: how long a signed URL is good.
        page: files on one page of a tree.
    """

    def __init__(
        self,
        root: Path,
        *,
        port: int = 0,
        tokens: Mapping[str, Token] | None = None,
        url_seconds: float = 3600,
        page: int = 1000,
    ) -> None:
        self.repos = Repos(root)
        self.tokens = dict(tokens or {})
        self.url_seconds = url_seconds
        self.page = page
        self.faults = Faults()
        self.log = Log()
        self._secret = hashlib.sha256(str(time.time_ns()).encode()).digest()
        self._hub = _Server(self, HubRequest, port)
        self._cdn = _Server(self, CdnRequest, 0)

    @property
    def url(self) -> str:
        """The endpoint: what HF_ENDPOINT must be."""
        return f"http://127.0.0.1:{self._hub.server_port}"

    @property
    def cdn(self) -> str:
        """The host of the weight files."""
        return f"http://127.0.0.1:{self._cdn.server_port}"

    def fault(self, fault: Fault) -> None:
        """Switch a fault on."""
        self.faults.add(fault)

    def signed(self, path: str) -> str:
        """A URL of the CDN that is good for a while."""
        expires = f"{time.time() + self.url_seconds:.3f}"
        return f"{self.cdn}{quote(path)}?Expires={expires}&Signature={self._sign(path, expires)}"

    def good(self, path: str, expires: str, signature: str) -> bool:
        """Whether a URL was signed by us and has not expired."""
        fresh = bool(expires) and time.time() < float(expires)
        return fresh and hmac.compare_digest(self._sign(path, expires), signature)

    def _sign(self, path: str, expires: str) -> str:
        return hmac.new(self._secret, f"{path} {expires}".encode(), "sha256").hexdigest()

    def start(self) -> Self:
        """Listen; `stop` ends it."""
        for server in (self._hub, self._cdn):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Close everything, connections in use included."""
        for server in (self._hub, self._cdn):
            server.shutdown()
            server.server_close()
            server.hang_up()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, hub: FakeHub, handler: type[Request], port: int) -> None:
        self.hub = hub
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        request, address = super().get_request()
        self._open.add(request)
        return request, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        self._open.discard(request[1] if isinstance(request, tuple) else request)
        super().shutdown_request(request)

    def handle_error(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any
    ) -> None:
        """Say nothing of clients that go away: many tests are about those."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """End what is still open: a keep-alive connection outlives its server otherwise."""
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
