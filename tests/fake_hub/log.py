"""What was asked of the stand-in."""

import threading
from dataclasses import dataclass

PATIENCE = 1.0
"""Seconds."""


@dataclass(frozen=True)
class Seen:
    """One request and its answer.

    Args:
        where: `hub` or `cdn`.
        path: without its query.
        range: the Range header; "" without one.
        authorized: whether it carried an Authorization header.
        status: of the answer; 0 when the connection was closed before one.
        sent: bytes of the body that were sent.
    """

    where: str
    method: str
    path: str
    range: str
    authorized: bool
    status: int
    sent: int


class Log:
    """All requests, in the order in which they ended.

    An answer arrives before its request has ended: whoever reads the log waits for those under way,
    but not for one that stalls.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._seen: list[Seen] = []
        self._under_way = 0

    def begin(self) -> None:
        """A request has come."""
        with self._changed:
            self._under_way += 1

    def add(self, seen: Seen) -> None:
        """It has ended."""
        with self._changed:
            self._under_way -= 1
            self._seen.append(seen)
            self._changed.notify_all()

    def all(self) -> list[Seen]:
        """Every request so far."""
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way, PATIENCE)
            return list(self._seen)

    def of(self, where: str) -> list[Seen]:
        """Those to one of the two hosts: `hub` or `cdn`."""
        return [seen for seen in self.all() if seen.where == where]

    def clear(self) -> None:
        """Forget them."""
        self.all()
        with self._changed:
            self._seen.clear()

    def __len__(self) -> int:
        return len(self.all())
