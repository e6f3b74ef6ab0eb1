"""A model on its way: its files, how fast they come, and what is left. Plain values."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from lifecycle.speed import Speed

WAITING, FETCHING, CHECKING, HERE = "waiting", "fetching", "checking", "here"


@dataclass
class File:
    """One file; sizes in bytes.

    Args:
        done: bytes that are here; while a file is checked: bytes that were looked at.
    """

    path: str
    total: int
    done: int = 0
    state: str = WAITING

    @property
    def at_work(self) -> bool:
        """Whether something happens to it just now."""
        return self.state in {FETCHING, CHECKING}


@dataclass
class Files:
    """All files of a model.

    Args:
        note: what holds things up just now; "" when nothing does.
        events: what a person should read later, too, e.g. in a log: one line each.
        fetched: bytes that came over the network in this run.
    """

    files: dict[str, File] = field(default_factory=dict)
    note: str = ""
    events: list[str] = field(default_factory=list)
    fetched: int = 0
    _speed: Speed = field(default_factory=Speed, repr=False)

    @classmethod
    def of(cls, sizes: Iterable[tuple[str, int]]) -> "Files":
        """Files that are all still to come, from their paths and sizes."""
        return cls({path: File(path, size) for path, size in sizes})

    def take(self, now: float) -> None:
        """Remember how far it is.

        Args:
            now: a clock's seconds; only differences count.
        """
        self._speed.take(self.fetched, now)

    @property
    def done(self) -> int:
        """Bytes that are here."""
        return sum(one.done for one in self.files.values() if one.state != CHECKING)

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return sum(one.total for one in self.files.values())

    @property
    def here(self) -> int:
        """Files that are complete and checked."""
        return sum(one.state == HERE for one in self.files.values())

    def speed(self, now: float) -> float:
        """Bytes a second, over the last seconds."""
        return self._speed.at(self.fetched, now)

    def left(self, now: float) -> float | None:
        """Seconds until all has arrived; None while nothing moves."""
        speed = self.speed(now)
        return max(0, self.total - self.done) / speed if speed else None
