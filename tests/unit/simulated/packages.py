"""apt, dpkg and amdgpu-install: what they refuse, and what each package brings along."""

import re
import shlex

from tests.unit.simulated import docker, rocm, tailscale
from tests.unit.simulated.state import DOCKERD, SOURCES, Refused, State
from tests.unit.simulated.world import NVIDIA_CTK, needed_repository, version_of


def apt_get(on: State, *words: str) -> None:
    on.need_root("apt-get")
    if words[0] == "update":
        return
    names = [word for word in words[1:] if not word.startswith("-") and "::" not in word]
    if "-y" not in words:
        raise Refused("apt-get waits for an answer")
    if words[0] == "install":
        for name in names:
            _fetch(on, *name.split("=", 1))
    elif words[0] in {"remove", "purge"}:
        for name in names:
            _drop(on, name)
    else:
        raise Refused(f"apt-get {words[0]}")


def dpkg(on: State, *words: str) -> None:
    on.need_root("dpkg")
    if words[0] == "--purge":
        return _drop(on, words[1])
    if "--install" not in words or on.text(words[-1]) is None:
        raise Refused(f"dpkg {shlex.join(words)}")
    name, version, _ = words[-1].rpartition("/")[2].split("_")
    return _add(on, name, version)


def amdgpu_install(on: State, *words: str) -> None:
    on.need_root("amdgpu-install")
    asked = next(word for word in words if word.startswith("--usecase=")).partition("=")[2]
    release = re.search(r"RELEASE=(\S+)", on.text("/etc/amdgpu-install/amdgpu-setup.conf") or "")
    if "-y" not in words or "--no-dkms" not in words or not release:
        raise Refused(f"amdgpu-install {shlex.join(words)}")
    offered = on.run("amdgpu-install", "--list-usecase").text
    for one in asked.split(","):
        on.expect(f"\n{one} " in offered, f"amdgpu-install: no usecase {one}")
    wanted = ["rocm-core", "rocminfo"]
    wanted += ["hsa-runtime-rocr4wsl-amdgpu"] if "wsl" in asked else []
    for name in wanted:
        _add(on, name, release[1])


def _fetch(on: State, name: str, version: str = "") -> None:
    """From the distribution, or from a repository that apt knows with its key."""
    if name.endswith(".deb"):
        on.expect(on.text(name) is not None, f"E: Unsupported file {name} given on commandline")
        own, number, _ = name.rpartition("/")[2].split("_")
        return _add(on, own, number)
    lists = on.files_below(SOURCES)
    url = needed_repository(name, on.release())
    telling = [path for path, text in lists.items() if url in text]
    if not telling:
        raise Refused(f"E: Unable to locate package {name} (apt knows: {lists})")
    if url and not all(path in on.recorded or _signed(on, path) for path in telling):
        raise Refused(f"E: no key is here for the repository of {name}: {lists}")
    return _add(on, name, version or version_of(name, "\n".join(lists.values())))


def _signed(on: State, path: str) -> bool:
    keys = re.findall(r"signed-by[=:]\s*([^\]\s]+)", on.text(path) or "", re.IGNORECASE)
    return bool(keys) and all(on.text(key) is not None for key in keys)


def _add(on: State, name: str, version: str) -> None:
    on.packages[name] = version
    systemd = on.asked("os")["systemd"]
    if name in DOCKERD:
        on.tell("docker.dockerd", "/usr/bin/dockerd")
        if systemd:
            docker.start(on)
        docker.answer(on)
    if name == "tailscale":
        on.tell("tailscale.linux", "/usr/bin/tailscale")
        tailscale.says(on, "NeedsLogin" if systemd else "")
    if name == "nvidia-container-toolkit":
        text = NVIDIA_CTK.format(version.partition("-")[0])
        on.says(("nvidia-ctk", "--version"), text)
    if name in {"rocm-core", "rocminfo", "rocdxg-roct", "rocdxg-amd-smi-lib"} or name.startswith(
        "hsa-"
    ):
        rocm.came(on, name, version)
    docker.tools(on)


def _drop(on: State, name: str) -> None:
    on.expect(name in on.packages, f"dpkg: {name} is not installed")
    del on.packages[name]
    if name == "rocdxg-roct":
        on.away("/opt/rocm/lib/librocdxg.so")
        on.away("/opt/rocm/share/rocdxg/dids.conf")
    rocm.loader(on)
    rocm.forget(on)
