"""The server of a backend, seen through the runtime it was started with."""

from dataclasses import replace

from lifecycle.backend import Backend
from lifecycle.host import Server
from lifecycle.paths import Paths
from lifecycle.runtimes import known_answers, launch, runtime


def look(backend: Backend, paths: Paths) -> Server:
    """Its state now; never raises."""
    run = paths.run(backend.name)
    started = launch.read(run)
    server = runtime(started.runtime or backend.runtime).status(backend, paths, started)
    if server.phase != "ready":
        return server
    return replace(server, answers=known_answers.read(run, server.since))
