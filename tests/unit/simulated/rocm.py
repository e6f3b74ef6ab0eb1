"""ROCm: the files its packages bring, the loader's cache, and what rocminfo then sees."""

import re

from lifecycle import tables
from lifecycle.shell import Output
from tests.unit.simulated.state import SOURCES, State
from tests.unit.simulated.world import (
    RELEASES,
    ROCMINFO_DENIED,
    gpu_of,
    libraries_of,
    rocminfo_text,
)


def came(on: State, name: str, version: str) -> None:
    release = ".".join(version.split(".")[:3])
    own = RELEASES.search("\n".join(on.files_below(SOURCES).values()))
    if name == "rocm-core":
        on.put("/opt/rocm/.info/version", release)
        on.put("/opt/rocm", "")
    if name == "rocminfo":
        ours = on.exists("/opt/rocm") or own
        on.put("/opt/rocm/bin/rocminfo" if ours else "/usr/bin/rocminfo", "")
        if ours:
            on.put("/opt/rocm", "")
    if name == "rocdxg-roct":
        on.put("/opt/rocm/lib/librocdxg.so", "")
        on.put("/opt/rocm/share/rocdxg/dids.conf", "")
    if name == "rocdxg-amd-smi-lib":
        on.put(tables.rocm.amd_smi().library, "")
    loader(on)
    forget(on)


def loader(on: State) -> None:
    """The loader's cache: what packages have put into its folders by now."""
    on.says(("/sbin/ldconfig", "-p"), libraries_of(on.packages))


def forget(on: State) -> None:
    """It runs anew and sees what there is now."""
    for key in [key for key in on.answers if re.match(r"run: .*rocminfo$", key)]:
        del on.answers[key]


def rocminfo(on: State) -> None:
    """AMD's own check; the step asks the facts afterwards."""
    said = on.run("env", "HSA_ENABLE_DXG_DETECTION=1", "/opt/rocm/bin/rocminfo")
    on.expect(said.code == 0, said.errors)


def seen(on: State, argv: tuple[str, ...]) -> Output:
    if not on.exists(argv[-1]):
        return Output(127, "", f"{argv[-1]}: not found")
    known = on.asked("os")
    card = gpu_of(on.answers)
    if known["wsl"]:
        bridged = "hsa-runtime-rocr4wsl-amdgpu" in on.packages or (
            "rocdxg-roct" in on.packages and "HSA_ENABLE_DXG_DETECTION=1" in argv
        )
        shadowed = on.installed(set(tables.rocm.shadowing()))
        if not bridged or shadowed or not on.exists("/dev/dxg"):
            return Output(1, "ROCk module is NOT loaded, possibly no GPU devices")
    elif "render" not in known["groups"] and not known["root"]:
        return Output(1, ROCMINFO_DENIED)
    return Output(0, rocminfo_text(card)) if card else Output(1, "", "no GPU")
