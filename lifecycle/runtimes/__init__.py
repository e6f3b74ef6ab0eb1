"""Ways to run a server. A runtime is a module with these functions, looked up by its name."""

from typing import Protocol

from lifecycle.backend import Backend
from lifecycle.host import Launch, Server
from lifecycle.paths import Paths
from lifecycle.runtimes.drain import Patience
from lifecycle.shell import Shell


class Runtime(Protocol):
    """What every runtime can do with the server of one backend."""

    def status(self, backend: Backend, paths: Paths, launch: Launch) -> Server:
        """Its state now; never raises."""

    def starts(self, backend: str, paths: Paths) -> int:
        """How often the present server was started, by us and then by its supervisor."""

    def dead(self, backend: str, paths: Paths, starts: int) -> str:
        """Why the server is gone, or was started more than `starts` times; "" while neither."""

    def log(self, backend: str, paths: Paths) -> str:
        """The end of the present start's log."""

    def follow(self, backend: str, paths: Paths, lines: int, *, on: bool) -> tuple[str, ...]:
        """The command that prints the log, and goes on printing it when `on`."""

    def carried(self, backend: str, paths: Paths) -> Launch | None:
        """What a server that is there carries of its start, be it empty; None without one.

        Raises:
            EngineSilent: nobody can tell.
        """

    def down(self, backend: str, paths: Paths, shell: Shell, patience: Patience) -> None:
        """Stop it and everything it started; nothing to stop is fine.

        What is noted of it goes last, when it is sure that nothing runs.

        Raises:
            LifecycleError: something runs on, or nobody can tell; the notes stay.
        """


def runtime(name: str) -> Runtime:
    """The module of that name; only the one asked for is imported (Docker's SDK costs 0.2 s)."""
    if name == "docker":
        from lifecycle.runtimes import compose

        return compose
    from lifecycle.runtimes import venv

    return venv
