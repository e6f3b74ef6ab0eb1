"""wsl.exe, from Windows and from inside."""

import re
import shlex

from lifecycle import wslconfig
from tests.unit.simulated.state import Refused, State
from tests.unit.simulated.world import listed


def wsl(on: State, *words: str) -> None:
    on.expect(on.asked("os")["wsl"] or _on_windows(on), "wsl.exe: not found")
    match words:
        case ("--install", "--no-distribution"):
            on.wsl_comes = True
        case ("--install", "-d", name, "--no-launch"):
            _list(on, [*_listed(on), (not _listed(on), name, "Stopped", "2")])
            _register(on, name)
        case ("--set-version", name, "2"):
            _list(on, [(d, n, s, "2" if n == name else v) for d, n, s, v in _listed(on)])
        case ("--set-default", name):
            _list(on, [(n == name, n, s, v) for _, n, s, v in _listed(on)])
        case ("--update",):
            on.says(("wsl.exe", "--version"), "WSL version: 2.9.4.0")
        case ("-d", name, "-u", "root", "--cd", folder, "--exec", "install", *rest):
            text = on.text(f"{folder}/{rest[-2]}")
            on.expect(text is not None, f"install: cannot stat '{rest[-2]}'")
            key = ("wsl.exe", "-d", name, "-u", "root", "--exec", "cat", rest[-1])
            on.says(key, text or "")
        case _:
            raise Refused(f"wsl.exe {shlex.join(words)}")


def _on_windows(on: State) -> bool:
    return bool(on.asked("os")["system"] == "win32")


def came(on: State) -> None:
    """After the restart the real wsl.exe is there, with nothing in it."""
    on.says(("wsl.exe", "--version"), "WSL version: 2.9.4.0\nKernel version: 6.6.87.2-1")
    on.says(("wsl.exe", "--status"), "Default Version: 2")


def _listed(on: State) -> list[tuple[bool, str, str, str]]:
    said = on.run("wsl.exe", "--list", "--verbose")
    rows = re.finditer(r"^([* ]) (\S+) +(\S.*?) +([12])$", said.text, re.MULTILINE)
    return [(row[1] == "*", row[2], row[3], row[4]) for row in rows]


def _list(on: State, rows: list[tuple[bool, str, str, str]]) -> None:
    on.says(("wsl.exe", "--list", "--verbose"), listed(rows))


def _register(on: State, name: str) -> None:
    """A new distribution opens as root until somebody has opened it."""
    asked = ("reg.exe", "query", r"HKCU\Software\Microsoft\Windows\CurrentVersion\Lxss", "/s")
    key = r"HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\Lxss\{(uuid)}"
    values = f"    DistributionName    REG_SZ    {name}\n    DefaultUid    REG_DWORD    0x0"
    on.says(asked, f"{on.run(*asked).text}\n\n{key}\n{values}")


def give_memory(on: State) -> None:
    """The virtual machine is as large as `.wslconfig` says."""
    path = next((key for key in on.answers if key.endswith("/.wslconfig")), "")
    text = on.text(path.removeprefix("file: ")) if path else None
    size = wslconfig.values(text or "").get("wsl2.memory", "")
    if found := re.fullmatch(r"(\d+)GB", size):
        total = int(found[1]) * 1024**2 * 98 // 100
        on.put("/proc/meminfo", f"MemTotal: {total} kB\nMemAvailable: {total * 9 // 10} kB")
