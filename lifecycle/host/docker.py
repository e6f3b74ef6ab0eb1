"""The Docker Engine and Compose."""

from dataclasses import dataclass

DOCKER_SOCKET = "unix:///var/run/docker.sock"
"""Where the engine of this machine listens."""
DOCKER_DESKTOP = "/mnt/wsl/docker-desktop"
"""What Docker Desktop mounts into a distribution; its programs are links to there."""


@dataclass(frozen=True)
class Docker:
    """The Docker Engine and Compose, as this user reaches them.

    Args:
        engine: the engine's version; "" when it does not answer.
        problem: the first thing that is wrong; "" when both answer.
        cli: the command line's version; "" when there is none.
        desktop: who answers (or would) is Docker Desktop.
        hung: the command line did not answer in time; what is there is not known.
        denied: the engine is there, this user may not talk to it.
        context: the command line's context; `default` is the local engine.
        runtimes: container runtimes the engine knows, e.g. `nvidia`.
        devices: CDI devices the engine found, e.g. `nvidia.com/gpu=all`.
        folder: where the engine keeps images and volumes.
        daemon: text of `/etc/docker/daemon.json`; "" when there is none.
        address: where the engine is asked, e.g. `unix:///var/run/docker.sock`.
        program: the file that `docker` is, links followed; "" when there is none.
        podman: the command `docker` is Podman under another name.
        foreign: Podman answers where the Docker Engine should.
        security: what secures its containers: `selinux`, `rootless`, `userns`, `apparmor`, …
        dockerd: the engine's own program; "" when none is installed on this side.
        running: that program runs, whoever may talk to it.
        socket: owner and group of the socket, e.g. `root:docker`; looked at when it is closed.
        compose_v1: version of the old `docker-compose`; looked at when Compose v2 is missing.
        repository: what apt is told about Docker's own repository; "" when nothing.
        free: bytes on the disk of `folder`; 0 when unknown.
    """

    engine: str = ""
    compose: str = ""
    problem: str = ""
    images: frozenset[str] = frozenset()
    cli: str = ""
    desktop: bool = False
    hung: bool = False
    denied: bool = False
    context: str = ""
    runtimes: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    folder: str = ""
    daemon: str = ""
    address: str = ""
    program: str = ""
    podman: bool = False
    foreign: bool = False
    security: frozenset[str] = frozenset()
    dockerd: str = ""
    running: bool = False
    socket: str = ""
    compose_v1: str = ""
    repository: str = ""
    free: int = 0

    @property
    def rootless(self) -> bool:
        """It is the user's own engine, which has its own files and its own network."""
        return "rootless" in self.security or self.address.startswith("unix:///run/user/")

    @property
    def remapped(self) -> bool:
        """Accounts in its containers are other accounts outside (`userns-remap`)."""
        return "userns" in self.security and not self.rootless

    @property
    def selinux(self) -> bool:
        """Its containers may open what is labelled for them, and nothing else."""
        return "selinux" in self.security
