"""WSL: the installation on Windows, and the distribution we are in (or would use)."""

import os
import re
import shutil
from dataclasses import replace

from lifecycle import tables, wslconfig
from lifecycle.facts.windows import drives, parse_registry
from lifecycle.host import Distribution, Os, Windows, Wsl
from lifecycle.machine import Machine, side_by_side
from lifecycle.shell import Output

LIST = ("--list", "--verbose")
REGISTERED = ("query", r"HKCU\Software\Microsoft\Windows\CurrentVersion\Lxss", "/s")
"""Where Windows keeps what is registered. Not a public interface, so only what is said nowhere else
is taken from it: https://github.com/microsoft/WSL/issues/2744.
"""
INFO = 0.5
"""Seconds for wslinfo: it asks WSL over a socket that may be dead."""
CODE = re.compile(r"\bWsl/[\w/]+|\b0x8[0-9a-f]{7}\b|\b[A-Z]+_E_[A-Z_]+\b", re.IGNORECASE)


def look(machine: Machine, here: Os, windows: Windows) -> Wsl:
    """What WSL says; without a process where there is none. Never raises."""
    if here.wsl:
        return _inside(machine, windows)
    if here.system == "win32":
        return _outside(machine, windows)
    return Wsl()


def parse_version(text: str) -> str:
    """WSL's own version: the first number of `wsl.exe --version`, in any language."""
    found = re.search(r"\d+(?:\.\d+){2,3}", text)
    return re.sub(r"^(\d+\.\d+\.\d+)\.0$", r"\1", found[0]) if found else ""


def parse_list(text: str) -> tuple[Distribution, ...]:
    """Lines with a version at their end; the header, which is translated, has none.

    https://github.com/microsoft/WSL/blob/master/src/windows/common/WslClient.cpp
    """
    rows = re.finditer(r"^([* ]) +(\S+) +(\S.*?) +([12])\s*$", text, re.MULTILINE)
    return tuple(
        Distribution(row[2], int(row[4]), default=row[1] == "*", running=row[3] == "Running")
        for row in rows
    )


def generation(release: str) -> int:
    """1 or 2: WSL 1 calls itself `4.4.0-19041-Microsoft`, WSL 2 `…-microsoft-standard-WSL2`."""
    return 1 if release.endswith("-Microsoft") else 2


def registered(
    listed: tuple[Distribution, ...], keys: dict[str, dict[str, str]]
) -> tuple[Distribution, ...]:
    """The same list with the registry's knowledge: who opens it, and which release is in it."""
    known = {values.get("DistributionName", ""): values for values in keys.values()}
    return tuple(_with(one, known.get(one.name, {})) for one in listed)


def drive_of(distribution: str, keys: dict[str, dict[str, str]]) -> str:
    r"""The drive that holds a distribution's disk (ext4.vhdx), e.g. `D:`; `C:` when nobody says.

    `BasePath` is a path of Windows', which may begin with `\\?\`.
    """
    values = next((one for one in keys.values() if one.get("DistributionName") == distribution), {})
    found = re.match(r"(?:\\\\\?\\)?([A-Za-z]):", values.get("BasePath", ""))
    return f"{found[1].upper()}:" if found else "C:"


def with_disk(machine: Machine, here: Wsl, windows: Windows) -> Windows:
    """The same Windows, with what is free where the distribution's disk grows. Never raises."""
    if not here.generation or not windows.reached or not windows.home.startswith("/"):
        return windows
    said = machine.run(windows.programs + "reg.exe", *REGISTERED, keep=True)
    drive = drive_of(here.distribution, parse_registry(said.text))
    folder = f"{drives(machine)}{drive[0].lower()}"
    free = machine.ask("windows.disk", 0, lambda: shutil.disk_usage(folder).free)
    return replace(windows, disk=free, drive=drive)


def trouble(said: Output) -> tuple[str, str]:
    """Why wsl.exe failed, and what to do; both "" when it only has nothing to show.

    Texts are translated; codes are not, and neither are the pages they link to.
    """
    text = f"{said.text}\n{said.errors}"
    known = tables.wsl.error(text)
    if known:
        code, row = known
        return f"{row.meaning} ({code})", row.fix
    if said.code in {124, 126}:
        return said.errors.strip(), ""
    found = CODE.search(text)
    if found and said.code:
        return f"WSL fails with {found[0]}", ""
    return "", ""


def _inside(machine: Machine, windows: Windows) -> Wsl:
    release = (machine.text("/proc/sys/kernel/osrelease") or "").strip()
    number = re.match(r"\d+(?:\.\d+)*", release)
    mode = machine.run("wslinfo", "--networking-mode", limit=INFO)
    conf = _text(machine, "/etc/wsl.conf")
    config = _text(machine, f"{windows.home}/.wslconfig") if windows.home else None
    return Wsl(
        version=_version(machine, windows),
        kernel=number[0] if number else "",
        generation=generation(release),
        distribution=machine.ask("WSL_DISTRO_NAME", "", lambda: os.environ["WSL_DISTRO_NAME"]),
        distributions=_listed(machine, windows) if windows.reached else (),
        networking=mode.text.strip() if mode.code == 0 else "",
        config=wslconfig.values(config or ""), config_text=config,
        conf=wslconfig.values(conf or ""), conf_text=conf,
    )  # fmt: skip


def _listed(machine: Machine, windows: Windows) -> tuple[Distribution, ...]:
    said = machine.run(windows.programs + "wsl.exe", *LIST)
    return parse_list(said.text) if said.code == 0 else ()


def _version(machine: Machine, windows: Windows) -> str:
    """Asked inside first: old distributions of WSL have no wslinfo, or none that tells."""
    told = machine.run("wslinfo", "--wsl-version", limit=INFO)
    if told.code and windows.reached:
        told = machine.run(windows.programs + "wsl.exe", "--version")
    return "" if told.code else parse_version(told.text)


def _outside(machine: Machine, windows: Windows) -> Wsl:
    said = _ask_all(machine)
    listed = parse_list(said["list"].text) if said["list"].code == 0 else ()
    problem, mend = trouble(said["list"]) if not listed else ("", "")
    if not problem and said["status"].code == 0:
        # It ends with success, and says all the same that no virtual machine can start.
        problem, mend = trouble(said["status"])
    there = registered(listed, parse_registry(said["registry"].text))
    used = _used(there)
    config = _text(machine, f"{windows.home}/.wslconfig") if windows.home else None
    conf = _conf(machine, used)
    return Wsl(
        version="" if said["version"].code else parse_version(said["version"].text),
        generation=used.version if used else 0,
        distribution=used.name if used else "", distributions=there,
        config=wslconfig.values(config or ""), config_text=config,
        conf=wslconfig.values(conf or ""), conf_text=conf,
        problem=problem, mend=mend,
    )  # fmt: skip


def _ask_all(machine: Machine) -> dict[str, Output]:
    asked = {
        "version": ("wsl.exe", "--version"),
        "list": ("wsl.exe", *LIST),
        "status": ("wsl.exe", "--status"),
        "registry": ("reg.exe", *REGISTERED),
    }
    said, _ = side_by_side(
        {name: lambda argv=argv: machine.run(*argv) for name, argv in asked.items()},  # type: ignore[misc]
        limit=60,
    )
    return {name: one for name, one in said.items() if isinstance(one, Output)}


def _used(there: tuple[Distribution, ...]) -> Distribution | None:
    """The best of those we know; by its name, or by what is in it."""
    for row in tables.wsl.distributions():
        for one in there:
            if one.name == row.name or one.release == row.release:
                return one
    return None


def _conf(machine: Machine, used: Distribution | None) -> str | None:
    """`/etc/wsl.conf` of a distribution that runs. A look starts none that does not."""
    if used is None or not used.running:
        return None
    said = machine.run("wsl.exe", "-d", used.name, "-u", "root", "--exec", "cat", "/etc/wsl.conf")
    return said.text if said.code == 0 else ""


def _with(one: Distribution, values: dict[str, str]) -> Distribution:
    user = values.get("DefaultUid", "")
    release = f"{values.get('Flavor', '')} {values.get('OsVersion', '')}".strip()
    return replace(one, user=int(user, 16) if user.startswith("0x") else None, release=release)


def _text(machine: Machine, path: str) -> str | None:
    text = machine.text(path)
    return None if text is None else text.replace("\r\n", "\n")
