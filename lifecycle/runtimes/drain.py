"""Let a server finish what it is answering before it is stopped.

vLLM can do so itself (`--shutdown-timeout`), but only as it was told at its start, and then at
every stop: `inv down` could not keep to its ten seconds. So we watch its counters instead, which
every server shows. That keeps nobody from sending more meanwhile; a gateway in front of it would.
"""

import time
from collections.abc import Callable

from lifecycle import http

LIMIT = 30.0
"""Seconds that requests in flight get."""
ASK_SECONDS = 0.2
LOOKS = 2
"""So often in a row a server must have nothing to do: an answer that was computed is still being
sent, and a prompt that came in is not counted before it was split into tokens."""


def wait(url: str, on_wait: Callable[[int], None], limit: float = LIMIT) -> int | None:
    """Return when a server has nothing to do; else, after `limit` seconds, how much it has.

    Args:
        on_wait: told once how many requests are waited for.

    Returns:
        0 when all is done, the number of requests that are not, None when the server does not tell.
    """
    deadline = time.monotonic() + limit
    idle, told = 0, False
    while idle < LOOKS:
        left = http.unfinished(url)
        if left is None:
            return None
        idle = 0 if left else idle + 1
        if left and time.monotonic() >= deadline:
            return left
        if left and not told:
            told = True
            on_wait(left)
        time.sleep(ASK_SECONDS)
    return 0
