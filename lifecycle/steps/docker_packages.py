"""Steps about the packages Docker comes in: the vendor's or the distribution's."""

from collections.abc import Callable

from lifecycle import tables
from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.step import Step
from lifecycle.steps.docker_access import AGAIN
from lifecycle.steps.root import apt_install, apt_key, write
from lifecycle.tables.docker import DockerPackages

PAGE = "https://docs.docker.com/engine/install/"
KEYRING = "/etc/apt/keyrings/docker.asc"
LIST = "/etc/apt/sources.list.d/docker.sources"


def row(host: Host, source: str) -> DockerPackages | None:
    """The wanted way to install; without a wish that of the engine here, else the best."""
    rows = tables.docker.packages(host.os.distro, host.os.version) if host.os.apt else []
    if source:
        return next((row for row in rows if row.provider == source), None)
    here = (row for row in rows if row.engine in host.packages)
    return next(here, rows[0] if rows else None)


def steps(host: Host, paths: Paths, row: DockerPackages | None, *, strict: bool) -> list[Step]:
    """Engine and Compose come from the chosen row.

    Args:
        strict: a person asked for that row; the other's packages do not do.
    """
    if row is None:
        return [
            Step(
                id="docker.installed",
                name="Docker Engine and Compose v2 are installed",
                missing=_not_installed,
                fix=f"Install Docker Engine with the Compose plugin as {PAGE} says for "
                f"{host.os.name or 'this system'}, {AGAIN}",
            )
        ]
    wanted = _wanted(row, strict=strict)
    return [
        _no_conflicts(host, row, wanted),
        *([_repository(host, paths, row, wanted)] if row.repository else []),
        Step(
            id="docker.installed",
            name="Docker Engine and Compose v2 are installed",
            missing=wanted,
            actions=apt_install(host, *row.packages),
            fix=f"Look at what apt-get said; the {row.provider}'s packages are "
            f"{', '.join(row.packages)}.",
            phase="install",
            found=lambda now: row.engine if row.engine in now.packages else "",
        ),
    ]


def _wanted(row: DockerPackages, *, strict: bool) -> Callable[[Host], str]:
    """What there is to install; a wish for one source is not met by the other's packages."""

    def missing(now: Host) -> str:
        other = strict and row.engine not in now.packages
        return _not_installed(now) or (f"{row.engine} is not installed" if other else "")

    return missing


def _not_installed(now: Host) -> str:
    docker = now.docker
    if not (docker.engine or docker.dockerd):
        # Closed to us, but somebody's: Rancher Desktop's, or one in another place.
        return "" if docker.denied and docker.compose else "no Docker Engine is installed"
    return "" if docker.compose else docker.problem or "Compose v2 is missing"


def _no_conflicts(host: Host, row: DockerPackages, wanted: Callable[[Host], str]) -> Step:
    def there(now: Host) -> list[str]:
        return [name for name in row.conflicts if name in now.packages]

    def missing(now: Host) -> str:
        names = there(now) if wanted(now) else []
        return f"{', '.join(names)} cannot stay beside {row.engine}" if names else ""

    return Step(
        id="docker.no_conflicts",
        name=f"nothing stands in the way of {row.engine}",
        missing=missing,
        fix=f"Should they go? sudo apt-get remove {' '.join(there(host))}  (images and volumes in "
        f"/var/lib/docker stay), {AGAIN}",
    )


def _repository(
    host: Host, paths: Paths, row: DockerPackages, wanted: Callable[[Host], str]
) -> Step:
    """https://docs.docker.com/engine/install/ubuntu/#install-using-the-repository."""

    def missing(now: Host) -> str:
        told = now.docker.repository
        known = row.repository in told and now.os.codename in told.split()
        # An upgrade of the distribution switches foreign repositories off.
        known = known and "enabled: no" not in told.lower()
        return "" if known or not wanted(now) else f"apt does not know {row.repository}"

    return Step(
        id="docker.repository",
        name="apt knows Docker's own repository",
        missing=missing,
        actions=(
            *apt_key(host, paths, row.key, KEYRING, row.key_sha256),
            *write(host, paths, LIST, _sources(host, row)),
        ),
        fix=f"A changed key is told at {PAGE}. The distribution's own packages, where they "
        "are new enough: --source=distribution.",
        phase="install",
    )


def _sources(host: Host, row: DockerPackages) -> str:
    return (
        f"Types: deb\nURIs: {row.repository}\nSuites: {host.os.codename}\n"
        f"Components: stable\nSigned-By: {KEYRING}\n"
    )
