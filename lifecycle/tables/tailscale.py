"""Where packages of Tailscale come from (`data/tailscale.toml`)."""

from dataclasses import dataclass

from lifecycle.tables.rows import load_rows


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
