"""The step about the CUDA toolkit (nvcc): for those who build; our servers start without it."""

from lifecycle import tables
from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.step import Action, Step
from lifecycle.steps.nvidia_containers import BY, repository
from lifecycle.steps.root import apt_install
from lifecycle.tables.cuda import CudaToolkit


def step(host: Host, paths: Paths) -> Step:
    """The newest toolkit the driver runs, or whichever is there already."""
    wanted = _newest(host)
    name = "wsl" if host.os.wsl else f"{host.os.distro} {host.os.version}"
    actions = _installation(host, paths, name, wanted)
    return Step(
        id="nvidia.cuda_toolkit",
        name=f"the CUDA toolkit {wanted.version} is installed",
        missing=lambda now: (
            "" if now.nvidia.cuda_toolkit else "nvcc is not here; servers start without it"
        ),
        actions=actions,
        fix=f"For {name} no repository is known here: https://developer.nvidia.com/cuda-downloads "
        "(under WSL choose WSL-Ubuntu; never a package with a driver).",
        phase="install",
        by=f"{BY} --toolkit" if actions else "",
        found=lambda now: now.nvidia.cuda_toolkit,
    )


def _newest(host: Host) -> CudaToolkit:
    ceiling = tables.versions.numbers(host.nvidia.cuda)
    known = tables.cuda.toolkits()
    runs = (one for one in known if not ceiling or ceiling >= tables.versions.numbers(one.version))
    return next(runs, known[-1])


def _installation(host: Host, paths: Paths, system: str, wanted: CudaToolkit) -> tuple[Action, ...]:
    """Never `cuda`, `cuda-X` or `cuda-drivers`: they bring a display driver along."""
    row = tables.cuda.toolkit_repository(system) if host.os.apt else None
    if not row or host.os.machine != "x86_64":
        return ()
    # NVIDIA's own package of key and list; ours beside it would name the repository twice.
    add = () if "cuda-keyring" in host.packages else repository(host, paths, row)
    return (*add, *apt_install(host, wanted.package))
