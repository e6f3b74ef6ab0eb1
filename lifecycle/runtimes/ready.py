"""Wait until a server that was started really answers, as long as it makes progress."""

import time
from collections.abc import Callable

from lifecycle import http
from lifecycle.errors import ServerDied, ServerUnhealthy
from lifecycle.paths import Paths
from lifecycle.runtimes import boot_log, runtime
from lifecycle.step import AwaitReady

POLL_SECONDS = 0.25


def wait(action: AwaitReady, paths: Paths, on_phase: Callable[[str, str], None]) -> None:
    """Return when `/v1/models` shows the name and one short generation came back.

    Raises:
        ServerDied: with the cause.
        ServerUnhealthy: it showed no progress for `stall` seconds.
    """
    server = runtime(action.runtime)
    starts = server.starts(action.backend, paths)
    seen, since = "", time.monotonic()
    while not _listed(action):
        why = server.dead(action.backend, paths, starts)
        if why:
            raise ServerDied(
                f"the server of {action.backend} died in phase {boot_log.phase(seen)}",
                why=why,
                fix=f"The whole log: inv logs --gpu {action.backend}",
            )
        log = server.log(action.backend, paths)
        if log != seen:
            seen, since = log, time.monotonic()
        on_phase(boot_log.phase(log).replace("ready", "warm-up"), boot_log.last_line(log))
        if time.monotonic() - since > action.stall:
            raise ServerUnhealthy(
                f"the server of {action.backend} made no progress for {action.stall:g} s "
                f"in phase {boot_log.phase(log)}",
                why=f"last line of its log: {boot_log.last_line(log)}",
                fix="It is left running. See inv logs; START_STALL_SECONDS= waits longer.",
            )
        time.sleep(POLL_SECONDS)
    on_phase("warm-up", "first generation")
    why = http.generation(action.url, action.key, action.model)
    if why:
        raise ServerUnhealthy(
            f"the server of {action.backend} lists {action.model} but does not generate", why=why
        )


def _listed(action: AwaitReady) -> bool:
    names = http.models(action.url, action.key)
    if names is not None and action.model not in names:
        raise ServerUnhealthy(
            f"{action.url} serves {', '.join(names)}, not {action.model}",
            why="another server answers on this port",
        )
    return names is not None
