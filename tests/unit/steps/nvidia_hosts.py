"""Machines with an NVIDIA card on which all is well, but for what a test changes."""

import dataclasses
from typing import Any

from lifecycle.host import GIB, Docker, Gpu, Host, Nvidia, Os, Wsl
from lifecycle.step import Step
from lifecycle.steps import nvidia
from tests.unit.given import PATHS, actions, host

RTX_4090 = Gpu("NVIDIA GeForce RTX 4090", 24 * GIB, 23 * GIB, "8.9")
BARE = Docker("29.1.3", "2.40.0", dockerd="/usr/bin/dockerd")
ENGINE = dataclasses.replace(BARE, runtimes=frozenset({"runc", "nvidia"}))
GOOD = Nvidia(
    smi="/usr/bin/nvidia-smi",
    driver="580.95.05",
    cuda="13.0",
    gpus=(RTX_4090,),
    toolkit="1.20.0",
    libcuda="/usr/lib/x86_64-linux-gnu/libcuda.so.1",
    verified="driver 580.95.05, toolkit 1.20.0, engine 29.1.3",
)
UBUNTU = Os(
    "linux", "x86_64", "Ubuntu 24.04", "ubuntu", "24.04", "noble",
    apt=True, sudo=True, systemd=True,
)  # fmt: skip


def linux(card: dict[str, Any] | None = None, **changes: Any) -> Host:
    """Native Linux on which all is well."""
    good = host(os=UBUNTU, docker=ENGINE, nvidia=dataclasses.replace(GOOD, **(card or {})))
    return dataclasses.replace(good, **changes)


def wsl(card: dict[str, Any] | None = None, **changes: Any) -> Host:
    """WSL2 on which all is well."""
    below = {
        "os": dataclasses.replace(UBUNTU, wsl=True),
        "wsl": Wsl(generation=2, kernel="6.6.87.2", distribution="Ubuntu-24.04"),
    }
    return linux(card, **(below | changes))


def without(gpu: Gpu = RTX_4090, **changes: Any) -> dict[str, Any]:
    return {"gpus": (dataclasses.replace(gpu, **changes),)}


def step(steps: list[Step], id_: str) -> Step:
    return next(one for one in steps if one.id == id_)


def commands(on: Host, *, toolkit: bool = False) -> list[str]:
    """What `inv setup.cuda` would run for what is missing."""
    todo = [one for one in nvidia.setup(on, PATHS, toolkit=toolkit) if one.missing(on)]
    return [str(action) for action in actions(todo)]
