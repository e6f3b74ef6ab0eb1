"""What the gateway should be, and what its two forms (plain, in a container) have in common."""

from dataclasses import dataclass, field
from typing import Protocol

from lifecycle.gateway import routing, traefik
from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.step import Action, Step
from lifecycle.steps.venv import Tools

PLACE = "{place}"
"""In a command that tries a configuration: the folder it is tried in."""


@dataclass(frozen=True)
class Wanted:
    """What the gateway should be.

    Args:
        port: where clients come in.
        routes: the configuration that may change while it runs; it holds keys.
        address: where clients come in: 127.0.0.1, or this machine's on the tailnet.
        runtime: `venv` or `docker`.
        image: what a container is made of; "" for the one of `data/gateway.toml`.
    """

    port: int
    routes: str = field(repr=False)
    address: str = traefik.LOOPBACK
    runtime: str = "venv"
    image: str = ""

    @property
    def url(self) -> str:
        """Its root, without `/v1`."""
        return f"http://{self.address}:{self.port}"

    @property
    def revision(self) -> str:
        """What tells this configuration from others."""
        return routing.revision(self.routes)

    @property
    def inside(self) -> str:
        """Where it says by which configuration it works."""
        return f"http://{traefik.LOOPBACK}:{self.port + 1}/revision/{self.revision}"


class Form(Protocol):
    """A module about one runtime of the gateway."""

    def needs(self, wanted: Wanted, paths: Paths, host: Host, tools: Tools) -> list[Step]:
        """The program is there, and can be used."""

    def files(self, wanted: Wanted, paths: Paths) -> dict[str, str]:
        """Files beside Traefik's own that take a new start to change, by their place."""

    def traefik(self, wanted: Wanted, paths: Paths, host: Host) -> tuple[str, ...]:
        """The words that run a Traefik in the folder `PLACE` until they are ended."""

    def sweep(self, paths: Paths) -> tuple[Action, ...]:
        """End what a killed trial left behind."""

    def begin(self, wanted: Wanted, paths: Paths, host: Host) -> tuple[Action, ...]:
        """Start it; its files are written."""
