"""Steps about docker_engine."""

from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.step import Step


def steps(host: Host, paths: Paths) -> list[Step]:
    """In work."""
    del host, paths
    return []


def setup(host: Host, paths: Paths, source: str) -> list[Step]:
    """In work."""
    del source
    return steps(host, paths)
