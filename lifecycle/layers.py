"""An image on its way: its layers, how fast it comes, and what is left, read off Docker's events.

The events are those of `POST /images/create`: https://docs.docker.com/reference/api/engine/.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lifecycle.speed import Speed

WAITING, FETCHING, AGAIN, FETCHED, UNPACKING, HERE = (
    "waiting", "fetching", "fetching again", "fetched", "unpacking", "here",
)  # fmt: skip
STATES = {
    "Pulling fs layer": WAITING,
    "Waiting": WAITING,
    "Downloading": FETCHING,
    "Verifying Checksum": FETCHED,
    "Download complete": FETCHED,
    "Extracting": UNPACKING,
    "Pull complete": HERE,
    "Already exists": HERE,
}
"""What Docker says of a layer, of both its image stores (Engine 26.1, recorded)."""
RETRYING = "Retrying in "
DIGEST = "Digest: "


@dataclass
class Layer:
    """One layer; sizes in bytes as they travel, 0 while unknown.

    Args:
        unpacked: how much of the bytes has been unpacked.
    """

    state: str = WAITING
    done: int = 0
    total: int = 0
    unpacked: int = 0

    @property
    def sized(self) -> bool:
        """Whether its share of the total is known; one that is here need not come at all."""
        return bool(self.total) or self.state in {FETCHED, UNPACKING, HERE}

    @property
    def at_work(self) -> bool:
        """Whether something happens to it just now."""
        return self.state in {FETCHING, AGAIN, UNPACKING}

    @property
    def shown(self) -> int:
        """What its bar shows: bytes fetched, then bytes unpacked."""
        return self.unpacked if self.state == UNPACKING else self.done

    def take(self, state: str, current: int, total: int) -> None:
        """What Docker says of it now."""
        self.state = state
        if state == FETCHING and total:
            # After a break Docker counts, and calls the total, only what was left then.
            self.total = max(self.total, total)
            self.done = self.total - total + current
        elif state == UNPACKING and total:
            # Some stores count seconds here, without a total.
            self.unpacked = current
        if state in {FETCHED, UNPACKING, HERE}:
            self.done = self.total


@dataclass
class Pull:
    """All of an image.

    Args:
        digest: what it turned out to be; "" until it is here.
        note: why nothing moves just now; "" when something does.
    """

    reference: str
    layers: dict[str, Layer] = field(default_factory=dict)
    digest: str = ""
    note: str = ""
    _speed: Speed = field(default_factory=Speed, repr=False)

    def take(self, event: Mapping[str, Any], now: float) -> None:
        """One event.

        Args:
            now: a clock's seconds; only differences count.
        """
        said, name = str(event.get("status", "")), str(event.get("id", ""))
        detail = event.get("progressDetail") or {}
        if said.startswith(DIGEST):
            self.digest = said.removeprefix(DIGEST)
        elif said.startswith(RETRYING):
            self.layers.setdefault(name, Layer()).state = AGAIN
        elif said in STATES:
            layer = self.layers.setdefault(name, Layer())
            layer.take(STATES[said], int(detail.get("current", 0)), int(detail.get("total", 0)))
        self.note = ""
        self._speed.take(self.done, now)

    def begin_again(self, why: str) -> None:
        """The attempt failed, another one follows."""
        self.layers.clear()
        self._speed = Speed()
        self.note = why

    @property
    def done(self) -> int:
        """Bytes that have arrived."""
        return sum(layer.done for layer in self.layers.values())

    @property
    def total(self) -> int:
        """Bytes of all layers whose size is known: Docker tells it when a layer begins to come."""
        return sum(layer.total for layer in self.layers.values())

    @property
    def sized(self) -> bool:
        """Whether the total is all of it."""
        return all(layer.sized for layer in self.layers.values())

    @property
    def here(self) -> int:
        """Layers that are fetched and unpacked."""
        return sum(layer.state == HERE for layer in self.layers.values())

    def speed(self, now: float) -> float:
        """Bytes a second, over the last seconds."""
        return self._speed.at(self.done, now)

    def left(self, now: float) -> float | None:
        """Seconds until all has arrived; None while that cannot be told."""
        speed = self.speed(now)
        return (self.total - self.done) / speed if self.sized and speed else None
