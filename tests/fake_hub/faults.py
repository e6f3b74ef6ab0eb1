"""What can go wrong between the hub and us: one description for each request it befalls."""

import threading
from dataclasses import dataclass
from fnmatch import fnmatch


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and with which requests. Several effects may stand in one fault.

    Args:
        path: a glob for the request's path without its query; `*` also matches `/`. Paths:
            `/api/models/<repo>/revision/main`, `/<repo>/resolve/<sha>/<file>` (hub),
            `/<repo>/<sha256>/<file>` (CDN).
        where: `hub` or `cdn`; "" is both. Bodies of weight files come from the CDN.
        method: `GET` or `HEAD`; "" is both.
        after: so many matching requests pass unharmed first.
        times: so many are harmed then; 0 is all.
        status: answer with this status instead; with `code`, `message`, `retry_after` (seconds).
        cut_after: close the connection after so many bytes of the body.
        lie: add this to the Content-Length (the body stays as it is; then the connection closes).
        no_range: answer a Range with 200 and the whole file.
        no_length: send no Content-Length; the end of the connection ends the body.
        corrupt: flip the byte at this offset of the file.
        rate: bytes a second.
        stall_after: send so many bytes of the body, then nothing more for `stall` seconds.
        etag: answer with this ETag instead.
    """

    path: str = "*"
    where: str = ""
    method: str = ""
    after: int = 0
    times: int = 0
    status: int = 0
    code: str = ""
    message: str = ""
    retry_after: int | None = None
    cut_after: int | None = None
    lie: int = 0
    no_range: bool = False
    no_length: bool = False
    corrupt: int | None = None
    rate: int = 0
    stall_after: int | None = None
    stall: float = 30
    etag: str = ""

    def concerns(self, where: str, method: str, path: str) -> bool:
        """Whether it is about such a request."""
        return (
            self.where in {"", where} and self.method in {"", method} and fnmatch(path, self.path)
        )


NONE = Fault()


class Faults:
    """The faults switched on, each with the number of requests it has seen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: list[tuple[Fault, list[int]]] = []

    def add(self, fault: Fault) -> None:
        """Switch one on; the first that fits a request is the one that befalls it."""
        with self._lock:
            self._seen.append((fault, [0]))

    def clear(self) -> None:
        """Switch all off."""
        with self._lock:
            self._seen.clear()

    def befalling(self, where: str, method: str, path: str) -> Fault:
        """What this request suffers; `NONE` when nothing."""
        with self._lock:
            for fault, seen in self._seen:
                if not fault.concerns(where, method, path):
                    continue
                seen[0] += 1
                over = fault.times and seen[0] > fault.after + fault.times
                if seen[0] > fault.after and not over:
                    return fault
        return NONE
