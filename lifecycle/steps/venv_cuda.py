"""Steps of a CUDA server without a container: its driver, and what is compiled at its start.

The wheels bring CUDA itself, and no toolkit where FlashInfer looks for one: what it would compile
for the card is switched off (`cuda-venv-sampler` of `data/known_issues.toml`). Triton compiles
small programs in C when a server starts.
"""

from lifecycle import tables
from lifecycle.host import Host
from lifecycle.step import Action, Step
from lifecycle.steps import nvidia
from lifecycle.steps.root import apt_install
from lifecycle.tables.serving import Engine


def steps(host: Host, engine: Engine, python: str) -> list[Step]:
    """A card whose driver runs the engine, a C compiler, and Python's headers.

    Args:
        python: the version of Python the engine is made with, e.g. `3.11`.
    """
    return [*nvidia.seen(host), _driver(host, engine), _compiler(host), _header(host, python)]


def _driver(host: Host, engine: Engine) -> Step:
    floor = next(row.driver for row in tables.cuda.cudas() if row.version == engine.cuda)
    where = "in Windows" if host.os.wsl else "on this machine"

    def missing(now: Host) -> str:
        if nvidia.runs(now, engine.cuda):
            return ""
        limit = f" (up to CUDA {now.nvidia.cuda})" if now.nvidia.cuda else ""
        return (
            f"driver {now.nvidia.driver}{limit} with {nvidia.best(now).name}; the engine "
            f"{engine.name} is built for CUDA {engine.cuda} and needs driver {floor} or newer"
        )

    return Step(
        id="engine.cuda_driver",
        name=f"driver and card run CUDA {engine.cuda}, which the engine is built for",
        missing=missing,
        fix=f"Install driver {floor} or newer {where} ({nvidia.DRIVERS}), or take a container, "
        "which there is for older drivers, too: --runtime docker",
        found=lambda now: f"driver {now.nvidia.driver}, needed: {floor}",
    )


def _compiler(host: Host) -> Step:
    return Step(
        id="engine.c_compiler",
        name="there is a C compiler for what Triton compiles at the start",
        missing=lambda now: "" if now.venv.compiler else "there is no cc, gcc or clang on the PATH",
        actions=_by_root(host, "gcc", "libc6-dev"),
        fix="Install one: sudo apt-get install -y gcc libc6-dev",
        phase="install",
        found=lambda now: now.venv.compiler,
    )


def _header(host: Host, python: str) -> Step:
    package = f"python{python}-dev"
    return Step(
        id="engine.python_headers",
        name=f"the headers of Python {python} are here for what Triton compiles",
        missing=lambda now: "" if now.venv.header else f"there is no Python.h of Python {python}",
        actions=_by_root(host, package),
        fix=f"Install them: sudo apt-get install -y {package}; or make .venv with a Python that "
        "has them (uv python install brings one): rm -r .venv; PATH=<its folder>:$PATH ./inv up",
        phase="install",
        found=lambda now: now.venv.header,
    )


def _by_root(host: Host, *packages: str) -> tuple[Action, ...]:
    """Only where nobody has to be asked for a password: `up` never asks for one."""
    return apt_install(host, *packages) if host.os.root and host.os.apt else ()
