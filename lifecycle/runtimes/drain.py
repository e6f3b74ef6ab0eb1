"""Let a server finish what it is answering while it is stopped.

vLLM does so itself from 0.18 on (`--shutdown-timeout`, from DRAIN_SECONDS): when it is told to end
it refuses new requests (HTTP 500) and finishes those in flight, within the limit of its start. That
holds for every way to stop it, Docker's and a shutdown of the machine, too. A server that was
started without is watched by its counters instead, and nobody keeps others from sending more.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from lifecycle import http
from lifecycle.host import Launch
from lifecycle.keys import KEYS

KEY = "DRAIN_SECONDS"
TEARDOWN = 10
"""Seconds that a server gets after its requests, to let go of its memory: under one on the CPU. One
whose requests were not done hangs as long: it goes on waiting for their connections to close."""
LEAST = 20
"""Seconds that a server gets in any case. vLLM itself gives ROCm 15 when it gives requests none
(v1/engine/utils.py of 0.33.0: ended earlier, memory of the card may stay taken)."""
ENDING = 3.0
"""Seconds that a server gets to end when nothing is left to answer: it needs one, or hangs."""
ASK_SECONDS = 0.2
LOOKS = 2
"""So often in a row a server must have nothing to do: an answer that was computed is still being
sent, and a prompt that came in is not counted before it was split into tokens."""


def silent(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Patience:
    """How a server is stopped.

    Args:
        now: do not wait for requests in flight.
        tell: gets a line for a person: whom it waits for, what was cut off.
    """

    now: bool = False
    tell: Callable[[str], None] = silent


def limit(started: Launch) -> int:
    """Seconds that a server's requests in flight get by itself; 0 when it was not told so."""
    text = started.settings.get(KEY, "")
    return int(text) if text.isdecimal() else 0


def stop_seconds(drains: int) -> int:
    """Within which a server has ended once it is told to, whatever it is doing.

    Args:
        drains: what its requests in flight get of that.
    """
    return max(drains + TEARDOWN, LEAST)


def begin(started: Launch, patience: Patience) -> None:
    """Before a server is told to end: say whom it will wait for, or wait here if it does not.

    Raises:
        KeyboardInterrupt: the person does not want to wait; the server was not told to end yet.
    """
    port = started.settings.get("PORT", "")
    if patience.now or not port:
        return
    url = f"http://127.0.0.1:{port}"
    left = http.unfinished(url)
    own = limit(started)
    if not left or started.settings.get(KEY) == "0":
        return
    seconds = own or int(KEYS[KEY].default)
    patience.tell(
        f"waiting for {requests(left)} in flight, {seconds} s at most (Ctrl-C cuts them off)"
    )
    if not own:
        cut = wait(url, seconds)
        if cut:
            patience.tell(f"{requests(cut)} not done after {seconds} s: cut off")


class Idle:
    """Whether a server that was told to end has nothing left to answer, and only hangs.

    vLLM 0.32 on the CPU does, when it was started with a limit for requests in flight: its engine
    process finishes them and then does not end before the limit is over (seen by us).
    """

    def __init__(self, started: Launch) -> None:
        self._url = f"http://127.0.0.1:{started.settings.get('PORT', '')}"
        self._since: float | None = None

    def __call__(self) -> bool:
        """Ask its counters; true when they were at nothing for `ENDING` seconds."""
        now = time.monotonic()
        # Without an answer nobody knows: a busy machine may be slow to tell.
        if http.unfinished(self._url) != 0:
            self._since = None
        elif self._since is None:
            self._since = now
        return self._since is not None and now - self._since >= ENDING


def wait(url: str, limit: float) -> int | None:
    """Return when a server has nothing to do; else, after `limit` seconds, how much it has.

    Returns:
        0 when all is done, the number of requests that are not, None when the server does not tell.
    """
    deadline = time.monotonic() + limit
    idle = 0
    while idle < LOOKS:
        left = http.unfinished(url)
        if left is None:
            return None
        idle = 0 if left else idle + 1
        if left and time.monotonic() >= deadline:
            return left
        time.sleep(ASK_SECONDS)
    return 0


def requests(count: int) -> str:
    """So many requests, in words."""
    return "1 request" if count == 1 else f"{count} requests"
