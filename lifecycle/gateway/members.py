"""The backends behind the gateway: where each is reached, and what it takes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lifecycle import tables
from lifecycle.backend import Backend

TIERS = ("gpu", "cpu")
"""In the order in which they are asked."""
MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")
"""Names of models that are let into the configuration: it is a template to Traefik, and a backend
on another machine must not write into it.
"""


@dataclass(frozen=True)
class Member:
    """One backend behind the gateway.

    Args:
        url: its root, without `/v1`.
        tier: `gpu` or `cpu`.
        cap: requests at once that the gateway gives it.
        key: what the gateway sends it; "" for none.
        models: the names it serves.
        lengths: the longest prompt and answer together, in tokens, by the model's name.
        left_out: those it serves that are spelled in a way that is not let in.
        asked: it said so itself; else its env file does.
        expected: it answers, or will: on another machine, or started here. A server that nobody
            started is a file only: no client is told of its model, and nobody asks it.
        elsewhere: it is on another machine, which may show `/v1` of it alone.
    """

    name: str
    url: str
    tier: str
    cap: int
    key: str = field(default="", repr=False)
    models: tuple[str, ...] = ()
    lengths: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    asked: bool = False
    expected: bool = True
    elsewhere: bool = False


def member(backend: Backend, served: Mapping[str, int] | None, *, started: bool = False) -> Member:
    """What a backend's file says of it, and what it said itself.

    Args:
        served: what its `/v1/models` lists, with each model's length in tokens (0: it did not say);
            None when it did not answer: then it is expected to serve what its env file says, as
            soon as it is back.
        started: its server was started on this machine, and not stopped.
    """
    limits = tables.gateway.limits()
    tier = backend.get("TIER") or ("cpu" if backend.gpu == "cpu" else "gpu")
    usual = limits.gpu_in_flight if tier == "gpu" else limits.cpu_in_flight
    length = backend.get("MAX_MODEL_LEN")
    by_file = {backend.served_name: int(length) if length.isdecimal() else 0}
    names = by_file if served is None else served
    return Member(
        name=backend.name,
        url=backend.url,
        tier=tier,
        cap=int(backend.get("MAX_IN_FLIGHT") or usual),
        key=key(backend),
        models=tuple(name for name in names if MODEL.fullmatch(name)),
        lengths={name: length for name, length in names.items() if length},
        left_out=tuple(name for name in names if not MODEL.fullmatch(name)),
        asked=served is not None,
        expected=served is not None or started or backend.elsewhere,
        elsewhere=backend.elsewhere,
    )


def key(backend: Backend) -> str:
    """What the gateway sends this backend: its own of `REMOTE_KEYS`, else this machine's."""
    return remote_keys(backend.get("REMOTE_KEYS")).get(backend.name) or backend.api_key


def remote_keys(text: str) -> Mapping[str, str]:
    """The keys of `REMOTE_KEYS` by the backend's name."""
    pairs = (one.partition("=") for one in text.split(",") if one)
    return {name: secret for name, _, secret in pairs}


def by_model(members: Iterable[Member]) -> dict[str, list[Member]]:
    """Who serves each model, the better tier first."""
    some = sorted(members, key=lambda one: (TIERS.index(one.tier), one.name))
    names = sorted({name for one in some for name in one.models})
    return {name: [one for one in some if name in one.models] for name in names}


def same_address(members: Iterable[Member]) -> list[tuple[Member, Member]]:
    """Pairs that are one server by two names: who stays, and who is left out.

    The first that answers, or was started, stays; they would be asked twice, and fill one server
    twice.
    """
    known: dict[str, Member] = {}
    pairs = []
    for one in sorted(members, key=lambda each: (not each.expected, each.name)):
        address = one.url.replace("//localhost", "//127.0.0.1")
        if address in known:
            pairs.append((known[address], one))
        else:
            known[address] = one
    return pairs
