"""Where packages of Tailscale come from, and why it will not serve (`data/tailscale.toml`)."""

import re
from dataclasses import dataclass

from lifecycle.tables.rows import load_rows

INTERFACE = "tailscale0"
"""Tailscale's network interface on Linux:
https://github.com/tailscale/tailscale/blob/main/cmd/tailscaled/tailscaled.go"""
TABLE = ("inet", "vllm_gateway")
"""Family and name of our nftables table: nobody else's rules are in it."""


@dataclass(frozen=True)
class TailscalePackages:
    """Tailscale's signed repository for one release of a distribution."""

    distro: str
    codename: str
    repository: str
    key: str
    key_sha256: str
    verified: str


def packages(distro: str, codename: str) -> TailscalePackages | None:
    """The repository for this release; None when its makers name none."""
    rows = load_rows(TailscalePackages, "tailscale.toml", "tailscale")
    return next((row for row in rows if (row.distro, row.codename) == (distro, codename)), None)


@dataclass(frozen=True)
class Refusal:
    """Why `tailscale serve` did not do it.

    Args:
        pattern: what it says then; a regular expression.
        fix: what to do; `{url}` is the address it named, `{account}` whoever asked.
    """

    name: str
    pattern: str
    what: str
    fix: str


def refusal(said: str) -> Refusal | None:
    """What its words mean; None for words nobody has met yet."""
    rows = load_rows(Refusal, "tailscale.toml", "refusal")
    return next((row for row in rows if re.search(row.pattern, said, re.IGNORECASE)), None)
