"""Which compose files make up a server, and what of this machine its container borrows."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.host import Host
from lifecycle.step import Step
from lifecycle.steps import amd, images, nvidia_containers, rocm

BASE = "vllm.yml"


@dataclass(frozen=True)
class Overlay:
    """A file beside `compose/vllm.yml`.

    Args:
        wanted: whether this backend needs it on this machine.
    """

    file: str
    wanted: Callable[[Backend, Host], bool]


@dataclass(frozen=True)
class Borrowed:
    """A file of this machine that a container gets to see.

    Args:
        overlay: the file that mounts it.
        variable: how that file calls it.
        usual: where it is on most machines.
        place: where it is on this one; "" when it is missing.
        fix: what brings it.
    """

    overlay: str
    variable: str
    usual: str
    place: Callable[[Host], str]
    fix: str = "inv setup.rocm"


DXCORE = "/usr/lib/wsl/lib/libdxcore.so"
SMI = tables.rocm.amd_smi().folder
DIDS = "/opt/rocm/share/rocdxg/dids.conf"

OVERLAYS = (
    Overlay("cpu.yml", lambda backend, _: backend.gpu == "cpu"),
    Overlay("gpu.yml", lambda backend, _: backend.gpu != "cpu"),
    Overlay(
        "nvidia.yml",
        lambda backend, host: backend.gpu == "cuda" and not nvidia_containers.by_description(host),
    ),
    Overlay(
        "nvidia-cdi.yml",
        lambda backend, host: backend.gpu == "cuda" and nvidia_containers.by_description(host),
    ),
    Overlay("amd.yml", lambda backend, host: _native(backend, host)),  # noqa: PLW0108 - below
    Overlay("amd-group.yml", lambda backend, host: _native(backend, host) and _groups(host) > 0),
    Overlay(
        "amd-second-group.yml", lambda backend, host: _native(backend, host) and _groups(host) > 1
    ),
    Overlay("amd-wsl.yml", lambda backend, host: bool(_bridge(backend, host))),
    Overlay("amd-wsl-rocdxg.yml", lambda backend, host: _bridge(backend, host) == "rocdxg"),
    Overlay(
        "amd-wsl-dids.yml",
        lambda backend, host: _bridge(backend, host) == "rocdxg" and host.amd.dids,
    ),
    Overlay(
        "amd-wsl-smi.yml",
        lambda backend, host: _bridge(backend, host) == "rocdxg" and host.amd.smi,
    ),
    Overlay("amd-wsl-legacy.yml", lambda backend, host: _bridge(backend, host) == "legacy"),
    Overlay("chat-template.yml", lambda backend, _: bool(backend.chat_template)),
    Overlay("selinux.yml", lambda _, host: host.docker.selinux),
    Overlay("selinux-model.yml", lambda _, host: host.docker.selinux and own_model(host)),
    Overlay("selinux-unlabelled.yml", lambda backend, host: bool(unlabelled(backend, host))),
    Overlay("userns.yml", lambda _, host: host.docker.remapped),
    Overlay("shell-image.yml", lambda b, host: images.entrypoint(b, host) == images.SHELL),
)
"""In the order in which Compose reads them."""

BORROWED = (
    Borrowed(
        "amd-wsl.yml",
        "DXCORE",
        DXCORE,
        lambda host: DXCORE if host.amd.dxcore else "",
        "In Windows: wsl --update, then wsl --shutdown, and open this distribution again.",
    ),
    Borrowed(
        "amd-wsl-rocdxg.yml",
        "ROCDXG",
        "/opt/rocm/lib/librocdxg.so",
        lambda host: host.amd.bridge,
    ),
    Borrowed("amd-wsl-dids.yml", "DIDS", DIDS, lambda host: DIDS if host.amd.dids else ""),
    Borrowed("amd-wsl-smi.yml", "AMD_SMI", SMI, lambda host: SMI if host.amd.smi else ""),
    Borrowed(
        "amd-wsl-legacy.yml",
        "HSA_RUNTIME",
        "/opt/rocm/lib/libhsa-runtime64.so.1",
        lambda host: host.amd.hsa,
    ),
)


def run_as(host: Host) -> str:
    """The account in the container that is the user's own outside of it.

    To a rootless engine root inside is the user who runs it, and any other number nobody:
    https://docs.docker.com/engine/security/rootless/
    """
    return "0:0" if host.docker.rootless else host.os.user


def own_model(host: Host) -> bool:
    """Whether the model's folder is one of ours, whose label may be changed for containers.

    A person's own folder may not: what else reads it could be shut out. Nor what lies in a home or
    a top folder that somebody has made MODELS_DIR of.
    """
    root = host.weights.root
    folders = (host.disks[name].path for name in ("models", "home") if name in host.disks)
    ours = [one for one in folders if not re.fullmatch(r"/[^/]*|/home/[^/]+", str(one))]
    return root is not None and any(one in root.parents for one in ours)


def unlabelled(backend: Backend, host: Host) -> str:
    """Why a container on an engine with SELinux runs without its labels; "" when it has them."""
    if not host.docker.selinux:
        return ""
    if backend.gpu != "cpu":
        return "the nodes of graphics cards have no label for containers"
    if not own_model(host):
        return "the model's folder is not ours to label"
    return "the chat template is not ours to label" if backend.chat_template else ""


def notes(backend: Backend, host: Host) -> list[str]:
    """What is different on this engine, and that nobody of us has run it there."""
    docker, said = host.docker, []
    if docker.foreign:
        return [
            "Podman answers in the engine's place: it does not take what is said here of a card"
        ]
    if docker.selinux:
        why = unlabelled(backend, host)
        done = f"label:disable, as {why}" if why else "our folders get its label"
        said.append(f"SELinux: {done}")
    if docker.rootless:
        said.append("rootless engine: the server runs as 0:0, which is you outside")
    if docker.remapped:
        said.append("userns-remap: userns_mode is host, so that your account is yours inside, too")
    return [f"{one} (not run by us on such an engine)" for one in said]


def files(backend: Backend, host: Host) -> list[str]:
    """The names of the compose files of a server, in order."""
    return [BASE, *(one.file for one in OVERLAYS if one.wanted(backend, host))]


def values(backend: Backend, host: Host) -> dict[str, str]:
    """What those files ask for about this machine."""
    named = {one.variable: one.place(host) or one.usual for one in _borrowed(backend, host)}
    if _native(backend, host):
        variables = ("GPU_GROUP", "SECOND_GPU_GROUP")
        named |= zip(variables, map(str, host.amd.groups), strict=False)
    if backend.chat_template:
        named["CHAT_TEMPLATE"] = backend.get("CHAT_TEMPLATE")
        named["CHAT_TEMPLATE_TARGET"] = backend.chat_template
    return named | environment(backend, host)


def environment(backend: Backend, host: Host) -> dict[str, str]:
    """What programs need in theirs to reach the card from here."""
    return dict(amd.chosen(host).environment) if backend.gpu == "rocm" else {}


def steps(backend: Backend, host: Host) -> list[Step]:
    """Every file that is mounted is there: Docker would make a folder of its name, or refuse."""
    if backend.gpu != "rocm":
        return []
    lent = [_there(one) for one in _borrowed(backend, host)]
    return [_own_engine(host), *lent, *([_fits(backend)] if lent else [])]


def _there(file: Borrowed) -> Step:
    return Step(
        id=f"mount.there:{file.usual}",
        name=f"{file.usual.rpartition('/')[2]} is here for the container",
        missing=lambda now: "" if file.place(now) else f"{file.usual} is missing",
        fix=file.fix,
        found=file.place,
    )


def _own_engine(host: Host) -> Step:
    """Docker Desktop looks for what is mounted in its own virtual machine, where none of it is."""
    where = "distribution" if host.os.wsl else "virtual machine"
    return Step(
        id="mount.own_engine",
        name="the engine sees this system's files and devices",
        missing=lambda now: (
            f"Docker Desktop's engine runs in a {where} of its own, which has neither ROCm's "
            "bridge nor AMD's devices"
            if now.docker.desktop
            else ""
        ),
        fix="Take an engine of this system's own: inv setup.docker --source=distribution",
    )


def _fits(backend: Backend) -> Step:
    return Step(
        id="mount.rocm_fits",
        name="what it borrows goes with the ROCm of the image",
        missing=lambda now: images.belongs(now, images.row(backend, now)),
        fix="Remove IMAGE= from .env, or name an image of the other ROCm: a wrong pair may "
        "overwrite memory.",
        advice=True,
    )


def _borrowed(backend: Backend, host: Host) -> list[Borrowed]:
    mounting = files(backend, host)
    return [one for one in BORROWED if one.overlay in mounting]


def _native(backend: Backend, host: Host) -> bool:
    return backend.gpu == "rocm" and rocm.system(host) == "native"


def _groups(host: Host) -> int:
    return len(host.amd.groups)


def _bridge(backend: Backend, host: Host) -> str:
    """How ROCm reaches Windows' driver: `rocdxg` or `legacy`; "" outside of WSL."""
    if backend.gpu != "rocm" or rocm.system(host) != "wsl":
        return ""
    return "rocdxg" if amd.chosen(host).rocdxg else "legacy"
