"""Every kind of machine with a graphics card that containers run on, with all that they need."""

import dataclasses
from typing import Any

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.host import GIB, Adapter, Amd, Docker, Gpu, Host, Nvidia, Os, Windows, Wsl
from tests.unit.given import backend, host

WSL = Os("linux", "x86_64", "Ubuntu 24.04", "ubuntu", "24.04", "noble", user="1000:1000", wsl=True)
NATIVE = dataclasses.replace(WSL, wsl=False)
ENGINE = Docker(
    "28.2.2", "2.37.1", "", address="unix:///var/run/docker.sock", context="default",
    dockerd="/usr/bin/dockerd",
)  # fmt: skip
RTX_4090 = Nvidia(
    smi="/usr/lib/wsl/lib/nvidia-smi",
    driver="581.42",
    cuda="13.0",
    gpus=(Gpu("NVIDIA GeForce RTX 4090", 24 * GIB, 22 * GIB, "8.9"),),
    toolkit="1.20.0",
    libcuda="/usr/lib/wsl/lib/libcuda.so.1",
)
RX_7900_XTX = Gpu("AMD Radeon RX 7900 XTX", 24 * GIB, 23 * GIB, "gfx1100")
ON_LINUX = Amd(
    gpus=(RX_7900_XTX,),
    agents=("gfx1100",),
    kfd=True,
    render=("renderD128",),
    groups=(992,),
    rocm="7.2.1",
)
ROCDXG = Amd(
    gpus=(RX_7900_XTX,),
    agents=("gfx1100",),
    dxg=True,
    dxcore=True,
    rocm="7.2.1",
    rocdxg="1.2.2",
    linked=True,
    bridge="/opt/rocm/lib/librocdxg.so.1",
    dids=True,
)
LEGACY = Amd(
    gpus=(RX_7900_XTX,),
    agents=("gfx1100",),
    dxg=True,
    dxcore=True,
    rocm="6.4.2",
    hsa="/opt/rocm/lib/libhsa-runtime64.so.1",
)
AMDS_IMAGE = next(
    row.reference for row in tables.serving.images("rocm") if row.reference.startswith("rocm/vllm:")
)
"""AMD's own build, which starts a shell."""
CUDA = backend("4090", GPU="cuda", PORT="8001", RUNTIME="docker")
ROCM = backend("7900xtx", GPU="rocm", PORT="8002", RUNTIME="docker")


def machine(system: Os, docker: dict[str, Any] | None = None, **hardware: Any) -> Host:
    """A machine with one card; Windows 11 below it under WSL2."""
    groups = frozenset({"docker", "render", "video"})
    below = {}
    if system.wsl:
        name = "NVIDIA GeForce RTX 4090" if "nvidia" in hardware else "AMD Radeon RX 7900 XTX"
        adapters = (Adapter(name, adrenalin="26.2.2"),)
        below = {
            "windows": Windows(reached=True, build="10.0.26100.4652", adapters=adapters),
            "wsl": Wsl("2.9.4", generation=2),
        }
    given: dict[str, Any] = {
        "os": dataclasses.replace(system, account="user", groups=groups, listed=groups),
        "packages": {"rocminfo": "1.0", "hsa-runtime-rocr4wsl-amdgpu": "25.10"},
        "docker": dataclasses.replace(ENGINE, **(docker or {})),
    }
    return host(16, **given, **below, **hardware)


NVIDIA_RUNTIME = {"runtimes": frozenset({"nvidia", "runc"})}
CDI = {"runtimes": frozenset({"runc"}), "devices": frozenset({"nvidia.com/gpu=all"})}
SELINUX = {**NVIDIA_RUNTIME, "security": frozenset({"seccomp", "selinux", "cgroupns"})}
ROOTLESS = {
    **NVIDIA_RUNTIME,
    "security": frozenset({"seccomp", "rootless", "cgroupns"}),
    "address": "unix:///run/user/1000/docker.sock",
    "context": "rootless",
}
REMAPPED = {**NVIDIA_RUNTIME, "security": frozenset({"seccomp", "userns", "cgroupns"})}
CUDA_12 = dataclasses.replace(RTX_4090, driver="576.88", cuda="12.9")

SERVERS: dict[str, tuple[Backend, Host]] = {
    "wsl2-4090": (CUDA, machine(WSL, NVIDIA_RUNTIME, nvidia=RTX_4090)),
    "wsl2-4090-cuda-12": (CUDA, machine(WSL, NVIDIA_RUNTIME, nvidia=CUDA_12)),
    "native-4090": (CUDA, machine(NATIVE, NVIDIA_RUNTIME, nvidia=RTX_4090)),
    "native-4090-cdi": (CUDA, machine(NATIVE, CDI, nvidia=RTX_4090)),
    "native-4090-selinux": (CUDA, machine(NATIVE, SELINUX, nvidia=RTX_4090)),
    "native-4090-rootless": (CUDA, machine(NATIVE, ROOTLESS, nvidia=RTX_4090)),
    "native-4090-userns": (CUDA, machine(NATIVE, REMAPPED, nvidia=RTX_4090)),
    "native-7900xtx": (ROCM, machine(NATIVE, amd=ON_LINUX)),
    "native-7900xtx-two-groups": (
        ROCM,
        machine(NATIVE, amd=dataclasses.replace(ON_LINUX, groups=(44, 992))),
    ),
    "native-7900xtx-amds-image": (
        ROCM,
        machine(
            NATIVE,
            {"images": frozenset({AMDS_IMAGE})},
            amd=ON_LINUX,
        ),
    ),
    "wsl2-7900xtx-rocdxg": (ROCM, machine(WSL, amd=ROCDXG)),
    "wsl2-7900xtx-rocdxg-1.1": (
        ROCM,
        machine(WSL, amd=dataclasses.replace(ROCDXG, rocdxg="1.1.0", dids=False)),
    ),
    "wsl2-7900xtx-amd-smi": (ROCM, machine(WSL, amd=dataclasses.replace(ROCDXG, smi=True))),
    "wsl2-7900xtx-legacy": (ROCM, machine(WSL, amd=LEGACY)),
}
"""Backend and machine, by name: every kind of hardware, platform and way to it."""
