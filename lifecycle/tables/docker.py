"""Where packages of Docker come from (`data/docker.toml`)."""

from dataclasses import dataclass

from lifecycle.tables.rows import load_rows


@dataclass(frozen=True)
class DockerPackages:
    """Packages that bring Docker Engine and Compose v2 to some versions of one distribution.

    Args:
        versions: `VERSION_ID` of os-release.
        provider: `distribution` or `vendor`.
        engine: the package of the engine itself; the others come with it.
        conflicts: packages that cannot stand beside these.
        repository: the vendor's; "" where apt knows the packages already.
        key: address of the key that signs it.
    """

    distro: str
    versions: list[str]
    provider: str
    engine: str
    packages: list[str]
    conflicts: list[str]
    repository: str = ""
    key: str = ""
    key_sha256: str = ""


def packages(distro: str, version: str) -> list[DockerPackages]:
    """Ways to install Docker on a distribution, the best first; [] where none is known."""
    rows = load_rows(DockerPackages, "docker.toml", "docker")
    return [row for row in rows if row.distro == distro and version in row.versions]
