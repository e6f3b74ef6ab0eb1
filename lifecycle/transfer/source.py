"""Where the bytes come from: a hub's address, the store it sends us to, and all they can answer."""

import contextlib
import email.utils
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests import Session

from lifecycle.errors import ModelUnavailable
from lifecycle.transfer.item import Item, Patience

PIECE = 1 << 18
"""Bytes read at once: what a cut connection loses at most, and what memory a connection needs."""
HOPS = 8
REDIRECTS = {301, 302, 303, 307, 308}
EXPIRED = {400, 401, 403, 404, 410}
"""What stores say of a signed address whose time is over (S3 and CloudFront: 403, others 400)."""
BUSY = 429
AT_LEAST = 1.0
"""Seconds; a server that says "come back in 0 seconds" again and again must not be pressed."""
PASSING = {408, 425, 500, 502, 503, 504}
RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
RATE_LIMIT = re.compile(r";\s*t\s*=\s*(\d+)")


class Refused(ModelUnavailable):
    """The host will not give a file out, and says so.

    Args:
        status: the HTTP status.
        code: its `X-Error-Code` (`GatedRepo`, `EntryNotFound`, ...); "" without one.
        said: its `X-Error-Message`, for a person.
    """

    def __init__(self, item: Item, host: str, status: int, code: str, said: str) -> None:
        super().__init__(
            f"{host} does not give {item.path} out (HTTP {status})", why=said or code,
            fix="Look at the repository's page, and whether HF_TOKEN may read it.",
        )  # fmt: skip
        self.status = status
        self.code = code
        self.said = said


class Broken(Exception):
    """An attempt failed; another one may not."""


class OutOfRange(Broken):
    """416: the server thinks the file shorter than the list says, or is confused."""


class Wait(Exception):
    """The server says when to come back.

    Args:
        seconds: from now.
    """

    def __init__(self, why: str, seconds: float) -> None:
        super().__init__(why)
        self.seconds = seconds


@dataclass(frozen=True)
class _Address:
    """Where an item is just now; `known` when its host may see our headers."""

    url: str
    known: bool

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc.rpartition("@")[2]


class Source:
    """Opens ranges of items; remembers where each one was found.

    The address a hub redirects to is asked again for every range, not the hub: hubs count requests.
    https://huggingface.co/docs/hub/rate-limits
    """

    def __init__(self, headers: Mapping[str, str], patience: Patience) -> None:
        self.patience = patience
        self._headers = dict(headers)
        self._found: dict[str, _Address] = {}
        self._lock = threading.Lock()

    def session(self) -> Session:
        """One for each thread; the environment's proxy and certificates are wanted here."""
        return Session()

    def open(self, session: Session, item: Item, start: int, end: int) -> "Body":
        """Ask for bytes `start` to `end` (not included); for all of them without a range.

        Raises:
            Refused: for good.
            Wait: come back later.
            Broken: for now.
        """
        wanted = "" if (start, end) == (0, item.size) else f"bytes={start}-{end - 1}"
        answer, host = self._answer(session, item, wanted)
        try:
            return _body(answer, item, start, end, host)
        except BaseException:
            answer.close()
            raise

    def _answer(self, session: Session, item: Item, wanted: str) -> tuple[requests.Response, str]:
        with self._lock:
            found = self._found.get(item.url)
        if found:
            answer = self._get(session, found, wanted)
            if answer.status_code not in EXPIRED and answer.status_code not in REDIRECTS:
                return _good(answer, item, found), found.host
            answer.close()
            with self._lock:
                self._found.pop(item.url, None)
        return self._resolve(session, item, wanted)

    def _resolve(self, session: Session, item: Item, wanted: str) -> tuple[requests.Response, str]:
        at = _Address(item.url, known=True)
        for _ in range(HOPS):
            answer = self._get(session, at, wanted)
            if answer.status_code not in REDIRECTS:
                good = _good(answer, item, at)
                with self._lock:
                    self._found[item.url] = at
                return good, at.host
            _drain(answer)
            url = urljoin(at.url, answer.headers.get("Location", ""))
            # Once it has left the hub's host the token never comes back into play.
            known = at.known and not _elsewhere(session, item.url, url)
            at = _Address(url, known)
        raise Broken(f"{at.host}: more than {HOPS} redirects")

    def _get(self, session: Session, at: _Address, wanted: str) -> requests.Response:
        headers = {
            name: text
            for name, text in self._headers.items()
            if at.known or name.lower() == "user-agent"
        }
        # As it is: a compressed file has other ranges, and another digest.
        headers["Accept-Encoding"] = "identity"
        if wanted:
            headers["Range"] = wanted
        try:
            return session.get(
                at.url, headers=headers, stream=True, allow_redirects=False, auth=_as_given,
                timeout=(self.patience.connect, self.patience.stall),
            )  # fmt: skip
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise Broken(f"{at.host}: {_reason(error)}") from None


@dataclass(eq=False)
class Body:
    """An answer that is being read.

    Args:
        start: the first byte that comes.
        whole: the server sends the file from its beginning whatever it was asked for.
        etag: of exactly these bytes; "" without a strong one.
        encoded: it is compressed on the way, although we asked for it as it is.
    """

    answer: requests.Response
    host: str
    start: int
    whole: bool
    etag: str
    encoded: bool = False

    def pieces(self, count: int) -> Iterator[bytes]:
        """The next `count` bytes, and not one more.

        Raises:
            Broken: the connection was cut, or fell silent.
        """
        while count:
            try:
                piece = self._read(min(PIECE, count))
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise Broken(f"{self.host}: {_reason(error)}") from None
            if not piece:
                raise Broken(f"{self.host}: the connection ended early")
            count -= len(piece)
            yield piece

    def _read(self, most: int) -> bytes:
        return bytes(self.answer.raw.read(most, decode_content=self.encoded))

    def wake(self) -> None:
        """End a read that another thread is in."""
        with contextlib.suppress(Exception):
            self.answer.raw.shutdown()

    def close(self) -> None:
        """Give the connection back, or up when there is more in it."""
        self.answer.close()


def _as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Send the headers as they are: without this, requests would look for a password in .netrc."""
    return request


def _elsewhere(session: Session, old: str, new: str) -> bool:
    """Whether an Authorization header must not follow; requests knows the rules."""
    return bool(session.should_strip_auth(old, new))  # type: ignore[no-untyped-call]


def _good(answer: requests.Response, item: Item, at: _Address) -> requests.Response:
    """The answer, if it brings bytes."""
    status = answer.status_code
    if status in {200, 206}:
        return answer
    _drain(answer)
    answer.close()
    told = _told(answer.headers)
    if told is not None and (status == BUSY or status in PASSING):
        raise Wait(f"{at.host} answered HTTP {status}", max(told, AT_LEAST))
    if status == 416:
        raise OutOfRange(f"{at.host} has no such range of {item.path} (HTTP 416)")
    if status == BUSY or status in PASSING or not at.known:
        raise Broken(f"{at.host} answered HTTP {status}")
    raise Refused(
        item, at.host, status,
        answer.headers.get("X-Error-Code", ""), answer.headers.get("X-Error-Message", ""),
    )  # fmt: skip


def _body(answer: requests.Response, item: Item, start: int, end: int, host: str) -> Body:
    encoded = answer.headers.get("Content-Encoding", "identity") != "identity"
    etag = "" if encoded else _strong(answer.headers.get("ETag", ""))
    if answer.status_code == 200:
        return Body(answer, host, 0, (start, end) != (0, item.size), etag, encoded)
    match = RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if not match or int(match[1]) != start or encoded:
        raise OutOfRange(f"{host} sent another range of {item.path} than was asked for")
    if match[3] not in {"*", str(item.size)}:
        raise OutOfRange(f"{host} says {item.path} has {match[3]} bytes; the list: {item.size}")
    return Body(answer, host, start, whole=False, etag=etag)


def _strong(etag: str) -> str:
    """A weak ETag says nothing about single bytes: RFC 9110, 8.8.1."""
    return "" if etag.startswith("W/") else etag


def _told(headers: Mapping[str, str]) -> float | None:
    """Seconds a server asks to wait; None when it does not say.

    Retry-After is a number or a date (RFC 9110, 10.2.3); the hub's own header is `RateLimit`:
    https://huggingface.co/docs/hub/rate-limits
    """
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    if text and (date := email.utils.parsedate_tz(text)):
        return max(0.0, email.utils.mktime_tz(date) - time.time())
    match = RATE_LIMIT.search(headers.get("RateLimit", ""))
    return float(match[1]) if match else None


def _drain(answer: requests.Response) -> None:
    """Read a short body to its end, so that its connection can be used again."""
    with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
        answer.raw.read(1 << 16)


def _reason(error: Exception) -> str:
    """What went wrong, in words of ours: theirs hold whole addresses, and those are signed."""
    kinds: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
        ((requests.ConnectTimeout,), "no connection came about"),
        ((requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError), "it fell silent"),
        ((requests.exceptions.ProxyError,), "the proxy does not let us through"),
        ((requests.exceptions.SSLError, urllib3.exceptions.SSLError), "its certificate is no good"),
    )
    for types, words in kinds:
        if isinstance(error, types):
            return words
    cause: Any = _root(error)
    text = getattr(cause, "strerror", None)
    return str(text) if text else "the connection was cut or refused"


def _root(error: BaseException) -> BaseException:
    """The exception all began with; urllib3 and requests keep it in `args` or `reason`."""
    for _ in range(6):
        inner = getattr(error, "reason", None) or next(
            (one for one in error.args if isinstance(one, BaseException)), None
        )
        if not isinstance(inner, BaseException):
            return error
        error = inner
    return error
