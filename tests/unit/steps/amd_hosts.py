"""Machines with a 7900 XTX, as literals."""

import dataclasses
from typing import Any

from lifecycle.host import GIB, Adapter, Amd, Gpu, Host, Os, Windows, Wsl
from lifecycle.step import Command
from lifecycle.steps import amd, findings
from tests.unit.given import PATHS, actions, host, missing

XTX = Gpu("AMD Radeon RX 7900 XTX", 24 * GIB, 22 * GIB, "gfx1100")
RYZEN = Gpu("AMD Radeon Graphics", GIB // 2, 0, "gfx1036", integrated=True)
IN_FORCE = frozenset({"user", "render", "video"})
LINUX = Os(
    "linux", "x86_64", "Ubuntu 24.04", "ubuntu", "24.04", "noble",
    account="user", groups=IN_FORCE, listed=IN_FORCE, apt=True, sudo=True,
)  # fmt: skip
WSL_OS = dataclasses.replace(LINUX, wsl=True)
ELEVEN = Windows(
    reached=True,
    build="10.0.26100.4652",
    adapters=(Adapter("AMD Radeon RX 7900 XTX", "32.0.23017.1001", "26.8.1"),),
)
GOOD_WSL = Amd(
    agents=("gfx1100",),
    dxg=True,
    dxcore=True,
    rocm="7.2.1",
    rocdxg="1.2.2",
    linked=True,
    dids=True,
    smi=True,
)
LEGACY = Amd(agents=("gfx1100",), dxg=True, dxcore=True, rocm="6.4.2")
INSTALL = (
    "sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "
    "-o DPkg::Lock::Timeout=600"
)
LIST = (
    "deb [arch=amd64 signed-by=/etc/apt/keyrings/rocm.asc] "
    "https://repo.radeon.com/rocm/apt/7.2.4 noble main\n"
)
USECASES = frozenset({"dkms", "graphics", "rocm", "wsl"})


def wsl(found: Amd = GOOD_WSL, packages: dict[str, str] | None = None, **changes: Any) -> Host:
    """WSL2 on a machine with a 7900 XTX."""
    good: dict[str, Any] = {"os": WSL_OS, "windows": ELEVEN, "wsl": Wsl(generation=2)}
    installed = {"rocminfo": "1", "rocm-core": "1", "rocdxg-roct": "1"} if found.rocm else {}
    return host(amd=found, packages=installed if packages is None else packages, **good | changes)


def native(found: Amd | None = None, **changes: Any) -> Host:
    """Ubuntu with a 7900 XTX in it."""
    good = Amd((XTX,), ("gfx1100",), kfd=True, render=("renderD128",))
    known: dict[str, Any] = {"os": LINUX, "packages": {"rocminfo": "1"}}
    return host(amd=found or good, **known | changes)


def fresh(**changes: Any) -> Host:
    """WSL2 before anything of ROCm is there."""
    return wsl(Amd(dxg=True, dxcore=True), **changes)


def lacks(on: Host) -> dict[str, str]:
    return missing(amd.steps(on, PATHS), on)


def commands(on: Host, recipe: str = "") -> list[str]:
    plan = [step for step in amd.setup(on, PATHS, recipe) if step.missing(on)]
    return [" ".join(a.argv) for a in actions(plan) if isinstance(a, Command)]


def state(on: Host, id_: str) -> findings.Finding:
    found = findings.examine(amd.steps(on, PATHS), on)
    return next(one for one in found if one.id == id_)
