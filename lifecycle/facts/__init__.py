"""One look at the machine: what matters for a backend, and nothing else."""

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.facts import (
    cpu,
    disk,
    libraries,
    memory,
    network,
    os,
    secrets,
    server,
    venv,
    weights,
)
from lifecycle.host import Docker, Host
from lifecycle.paths import Paths
from lifecycle.shell import Shell


def gather(backend: Backend, paths: Paths, shell: Shell) -> Host:
    """Look at everything that the start of this backend depends on. Never raises."""
    running = server.look(backend, paths)
    here = os.look()
    return Host(
        os=here,
        cpu=cpu.look(),
        memory=memory.look(),
        disks={"home": disk.look(paths.home), "models": disk.look(paths.models)},
        docker=_docker(shell) if backend.runtime == "docker" else Docker(),
        libraries=libraries.look(row.file for row in tables.libraries(backend.gpu)),
        venv=venv.look(backend, paths),
        weights=weights.look(backend, paths),
        server=running,
        port_owner=network.other_listener(backend, running),
        secrets_mode=secrets.mode(paths),
        api_key=secrets.key(paths),
    )


def _docker(shell: Shell) -> Docker:
    from lifecycle.facts import docker

    return docker.look(shell)
