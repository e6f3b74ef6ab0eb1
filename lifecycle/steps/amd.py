"""Steps about amd."""

from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.step import Step


def steps(host: Host, paths: Paths) -> list[Step]:
    """In work."""
    del host, paths
    return []


def setup(host: Host, paths: Paths, recipe: str) -> list[Step]:
    """In work."""
    del recipe
    return steps(host, paths)
