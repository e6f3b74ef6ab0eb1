"""NVIDIA: the cards and their driver as `nvidia-smi` tells, and what containers need of them."""

import re
from pathlib import Path

from lifecycle import tables
from lifecycle.host import Gpu, Nvidia, Os
from lifecycle.machine import LIMIT, Machine, side_by_side
from lifecycle.shell import Output

SMI = ("/usr/lib/wsl/lib/nvidia-smi", "/usr/bin/nvidia-smi")
"""Full paths first: under WSL its folder is not on the PATH of root and of shells without login."""
NVCC = "/usr/local/cuda/bin/nvcc"
FIELDS = ("driver_version", "memory.total", "memory.free", "compute_cap", "name")
"""The name last: it may have commas in it."""

PCI = "/sys/bus/pci/devices"
VENDOR, DISPLAY = "0x10de", "0x03"
LINUX_DRIVER = (
    # Of a driver's package, and of NVIDIA's own .run installer.
    "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
    "/usr/bin/nvidia-uninstall",
)
LIBCUDA = (
    "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
    "/usr/lib/aarch64-linux-gnu/libcuda.so.1",
    "/usr/lib64/libcuda.so.1",
    "/usr/lib/libcuda.so.1",
)
CDI = ("/etc/cdi", "/var/run/cdi")
MIB = 1024**2
FAILED = re.compile(r"\[?(Unknown Error|GPU is lost|GPU requires reset|ERR!)", re.IGNORECASE)
"""What stands in place of a value when the card does not answer."""


def look(machine: Machine, here: Os, home: Path | None = None) -> Nvidia:
    """What is there of NVIDIA's; empty, without a process, where there is nothing. Never raises.

    Args:
        home: our folder, with the stamp of the last try with a container.
    """
    smi = next((path for path in SMI if machine.exists(path)), "nvidia-smi")
    nvcc = NVCC if machine.exists(NVCC) else "nvcc"
    said, _ = side_by_side(
        {
            "cards": lambda: _query(machine, smi),
            "versions": lambda: _versions(machine, smi),
            "toolkit": lambda: machine.run("nvidia-ctk", "--version").text,
            "nvcc": lambda: machine.run(nvcc, "--version").text,
        },
        LIMIT,
    )
    cards = said.get("cards", Output(124, "", "nvidia-smi: no answer"))
    assert isinstance(cards, Output)  # noqa: S101 - for mypy
    # Whatever the exit code: 14 is a warning, 15 one lost card among others.
    driver, gpus = parse_cards(cards.text)
    return Nvidia(
        smi=smi if gpus else "",
        driver=driver,
        cuda=ceiling(str(said.get("versions", ""))),
        gpus=gpus,
        linux_driver=_linux_driver(machine) if here.wsl else (),
        toolkit=_found(r"CLI version v?(\d+(?:\.\d+)+)", said.get("toolkit", "")),
        cuda_toolkit=_found(r"release (\d+\.\d+)", said.get("nvcc", "")),
        libcuda=_libcuda(machine, here),
        cdi=_cdi(machine),
        verified=machine.ask("nvidia.verified", "", lambda: _stamp(home)),
        problem="" if gpus else _problem(machine, here, cards),
        caution=_caution(cards) if gpus else "",
    )


def parse_cards(text: str) -> tuple[str, tuple[Gpu, ...]]:
    """The driver's version, and each card: lines of `--format=csv,noheader,nounits`.

    What a card does not tell stands in brackets: `[N/A]`, `[Not Supported]`.
    https://docs.nvidia.com/deploy/nvidia-smi/index.html
    """
    rows = [row for line in text.splitlines() if (row := _row(line))]
    gpus = tuple(
        Gpu(name, _mib(total) or 0, _mib(free), _found(r"^(\d+\.\d+)$", arch))
        for _, total, free, arch, name in rows
    )
    return (rows[0][0] if rows else ""), gpus


def _row(line: str) -> list[str]:
    """The fields of a card that answers; [] for every other line.

    A card that fell off the bus has an error in place of its name or its memory.
    """
    row = [part.strip() for part in line.split(",", len(FIELDS) - 1)]
    whole = len(row) == len(FIELDS) and re.fullmatch(r"\d+(?:\.\d+)+", row[0])
    return row if whole and not FAILED.search(f"{row[1]} {row[-1]}") else []


def ceiling(text: str) -> str:
    """The newest CUDA the driver runs, from `--version` or from the table's head.

    Drivers 610+ say `CUDA UMD Version`, and put a note where the old number was.
    """
    return _found(r"CUDA(?: UMD)? Version\s*:\s*(\d+\.\d+)", text)


def _query(machine: Machine, smi: str) -> Output:
    shape = "--format=csv,noheader,nounits"
    output = machine.run(smi, f"--query-gpu={','.join(FIELDS)}", shape)
    if output.code and "not a valid field" in output.text + output.errors:
        # Old drivers do not know compute_cap: a number without a point in its place is none.
        older = [field.replace("compute_cap", "index") for field in FIELDS]
        output = machine.run(smi, f"--query-gpu={','.join(older)}", shape)
    return output


def _versions(machine: Machine, smi: str) -> str:
    """Not the table at first: it lists the user's programs, and a recording would keep them."""
    output = machine.run(smi, "--version", keep=True)
    # 127: there is none at all; without a number it is too old for the option.
    known = ceiling(output.text) or output.code in {0, 124, 127}
    return output.text if known else machine.run(smi).text


def _caution(cards: Output) -> str:
    """What nvidia-smi said beside the cards that answer."""
    lines = (line.strip() for line in f"{cards.text}\n{cards.errors}".splitlines())
    said = [line for line in lines if line and not _row(line)]
    silent = f"nvidia-smi ended with exit code {cards.code}" if cards.code else ""
    return "\n".join(dict.fromkeys(said)) or silent


def _problem(machine: Machine, here: Os, cards: Output) -> str:
    """Why no card can be read although there should be one; "" where there need not be one."""
    if cards.code != 127:
        text = (cards.text + "\n" + cards.errors).strip()
        return " ".join(text.split()) or f"nvidia-smi failed (exit {cards.code})"
    slot = "" if here.wsl else _on_the_bus(machine)
    return f"an NVIDIA card is here (PCI {slot}), but no driver is installed" if slot else ""


def _on_the_bus(machine: Machine) -> str:
    """The PCI address of an NVIDIA display device; its sound device has another class.

    https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-bus-pci
    """
    for slot in machine.names(PCI):
        if (machine.text(f"{PCI}/{slot}/vendor") or "").strip() != VENDOR:
            continue
        if (machine.text(f"{PCI}/{slot}/class") or "").startswith(DISPLAY):
            return slot
    return ""


def _linux_driver(machine: Machine) -> tuple[str, ...]:
    """Files of a Linux driver; links to Windows' own that people made by hand are harmless."""
    there = [path for path in LINUX_DRIVER if machine.exists(path)]
    windows = tables.cuda.on_wsl().libraries
    real = {path: machine.run("readlink", "-f", path).text.strip() for path in there}
    return tuple(path for path in there if not real[path].startswith(windows))


def _libcuda(machine: Machine, here: Os) -> str:
    if not here.wsl:
        return next((path for path in LIBCUDA if machine.exists(path)), "")
    folder = tables.cuda.on_wsl().libraries
    named = [
        machine.text(f"/etc/ld.so.conf.d/{file}") for file in _of(machine, "/etc/ld.so.conf.d")
    ]
    path = f"{folder}/libcuda.so.1"
    lines = [line.strip() for text in named for line in (text or "").splitlines()]
    return path if folder in lines and machine.exists(path) else ""


def _of(machine: Machine, folder: str) -> list[str]:
    return [file for file in machine.names(folder) if file.endswith(".conf")]


def _cdi(machine: Machine) -> tuple[str, ...]:
    return tuple(
        f"{folder}/{file}" for folder in CDI for file in machine.names(folder) if "nvidia" in file
    )


def _stamp(home: Path | None) -> str:
    file = tables.cuda.container_toolkit().stamp
    return (home / file).read_text(encoding="utf-8").strip() if home else ""


def _mib(number: str) -> int | None:
    """Bytes; None when the driver does not tell."""
    return int(number) * MIB if number.isdecimal() else None


def _found(pattern: str, text: object) -> str:
    match = re.search(pattern, str(text))
    return match[1] if match else ""
