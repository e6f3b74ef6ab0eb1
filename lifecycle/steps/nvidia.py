"""Steps about NVIDIA cards."""

from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.step import Step


def card(host: Host) -> list[Step]:
    """In work."""
    del host
    return []


def containers(host: Host, paths: Paths) -> list[Step]:
    """In work."""
    del host, paths
    return []


def setup(host: Host, paths: Paths, *, toolkit: bool) -> list[Step]:
    """In work."""
    del toolkit
    return [*card(host), *containers(host, paths)]
