"""How fast something comes. Plain values."""

from collections import deque
from dataclasses import dataclass, field

WINDOW = 10.0
"""Seconds over which the speed is taken."""


@dataclass
class Speed:
    """Bytes a second over the last seconds, of something that says now and then how far it is."""

    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def take(self, done: int, now: float) -> None:
        """Remember how far it is.

        Args:
            done: bytes.
            now: a clock's seconds; only differences count.
        """
        self._seen.append((now, done))
        self._forget(now)

    def at(self, done: int, now: float) -> float:
        """Bytes a second, when it is so far now; 0 when nothing was heard lately."""
        self._forget(now)
        if not self._seen:
            return 0.0
        since, was = self._seen[0]
        # What is fetched again from its beginning takes bytes away.
        return max(0, done - was) / max(now - since, 1.0)

    def _forget(self, now: float) -> None:
        while self._seen and self._seen[0][0] < now - WINDOW:
            self._seen.popleft()
