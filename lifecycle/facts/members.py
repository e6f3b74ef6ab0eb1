"""The backends behind the gateway, as they describe themselves and as the gateway sees them."""

from collections.abc import Iterable

from lifecycle import http
from lifecycle.backend import Backend
from lifecycle.gateway import health, members
from lifecycle.gateway.members import Member
from lifecycle.host import Standing
from lifecycle.machine import side_by_side
from lifecycle.paths import Paths
from lifecycle.runtimes import launch

ASKING = 3.0
"""Seconds for all backends together."""


def look(some: Iterable[Backend], paths: Paths) -> tuple[list[Member], list[str]]:
    """Every one of them, and the names of those that refuse the gateway's key. Never raises."""
    backends = list(some)
    asked, refused = side_by_side(
        {
            one.name: lambda one=one: http.model_lengths(one.url, members.key(one))  # type: ignore[misc]
            for one in backends
        },
        ASKING,
    )
    found = [
        members.member(
            one,
            asked.get(one.name),  # type: ignore[arg-type]
            started=bool(launch.read(paths.run(one.name)).runtime),
        )
        for one in backends
    ]
    return found, [name for name, why in refused.items() if "refuses our key" in why]


def standing(some: Iterable[Member], port: int) -> list[tuple[Member, Standing]]:
    """Each with its health, load and age. Never raises.

    Args:
        port: of the gateway; the one above it knows whom it takes for up.
    """
    backends = list(some)
    up = health.up(http.metrics(f"http://127.0.0.1:{port + 1}"))
    said, _ = side_by_side(
        {one.name: lambda one=one: http.metrics(one.url) for one in backends},  # type: ignore[misc]
        ASKING,
    )
    return [
        (one, Standing(up.get(one.name), health.load(text), health.started(text)))
        for one in backends
        for text in (str(said.get(one.name, "")),)
    ]
