"""The server of a backend, seen through the runtime it was started with."""

from lifecycle.backend import Backend
from lifecycle.host import Server
from lifecycle.paths import Paths
from lifecycle.runtimes import launch, runtime


def look(backend: Backend, paths: Paths) -> Server:
    """Its state now; never raises."""
    started = launch.read(paths.run(backend.name))
    return runtime(started.runtime or backend.runtime).status(backend, paths, started)
