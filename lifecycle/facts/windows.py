"""Windows: the one we run on, or the one under WSL, which answers through its own programs."""

import re

from lifecycle import processes, wslconfig
from lifecycle.facts import memory
from lifecycle.host import Adapter, Os, Windows
from lifecycle.machine import Machine, side_by_side
from lifecycle.shell import Output

DISPLAY = r"HKLM\SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"
"""Windows' class of display adapters:
https://learn.microsoft.com/windows-hardware/drivers/install/system-defined-device-setup-classes-available-to-vendors
"""
VALUES = ("DriverDesc", "DriverVersion", "RadeonSoftwareVersion")
ABOUT = ("cmd.exe", "/d", "/u", "/c", "ver & echo %USERPROFILE%")
"""`/u`: cmd writes Unicode. Without it an account called Müller is lost in the console's code page.
"""
RAM = (
    "powershell.exe", "-NoProfile", "-NonInteractive", "-Command",
    "(Get-CimInstance Win32_ComputerSystem).TotalPhysicalMemory",
)  # fmt: skip
PORTS = ("netsh.exe", "interface", "ipv4", "show", "excludedportrange", "protocol=tcp")
SLOW = 0.9
"""Seconds for PowerShell: the doctor's look must not wait for a number that only advises."""
SHARE = 2
"""Without `memory=` in .wslconfig the virtual machine gets one half of Windows' RAM."""
BINFMT = ("/proc/sys/fs/binfmt_misc/WSLInterop", "/proc/sys/fs/binfmt_misc/WSLInterop-late")
OFF = "Windows' programs cannot be started from here: interop is off"


def look(machine: Machine, here: Os) -> Windows:
    """What Windows says; without a process where there is none. Never raises."""
    native = here.system == "win32"
    if not native and not here.wsl:
        return Windows()
    if not native and not _interop(machine):
        return Windows(problem=OFF)
    root = "" if native else drives(machine)
    programs, about = _about(machine, root)
    if about.code:
        return Windows(problem=f"Windows' programs do not answer: {about.errors.strip()}")
    build, profile = parse_about(about.text)
    home = path(profile, root)
    return Windows(reached=True, build=build, home=home, programs=programs,
                   **_more(machine, programs, native=native, home=home))  # type: ignore[arg-type]  # fmt: skip


def drives(machine: Machine) -> str:
    """Where WSL mounts Windows' drives, with a slash at its end."""
    conf = wslconfig.values(machine.text("/etc/wsl.conf") or "")
    return conf.get("automount.root", "/mnt/").rstrip("/") + "/"


def path(of_windows: str, root: str) -> str:
    r"""A path of Windows' as we reach it: `C:\Users\user` is `/mnt/c/Users/user`.

    Args:
        root: where drives are mounted; "" on Windows itself.
    """
    drive, _, rest = of_windows.partition(":")
    if not root or not rest:
        return of_windows
    return f"{root}{drive.lower()}{rest.replace(chr(92), '/')}".rstrip("/")


def parse_about(text: str) -> tuple[str, str]:
    """The build and the user's folder. `ver` is translated, its number in brackets is not.

    A warning about a current folder in Linux may stand before both.
    """
    build = re.search(r"\[\D*(\d+(?:\.\d+){2,3})\]", text)
    profile = re.search(r"^[A-Za-z]:\\.*$", text, re.MULTILINE)
    return build[1] if build else "", profile[0].strip() if profile else ""


def parse_registry(text: str) -> dict[str, dict[str, str]]:
    """What `reg.exe query` prints: keys at the margin, below each its values by name.

    The closing line and complaints are translated; they have no `REG_` in them.
    https://learn.microsoft.com/windows-server/administration/windows-commands/reg-query
    """
    found: dict[str, dict[str, str]] = {}
    key = ""
    for number, line in enumerate(text.splitlines()):
        value = re.match(r" {4}(.+?) {4}REG_\w+ {4}(.*)$", line)
        if value and key:
            found[key][value[1]] = value[2].strip()
        elif line.startswith("HKEY_"):
            # A recording has the same word for every number in braces.
            key = line.strip() if line.strip() not in found else f"{line.strip()} {number}"
            found[key] = {}
    return found


def parse_ports(text: str) -> tuple[tuple[int, int], ...]:
    """Ranges nobody may listen on. Those with `*` an administrator set aside: they may be used."""
    rows = re.finditer(r"^\s*(\d+)\s+(\d+)\s*$", text, re.MULTILINE)
    return tuple((int(row[1]), int(row[2])) for row in rows)


def _interop(machine: Machine) -> bool:
    """Whether the kernel hands Windows' programs over (WSL 2 registers one name or the other)."""
    return any((machine.text(file) or "").startswith("enabled") for file in BINFMT)


def _about(machine: Machine, root: str) -> tuple[str, Output]:
    """What cmd says, and what had to be put before its name: PATH may lack Windows' folders."""
    said = machine.run(*ABOUT, keep=True)
    if said.code != 127 or not root:
        return "", said
    programs = f"{root}c/Windows/System32/"
    return programs, machine.run(programs + ABOUT[0], *ABOUT[1:], keep=True)


def _more(machine: Machine, programs: str, *, native: bool, home: str) -> dict[str, object]:
    def reserved() -> tuple[tuple[int, int], ...]:
        return parse_ports(machine.run(programs + PORTS[0], *PORTS[1:]).text)

    found, _ = side_by_side(
        {
            "adapters": lambda: _adapters(machine, programs),
            "reserved": reserved,
            "memory": lambda: _memory(machine, programs, native=native, home=home),
        },
        limit=60,
    )
    return found


def _adapters(machine: Machine, programs: str) -> tuple[Adapter, ...]:
    """Adapters of the registry, also such as are no longer plugged in."""
    said, _ = side_by_side(
        {
            name: lambda name=name: _registry(machine, programs, DISPLAY, "/s", "/v", name)  # type: ignore[misc]
            for name in VALUES
        },
        limit=60,
    )
    names, drivers, suites = (_first(said.get(name), name) for name in VALUES)
    return tuple(
        Adapter(name, drivers.get(key, ""), suites.get(key, "")) for key, name in names.items()
    )


def _first(keys: object, name: str) -> dict[str, str]:
    """One value by key, of the adapters' own keys and none below them."""
    assert isinstance(keys, dict | None)  # noqa: S101 - for mypy
    own = re.compile(r"\\\d{4}$")
    return {key: found[name] for key, found in (keys or {}).items() if own.search(key)}


def _registry(machine: Machine, programs: str, *words: str) -> dict[str, dict[str, str]]:
    # Its exit code tells little: one key without permission makes it 1, after all the others.
    return parse_registry(machine.run(programs + "reg.exe", "query", *words, keep=True).text)


def _memory(machine: Machine, programs: str, *, native: bool, home: str) -> int:
    """Bytes. PowerShell takes a second or more, so it is asked where nothing else knows."""
    if native:
        return machine.ask("windows.memory", 0, processes.ram)
    config = wslconfig.values(machine.text(f"{home}/.wslconfig") or "")
    if "wsl2.memory" not in config:
        return SHARE * memory.look(machine).total
    said = machine.run(programs + RAM[0], *RAM[1:], limit=SLOW, keep=True).text.strip()
    return int(said) if said.isdigit() else 0
