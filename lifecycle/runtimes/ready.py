"""Wait until a server that was started really answers, as long as it makes progress."""

import time
from collections.abc import Callable

from lifecycle import http
from lifecycle.backend import override
from lifecycle.errors import ServerDied, ServerUnhealthy
from lifecycle.paths import Paths
from lifecycle.runtimes import boot_log, memory_log, runtime
from lifecycle.step import AwaitReady

ASK_SECONDS = 0.1
"""Between two questions to the API: cheap, and what decides when `up` returns."""
LOOK_SECONDS = 1.0
"""Between two looks at process and log: dearer, and the server needs the cores itself."""


def wait(action: AwaitReady, paths: Paths, on_phase: Callable[[str, str], None]) -> None:
    """Return when `/v1/models` shows the name and one short generation came back.

    Raises:
        ServerDied: with the cause.
        ServerUnhealthy: it showed no progress for `stall` seconds, or does not generate.
    """
    start = _Start(action, paths)
    while not _listed(action):
        start.look_when_due(on_phase)
        time.sleep(ASK_SECONDS)
    on_phase("warm-up", "first generation")
    why = http.generation(action.url, action.key, action.model)
    if why:
        raise ServerUnhealthy(
            f"the server of {action.backend} lists {action.model} but does not generate", why=why
        )


class _Start:
    """One start, watched from outside: whether it lives, and whether its log moves on."""

    def __init__(self, action: AwaitReady, paths: Paths) -> None:
        self._action, self._paths = action, paths
        self._server = runtime(action.runtime)
        self._starts = self._server.starts(action.backend, paths)
        self._log = ""
        self._due = self._moved = time.monotonic()

    def look_when_due(self, on_phase: Callable[[str, str], None]) -> None:
        """Look, unless the last look was a moment ago."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + LOOK_SECONDS
        self._refuse_dead()
        log = self._server.log(self._action.backend, self._paths)
        if log != self._log:
            self._log, self._moved = log, time.monotonic()
        on_phase(boot_log.phase(log).replace("ready", "warm-up"), boot_log.last_line(log))
        self._refuse_stuck()

    def _refuse_dead(self) -> None:
        backend = self._action.backend
        why = self._server.dead(backend, self._paths, self._starts)
        if not why:
            return
        files = (f"env/{backend}.env", _model_file(backend, self._paths))
        lacked = memory_log.shortage(why, *files)
        figures = memory_log.summary(memory_log.read(self._log)) if lacked else ""
        whole = f"The whole log: inv logs --gpu {backend}"
        raise ServerDied(
            f"the server of {backend} died in phase {boot_log.phase(self._log)}",
            why=f"{why}\n{figures}".rstrip(),
            fix=f"{lacked.fix}\n{whole}" if lacked else whole,
        )

    def _refuse_stuck(self) -> None:
        if time.monotonic() - self._moved > self._action.stall:
            raise ServerUnhealthy(
                f"the server of {self._action.backend} made no progress for "
                f"{self._action.stall:g} s in phase {boot_log.phase(self._log)}",
                why=f"last line of its log: {boot_log.last_line(self._log)}",
                fix="It is left running. See inv logs; START_STALL_SECONDS= waits longer.",
            )


def _model_file(backend: str, paths: Paths) -> str:
    """Where the keys count that go with the model."""
    chosen = override(backend, paths.root)
    file = chosen if chosen.is_file() else paths.root / "env" / f"{backend}.env"
    return file.relative_to(paths.root).as_posix()


def _listed(action: AwaitReady) -> bool:
    names = http.models(action.url, action.key)
    if names is not None and action.model not in names:
        raise ServerUnhealthy(
            f"{action.url} serves {', '.join(names)}, not {action.model}",
            why="another server answers on this port",
        )
    return names is not None
