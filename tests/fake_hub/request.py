"""One request to either host: what both have in common."""

import abc
import json
import re
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fake_hub import body
from tests.fake_hub.body import Part
from tests.fake_hub.faults import NONE, Fault
from tests.fake_hub.gate import Refusal
from tests.fake_hub.log import Seen

if TYPE_CHECKING:
    from tests.fake_hub.server import FakeHub

RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Request(BaseHTTPRequestHandler, abc.ABC):
    """Answers one connection's requests, one after another, and writes each down."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    where = ""

    fault: Fault = NONE
    status = 0
    sent = 0

    @property
    def hub(self) -> "FakeHub":
        hub: FakeHub = self.server.hub  # type: ignore[attr-defined]
        return hub

    @property
    def path_only(self) -> str:
        """The path, decoded, without its query."""
        return unquote(urlsplit(self.path).path)

    def query(self, name: str) -> str:
        """One value of the query; "" without it."""
        return parse_qs(urlsplit(self.path).query).get(name, [""])[0]

    def do_HEAD(self) -> None:
        self._handle()

    def do_GET(self) -> None:
        self._handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: `hub.log` has it."""

    @abc.abstractmethod
    def answer(self) -> None:
        """What each of the two hosts says."""

    def _handle(self) -> None:
        self.hub.log.begin()
        self.status, self.sent = 0, 0
        self.fault = self.hub.faults.befalling(self.where, self.command, self.path_only)
        try:
            if self.fault.status:
                self.refuse(Refusal(self.fault.status, self.fault.code, self.fault.message))
            else:
                self.answer()
        except OSError:  # the client went away
            self.close_connection = True
        finally:
            self.hub.log.add(
                Seen(
                    where=self.where, method=self.command, path=self.path_only,
                    range=self.headers.get("Range", ""),
                    authorized="Authorization" in self.headers,
                    status=self.status, sent=self.sent,
                )
            )  # fmt: skip

    def refuse(self, refusal: Refusal) -> None:
        """An error with the hub's headers; JSON under `/api/`, else plain text."""
        headers = {"X-Error-Message": refusal.message} if refusal.message else {}
        if refusal.code:
            headers["X-Error-Code"] = refusal.code
        if self.fault.retry_after is not None:
            headers["Retry-After"] = str(self.fault.retry_after)
        if refusal.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = 'Bearer realm="Authentication required", charset="UTF-8"'
        api = self.path_only.startswith("/api/")
        text = json.dumps({"error": refusal.message}) if api else refusal.message
        kind = "application/json" if api else "text/plain"
        self.reply(refusal.status, text.encode(), headers, kind=kind)

    def json(self, what: Any, headers: dict[str, str] | None = None) -> None:
        """An answer of the API."""
        content = json.dumps(what).encode()
        self.reply(HTTPStatus.OK, content, headers or {}, kind="application/json")

    def reply(
        self, status: int, content: bytes, headers: dict[str, str], kind: str = "text/plain"
    ) -> None:
        """A short answer."""
        length = {"Content-Type": kind, "Content-Length": str(len(content) + self.fault.lie)}
        self.head(status, {**length, **headers})
        if self.command == "GET":
            cut = len(content) if self.fault.cut_after is None else self.fault.cut_after
            self.wfile.write(content[:cut])
            self.sent = len(content[:cut])
        if self.fault.lie or self.fault.cut_after is not None:
            self.hang_up()

    def file(self, part: Part, size: int, headers: dict[str, str]) -> None:
        """A file or the range of it that was asked for.

        Args:
            size: of the whole file, which `part` is.
        """
        asked = self._asked(size, headers["ETag"])
        if asked is not None and asked[0] >= asked[1]:
            unsatisfied = {"Content-Range": f"bytes */{size}"}
            self.reply(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", unsatisfied)
            return
        start, end = asked or (0, size)
        headers = {**headers, "Accept-Ranges": "bytes"}
        if self.fault.no_length:
            self.close_connection = True
            headers["Connection"] = "close"
        else:
            headers["Content-Length"] = str(end - start + self.fault.lie)
        if asked:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        self.head(HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK, headers)
        if self.command == "HEAD":
            return
        self.wfile.flush()
        self.sent = body.send(self.connection, Part(part.place, start, end), self.fault)
        if self.sent < end - start or self.fault.lie:
            self.hang_up()

    def head(self, status: int, headers: dict[str, str]) -> None:
        """Status and headers."""
        self.status = status
        self.send_response(status)
        if self.fault.etag and "ETag" in headers:
            headers = {**headers, "ETag": self.fault.etag}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def hang_up(self) -> None:
        """Close the connection, so that what is missing is never waited for."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _asked(self, size: int, etag: str) -> tuple[int, int] | None:
        """The first byte asked for and the one after the last; None for the whole file."""
        found = RANGE.fullmatch(self.headers.get("Range", ""))
        if not found or self.fault.no_range:
            return None
        # A changed file is sent whole: https://www.rfc-editor.org/rfc/rfc9110#name-if-range
        if self.headers.get("If-Range", etag) != (self.fault.etag or etag):
            return None
        first, last = found.groups()
        if not first:
            return max(0, size - int(last)), size
        return int(first), min(size, int(last) + 1) if last else size
