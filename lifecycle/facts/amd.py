"""AMD cards and ROCm: the kernel's folders on native Linux, `rocminfo` everywhere."""

import re
from dataclasses import replace
from pathlib import Path

from lifecycle import tables
from lifecycle.facts import packages
from lifecycle.host import Amd, Gpu, Os
from lifecycle.machine import Machine
from lifecycle.shell import Output

DRM = "/sys/class/drm"
KFD = "/sys/class/kfd/kfd/topology/nodes"
ROCM = "/opt/rocm"
PCI_VENDOR = "0x1002"
IDS = "/usr/share/libdrm/amdgpu.ids"
SETUP = "/etc/amdgpu-install/amdgpu-setup.conf"
DXG = "HSA_ENABLE_DXG_DETECTION=1"
"""Without it ROCm before 7.13 does not look for `/dev/dxg`; later ones do not mind."""
LIMIT = 5.0
"""Seconds for `rocminfo`: it may hang for ever (ROCm/librocdxg#17)."""
UNNAMED = "AMD graphics (PCI device"
"""How a card is called that libdrm's table does not know."""
SHOWN = 3
"""How many lines of a complaint are kept."""


def look(machine: Machine, here: Os) -> Amd:
    """The cards, what is installed of ROCm, and what `rocminfo` says. Never raises."""
    dxg = here.wsl and machine.exists("/dev/dxg")
    kfd = not here.wsl and machine.exists("/dev/kfd")
    cards = _drm_cards(machine) if here.system == "linux" and not here.wsl else ()
    possible = dxg or kfd or bool(cards)
    if not possible and not machine.exists(ROCM):
        return Amd(gpus=cards)
    agents, problem = _agents(machine, here) if possible else ((), "")
    loaded = _loadable(machine)
    bridge = next((loaded[name] for name in loaded if name.startswith("librocdxg.so")), "")
    installed = packages.look(machine)
    return Amd(
        gpus=_named(cards, agents),
        agents=tuple(agent.arch for agent in agents),
        kfd=kfd,
        dxg=dxg,
        render=tuple(n for n in machine.names("/dev/dri") if n.startswith("renderD")),
        groups=machine.ask("amd.groups", tuple[int, ...](), _owners) if kfd else (),
        rocm=_rocm(machine, installed),
        hsa=loaded.get("libhsa-runtime64.so.1", "") or _file(machine, "libhsa-runtime64.so.1"),
        rocdxg=installed.get("rocdxg-roct", "")
        or ("unknown" if _file(machine, "librocdxg.so") else ""),
        linked=bool(bridge),
        bridge=bridge or _file(machine, "librocdxg.so"),
        installer=parse_release(machine.text(SETUP) or ""),
        dids=machine.exists(f"{ROCM}/share/rocdxg/dids.conf"),
        smi=here.wsl and machine.exists(tables.rocm.amd_smi().library),
        dxcore=here.wsl and machine.exists("/usr/lib/wsl/lib/libdxcore.so"),
        usecases=_usecases(machine),
        shadowing=tuple(name for name in tables.rocm.shadowing() if name in installed),
        problem=problem,
    )


def _owners() -> tuple[int, ...]:
    """As numbers: a group of that name in an image may have another one, or not be there."""
    nodes = (Path("/dev/kfd"), *Path("/dev/dri").glob("renderD*"))
    return tuple(sorted({node.stat().st_gid for node in nodes}))


def _drm_cards(machine: Machine) -> tuple[Gpu, ...]:
    """Cards as the kernel's graphics driver shows them; gfx names are known where KFD is."""
    archs = _archs_by_minor(machine)
    cards = []
    for entry in machine.names(DRM):
        device = f"{DRM}/{entry}/device"
        if re.fullmatch(r"card\d+", entry) and _value(machine, f"{device}/vendor") == PCI_VENDOR:
            arch = next(
                (archs[node] for node in machine.names(f"{device}/drm") if node in archs), ""
            )
            total = _number(machine, f"{device}/mem_info_vram_total")
            used = _number(machine, f"{device}/mem_info_vram_used")
            # The driver itself takes some: 0 is a file that could not be read.
            free = max(0, total - used) if used else None
            name = _pci_name(machine, device)
            cards.append(Gpu(name, total, free, arch, tables.rocm.integrated(arch)))
    return tuple(cards)


def _archs_by_minor(machine: Machine) -> dict[str, str]:
    """Render nodes and gfx names: https://docs.kernel.org/gpu/amdgpu/driver-misc.html."""
    found = {}
    for node in machine.names(KFD):
        # A node that belongs to somebody else's container cannot be read; that is no card of ours.
        properties = parse_properties(machine.text(f"{KFD}/{node}/properties") or "")
        version = properties.get("gfx_target_version", 0)
        if version:
            found[f"renderD{properties.get('drm_render_minor', 0)}"] = gfx_name(version)
    return found


def parse_properties(text: str) -> dict[str, int]:
    """Lines like `simd_count 192`."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def gfx_name(version: int) -> str:
    """The name LLVM gives it: 110000 is `gfx1100`, 90010 is `gfx90a`."""
    major, minor, step = version // 10000, version // 100 % 100, version % 100
    return f"gfx{major}{minor:x}{step:x}"


def _pci_name(machine: Machine, device: str) -> str:
    """The card's name in libdrm's table, a line like `744C,<tab>C8,<tab>AMD Radeon RX 7900 XTX`."""
    number = _value(machine, f"{device}/device").removeprefix("0x")
    revision = _value(machine, f"{device}/revision").removeprefix("0x")
    pattern = f"^{number},[[:space:]]*{revision},"
    line = machine.run("grep", "-i", "-m", "1", pattern, IDS).text if number else ""
    return line.rpartition(",")[2].strip() or f"{UNNAMED} {number or 'unknown'})"


def _agents(machine: Machine, here: Os) -> tuple[tuple[Gpu, ...], str]:
    """What ROCm itself lists, and why it lists nothing."""
    places = (f"{ROCM}/bin/rocminfo", "/usr/bin/rocminfo")
    program = next((place for place in places if machine.exists(place)), "")
    if not program:
        return (), ""
    argv = ("env", DXG, program) if here.wsl else (program,)
    output = machine.run(*argv, limit=LIMIT)
    found = parse_rocminfo(output.text)
    return found, "" if found else _problem(output)


def _problem(output: Output) -> str:
    if output.code == 124:
        return "rocminfo gave no answer in time"
    said = [line.strip() for line in f"{output.text}\n{output.errors}".splitlines() if line.strip()]
    if output.code == 0:
        return "rocminfo lists no graphics card"
    return "\n".join(said[-SHOWN:]) or f"rocminfo failed (exit {output.code}) and said nothing"


def parse_rocminfo(text: str) -> tuple[Gpu, ...]:
    """Agents that are cards: not the processor, and not the generic targets of their ISA lists.

    https://github.com/ROCm/rocm-systems/tree/develop/projects/rocminfo
    """
    found = []
    for part in re.split(r"^Agent \d+\s*$", text, flags=re.MULTILINE)[1:]:
        name = _field(part, "Name")
        if re.fullmatch(r"gfx[1-9][0-9a-f]+", name):
            # The first pool of a card is its own memory.
            size = re.search(r"^\s+Size:\s+(\d+)\(0x[0-9a-f]+\) KB", part, re.MULTILINE)
            total = int(size[1]) * 1024 if size else 0
            label = _field(part, "Marketing Name") or name
            # ROCm before 6.2 does not say which is part of a processor.
            integrated = _field(part, "Memory Properties") == "APU" or tables.rocm.integrated(name)
            found.append(Gpu(label, total, 0, name, integrated))
    return tuple(found)


def _field(part: str, name: str) -> str:
    match = re.search(rf"^\s+{name}:[ \t]*(.*)$", part, re.MULTILINE)
    return match[1].strip() if match else ""


def _named(cards: tuple[Gpu, ...], agents: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """The kernel knows how much memory is free; under WSL only ROCm knows the cards."""
    names = {agent.arch: agent.name for agent in agents}
    return tuple(
        replace(card, name=names.get(card.arch, card.name)) if UNNAMED in card.name else card
        for card in cards or agents
    )


def _rocm(machine: Machine, installed: dict[str, str]) -> str:
    """The version: `7.2.1`; ROCm 10 keeps its own below `core-10.0`."""
    text = machine.text(f"{ROCM}/.info/version")
    if text:
        return text.strip().partition("-")[0]
    cores = [n.removeprefix("core-") for n in machine.names(ROCM) if n.startswith("core-")]
    if cores:
        return max(cores, key=tables.versions.numbers)
    return ".".join(installed.get("rocm-core", "").split(".")[:3])


def _loadable(machine: Machine) -> dict[str, str]:
    """Libraries the loader finds, and where."""
    # By its full path: /sbin is not on everybody's.
    return parse_ldconfig(machine.run("/sbin/ldconfig", "-p").text)


def parse_ldconfig(text: str) -> dict[str, str]:
    """Lines like `librocdxg.so.1 (libc6,x86-64) => /opt/rocm/lib/librocdxg.so.1`; first wins."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, arrow, place = line.strip().partition(" => ")
        if arrow:
            found.setdefault(name.split(" ")[0], place)
    return found


def _file(machine: Machine, name: str) -> str:
    place = f"{ROCM}/lib/{name}"
    return place if machine.exists(place) else ""


def _usecases(machine: Machine) -> frozenset[str]:
    if not machine.exists("/usr/bin/amdgpu-install"):
        return frozenset()
    return parse_usecases(machine.run("amdgpu-install", "--list-usecase", limit=2).text)


def parse_usecases(text: str) -> frozenset[str]:
    """Lines like `wsl             (for using ROCm in a WSL context)`."""
    return frozenset(re.findall(r"^(\w+)\s+\(", text, re.MULTILINE))


def parse_release(text: str) -> str:
    """The ROCm that `amdgpu-install` is set to: its line `RELEASE=6.4.2`."""
    match = re.search(r"^\s*RELEASE=(\S+)", text, re.MULTILINE)
    return match[1] if match else ""


def _value(machine: Machine, file: str) -> str:
    return (machine.text(file) or "").strip().lower()


def _number(machine: Machine, file: str) -> int:
    text = _value(machine, file)
    return int(text) if text.isdecimal() else 0
