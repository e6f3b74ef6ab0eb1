"""Whose server it is: what another checkout started on the same home is not ours to replace."""

from lifecycle.backend import Backend
from lifecycle.errors import HostNotReady
from lifecycle.host import Host, Server
from lifecycle.runtimes import launch
from lifecycle.step import Step


def steps(backend: Backend, host: Host) -> list[Step]:
    """The state folder holds no server of another checkout; only there when one does."""
    if not host.server.owner:
        return []
    error = refusal(backend, host.server)
    return [
        Step(
            id="server.ours",
            name=f"the server of {backend.name} is this checkout's",
            missing=lambda now: error.what if now.server.owner else "",
            fix=error.fix,
        )
    ]


def refusal(backend: Backend, server: Server) -> HostNotReady:
    """Why a command may not touch the server of another checkout, and what it can do instead."""
    name = backend.name
    fresh = "LIFECYCLE_HOME= and PORT= in .env"
    if server.owner_gone:
        return HostNotReady(
            f"a server of {name} {_state(server)}: it belongs to a checkout that is gone",
            why=described(server),
            fix=f"Stop it and start this checkout's: inv up --gpu {name} --take-over\n"
            f"Only stop it: inv down --gpu {name} --take-over",
        )
    return HostNotReady(
        f"a server of {name} {_state(server)}: it belongs to another checkout",
        why=described(server),
        fix=f"Stop it and start this checkout's: inv up --gpu {name} --take-over\n"
        f"Or run both: give this checkout a home and a port of its own ({fresh}).",
    )


def shared(backend: Backend, server: Server) -> bool:
    """Whether another checkout's server takes this one's key: then both may use it."""
    return server.launch.settings.get("VLLM_API_KEY") == launch.fingerprint(backend.api_key)


def described(server: Server) -> str:
    """Whose it is and where it answers, in a line."""
    port = server.launch.settings.get("PORT", "")
    where = f", at 127.0.0.1:{port}" if port else ""
    there = " (no longer there)" if server.owner_gone else ""
    return f"checkout {server.owner}{there}, started in {server.launch.runtime}{where}"


def _state(server: Server) -> str:
    return "runs already" if server.alive else f"is there (phase: {server.phase})"
