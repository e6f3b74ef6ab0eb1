"""Graphics cards, and what lies between them and a server."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Gpu:
    """One graphics card; memory in bytes.

    Args:
        total: 0 when unknown.
        free: of it; None when unknown.
        arch: compute capability (`8.9`) or gfx name (`gfx1100`); "" when unknown.
        integrated: part of the processor; no card to serve from.
        number: its place as DEVICES counts, where the backend in question computes on it
            (`steps/cards.py`); None elsewhere.
    """

    name: str
    total: int = 0
    free: int | None = None
    arch: str = ""
    integrated: bool = False
    number: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Nvidia:
    """NVIDIA cards and what lies between them and a container.

    Args:
        smi: full path of the nvidia-smi that answered.
        driver: the display driver's version; under WSL that of Windows.
        cuda: the newest CUDA version the driver runs, e.g. `13.0`.
        linux_driver: files of a Linux display driver, looked for under WSL (a mistake there).
        toolkit: version of the NVIDIA Container Toolkit; "" when it is not installed.
        cuda_toolkit: version of the CUDA toolkit (nvcc); "" when it is not installed.
        libcuda: where the loader finds the driver's libcuda.so.1; "" when it does not.
        cdi: files that describe the cards to Podman and to newer engines (CDI).
        verified: what was in use when a container last saw the cards (see `steps/nvidia.py`).
        problem: why no card can be read although there should be one.
        caution: what nvidia-smi said beside the cards that it listed; "" when nothing.
    """

    smi: str = ""
    driver: str = ""
    cuda: str = ""
    gpus: tuple[Gpu, ...] = ()
    linux_driver: tuple[str, ...] = ()
    toolkit: str = ""
    cuda_toolkit: str = ""
    libcuda: str = ""
    cdi: tuple[str, ...] = ()
    verified: str = ""
    problem: str = ""
    caution: str = ""


@dataclass(frozen=True)
class Amd:
    """AMD cards and the ROCm user space.

    Args:
        gpus: cards as far as the kernel or Windows names them.
        agents: gfx names that `rocminfo` lists, without the processor's own.
        kfd: `/dev/kfd` is there (native Linux only).
        dxg: `/dev/dxg` is there (WSL only).
        render: nodes in `/dev/dri`, e.g. `renderD128`.
        groups: numbers of the groups that `/dev/kfd` and those nodes belong to.
        rocm: version of the installed ROCm; "" when there is none.
        hsa: the runtime library's file, `libhsa-runtime64.so.1`; "" when there is none.
        rocdxg: version of librocdxg (`1.2.2`), `unknown` when only its file is there.
        linked: the loader finds librocdxg.
        bridge: librocdxg's file; "" when there is none.
        installer: the ROCm that `amdgpu-install` is set to; "" when it is not there.
        dids: librocdxg's table of device numbers, `dids.conf`, is there.
        dxcore: `/usr/lib/wsl/lib/libdxcore.so` is there.
        smi: AMD's amd-smi for WSL is there.
        usecases: what `amdgpu-install --list-usecase` offers.
        shadowing: packages of Ubuntu's that hide AMD's own libraries.
        problem: why `rocminfo` could not be read.
    """

    gpus: tuple[Gpu, ...] = ()
    agents: tuple[str, ...] = ()
    kfd: bool = False
    dxg: bool = False
    render: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    rocm: str = ""
    hsa: str = ""
    rocdxg: str = ""
    linked: bool = False
    bridge: str = ""
    installer: str = ""
    dids: bool = False
    dxcore: bool = False
    smi: bool = False
    usecases: frozenset[str] = frozenset()
    shadowing: tuple[str, ...] = ()
    problem: str = ""
