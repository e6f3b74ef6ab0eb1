"""The server of a backend, seen through the runtime it was started with."""

from dataclasses import replace

from lifecycle.backend import Backend
from lifecycle.host import Server
from lifecycle.paths import Paths
from lifecycle.runtimes import known_answers, launch, runtime, traces


def look(backend: Backend, paths: Paths) -> Server:
    """Its state now; never raises."""
    found = traces.look(backend.name, paths)
    started = found.launch
    if found.unknown:
        return Server("unknown", started, detail=found.unknown)
    if not found.any and backend.runtime == "docker":
        # Never started, or removed: a machine without Docker has nothing that could tell more.
        return Server()
    module = runtime(found.runtime or started.runtime or backend.runtime)
    key = launch.fingerprint(backend.api_key)
    owner = traces.owner(started, paths, key)
    seen = module.status(backend, paths, started)
    if owner and "refuses our key" in seen.detail:
        # It answers, then: whoever has its key finds it ready.
        name = started.settings.get("SERVED_NAME", "")
        seen = replace(seen, phase="ready", models=(name,) if name else (), detail="")
    if seen.phase == "ready":
        answers = known_answers.read(paths.run(backend.name), seen.since)
        seen = replace(seen, answers=answers)
    if not owner or seen.phase == "stopped":
        return seen
    return replace(seen, owner=owner, owner_gone=traces.gone(owner))
