"""Which Traefik the gateway is, and its limits (`data/gateway.toml`)."""

from dataclasses import dataclass

from lifecycle.tables.locked import Locked
from lifecycle.tables.pinned import pinned
from lifecycle.tables.rows import load_row
from lifecycle.tables.versions import between


@dataclass(frozen=True)
class Traefik(Locked):
    """The gateway's program as a Python package; size in GiB."""

    distribution: str
    version: str
    disk_gib: float

    @property
    def name(self) -> str:
        """The folder's name among the engines, e.g. `gateway-3.7.15`."""
        return f"gateway-{self.version}"


@dataclass(frozen=True)
class Image:
    """The same program as a container image; size in GiB."""

    reference: str
    digest: str
    disk_gib: float

    @property
    def pinned(self) -> str:
        """The reference to pull: by digest where one is known."""
        return pinned(self.reference, self.digest)


@dataclass(frozen=True)
class Limits:
    """What the gateway takes and how long it waits: bytes, seconds, requests at once.

    Args:
        read_seconds: for a request's head and body together.
        dial_seconds: until a backend that does not answer is passed by.
        keep_seconds: how long an unused connection to a backend is kept.
        check_seconds, check_again_seconds: between two checks, while it passes them and while not.
        check_limit_seconds: until a check without an answer counts as missed.
        gpu_in_flight, cpu_in_flight: what a backend gets while another one has room.
        key_at_once, key_bytes: what one key may have at once: requests, and bytes of bodies.
        grace_seconds: what answers on their way get when the gateway is stopped.
    """

    body_bytes: int
    header_bytes: int
    read_seconds: int
    idle_seconds: int
    dial_seconds: int
    keep_seconds: int
    check_seconds: int
    check_limit_seconds: float
    check_again_seconds: int
    grace_seconds: int
    gpu_in_flight: int
    cpu_in_flight: int
    key_at_once: int
    key_bytes: int


@dataclass(frozen=True)
class Quiet:
    """Pages that vLLM leaves out of its log of requests, and how it is told so.

    Args:
        since: the first version that takes the flag.
    """

    flag: str
    pages: list[str]
    since: str

    def flags(self, vllm: str) -> tuple[str, ...]:
        """The words for a version of vLLM; none for one that may not know them."""
        return (self.flag, ",".join(self.pages)) if between(vllm, self.since, "") else ()


@dataclass(frozen=True)
class _Allowed:
    allowed: list[str]


def traefik() -> Traefik:
    """The gateway's program."""
    return load_row(Traefik, "gateway.toml", "traefik")


def image() -> Image:
    """The gateway's image, for `GATEWAY_RUNTIME=docker`."""
    return load_row(Image, "gateway.toml", "image")


def limits() -> Limits:
    """The gateway's limits."""
    return load_row(Limits, "gateway.toml", "limits")


def quiet() -> Quiet:
    """What servers leave out of their logs."""
    return load_row(Quiet, "gateway.toml", "quiet")


def paths() -> tuple[str, ...]:
    """The addresses that are let through, beside `/v1/models`."""
    return tuple(load_row(_Allowed, "gateway.toml", "paths").allowed)
