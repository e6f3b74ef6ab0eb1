"""Steps about WSL's own settings: `.wslconfig` of the Windows user, `/etc/wsl.conf` inside.

A value that somebody chose stays, unless a server cannot live with it; then that is said.
"""

import re
from pathlib import Path

from lifecycle import tables, wslconfig
from lifecycle.errors import RestartNeeded
from lifecycle.host import GIB, Host
from lifecycle.paths import Paths
from lifecycle.step import Action, Command, EditFile, Step, WriteFile
from lifecycle.steps import root

BY = "inv setup.wsl"
CONF = "/etc/wsl.conf"
UTF8 = {"WSL_UTF8": "1", "WSLENV": "WSL_UTF8"}
"""wsl.exe writes UTF-16 otherwise; WSLENV carries the wish from Linux to Windows."""
SIZE = re.compile(r"(\d+)([KMGT]?)B?")
"""Sizes as WSL reads them: whole numbers and capital letters; `8gb` is passed over.

https://github.com/microsoft/WSL/blob/master/src/shared/inc/stringshared.h (ParseMemorySize)
"""
STAYS_UP, MEMORY = "wsl.stays_up", "wsl.memory"
UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": GIB, "T": 1024 * GIB}


def shutdown(host: Host) -> str:
    """How a new setting comes into force, and how it goes on then."""
    here = "open the distribution again and run" if host.os.wsl else "run here again"
    return f"In PowerShell: wsl --shutdown (it ends everything that runs in WSL); then {here}: {BY}"


def wsl(host: Host, *argv: str) -> Command:
    """A command of wsl.exe, from Windows or from inside."""
    return Command((f"{host.windows.programs}wsl.exe", *argv), env=UTF8)


def settings(host: Host) -> Step:
    """`.wslconfig` has what a server needs; the whole of it in one edit."""
    wanted = _wanted(host)
    home, text = host.windows.home, host.wsl.config_text
    edit = EditFile(Path(f"{home}/.wslconfig"), text, wslconfig.merged(text or "", wanted))
    return Step(
        id="wsl.settings",
        name="WSL's settings suit a server",
        missing=_unsuited,
        actions=(edit,) if home else (),
        fix=f"Put into %UserProfile%\\.wslconfig: {_spelled(wanted)}. {shutdown(host)}",
        phase="configure",
        restart=shutdown(host),
    )


def stays_up(host: Host) -> Step:
    """The distribution does not stop when its last window is closed."""
    idle = {row.key: row.value for row in tables.wsl.settings()}
    return Step(
        id=STAYS_UP,
        name="the distribution stays up without a window",
        missing=lambda now: "; ".join(_short_lived(now)),
        fix=BY
        if host.windows.home
        else f"Put into %UserProfile%\\.wslconfig: {_spelled(idle)}. {shutdown(host)}",
        found=lambda _: "it is never stopped for being idle",
        advice=True,
    )


def memory(host: Host) -> Step:
    """The virtual machine has its share of Windows' RAM."""
    ours = host.windows.home and "wsl2.memory" in _wanted(host)
    return Step(
        id=MEMORY,
        name="WSL may use enough of the RAM",
        missing=lambda now: _starved(now) or _unread(now),
        fix=BY if ours else _larger(host),
        found=_share,
        advice=True,
    )


def systemd_wanted(host: Host, paths: Paths, name: str) -> Step:
    """`/etc/wsl.conf` asks for systemd.

    From Windows it is read only while the distribution runs; the images that are installed here
    have it on, and inside it is asked again.
    """
    text = wslconfig.merged(host.wsl.conf_text or "", {"boot.systemd": "true"})
    inside = host.os.wsl
    return Step(
        id="wsl.systemd_asked",
        name=f"systemd is asked for in {CONF}",
        missing=_no_systemd,
        actions=root.write(host, paths, CONF, text) if inside else _from(host, paths, name, text),
        phase="configure",
    )


def systemd(host: Host) -> Step:
    """Systemd runs: what starts Docker with the distribution."""
    return Step(
        id="wsl.systemd",
        name="systemd runs",
        missing=lambda now: "" if now.os.systemd else _why_no_systemd(now),
        fix=shutdown(host),
        failure=RestartNeeded,
    )


def size(text: str) -> int:
    """Bytes; 0 where WSL cannot read it."""
    found = SIZE.fullmatch(text)
    return int(found[1]) * UNITS[found[2]] if found else 0


def systemd_asked(host: Host) -> bool:
    """Whether `/etc/wsl.conf` asks for systemd, in force or not."""
    return host.wsl.conf.get("boot.systemd", "").lower() == "true"


def _larger(host: Host) -> str:
    """What a person writes who chose a size, or one that WSL cannot read."""
    file, text = "%UserProfile%\\.wslconfig", host.wsl.config.get("wsl2.memory", "")
    if _proposal(host):
        return f"Set memory={_proposal(host)}GB below [wsl2] in {file}. {shutdown(host)}"
    spelled = text.upper() if size(text.upper()) else "8GB"
    return f"Write memory={spelled} in {file}, or take the line out. {shutdown(host)}"


def _wanted(host: Host) -> dict[str, str]:
    lacking = {row.key: row.value for row in tables.wsl.settings() if not _never(host, row.key)}
    if not _chosen(host) and _proposal(host):
        lacking["wsl2.memory"] = f"{_proposal(host)}GB"
    return lacking


def _unsuited(now: Host) -> str:
    if not now.windows.home:
        return "they cannot be reached from here"
    reasons = _short_lived(now)
    if "wsl2.memory" in _wanted(now):
        reasons.append(_starved(now) or _unread(now))
    return "; ".join(reasons)


def _short_lived(now: Host) -> list[str]:
    if not now.windows.home:
        return ["%UserProfile%\\.wslconfig cannot be reached from here"]
    return [
        f"{row.key} is {_said(now, row.key, row.default)}: {row.why}"
        for row in tables.wsl.settings()
        if not _never(now, row.key)
    ]


def _said(now: Host, key: str, default: str) -> str:
    chosen = now.wsl.config.get(key.lower())
    return f"{default} (WSL's default)" if chosen is None else chosen


def _never(host: Host, key: str) -> bool:
    return host.wsl.config.get(key.lower(), "").startswith("-")


def _chosen(host: Host) -> bool:
    """Whether somebody set `memory=` to something WSL can read."""
    return bool(size(host.wsl.config.get("wsl2.memory", "")))


def _proposal(host: Host) -> int:
    """GiB for the virtual machine; 0 when WSL's default is as good, or Windows' RAM unknown."""
    row, total = tables.wsl.memory(), host.windows.memory / GIB
    ours = int(min(total * row.share, total - row.windows_gib))
    return ours if ours > total * row.default_share else 0


def _starved(now: Host) -> str:
    wanted, total = _proposal(now), now.windows.memory / GIB
    chosen = size(now.wsl.config.get("wsl2.memory", "")) / GIB
    have = now.memory.total / GIB or chosen or total * tables.wsl.memory().default_share
    # The kernel keeps some of it for itself.
    if have >= 0.85 * wanted:
        return ""
    if chosen and have >= 0.85 * chosen:
        return f"memory={chosen:.0f}GB gives it little of Windows' {total:.0f} GiB"
    if chosen:
        return f"memory={chosen:.0f}GB is set and not in force: {have:.1f} GiB are there"
    gets = f"the virtual machine gets {have:.1f} of about {total:.0f} GiB"
    return ". ".join(filter(None, (gets, _unread(now))))


def _share(now: Host) -> str:
    given = now.memory.total or size(now.wsl.config.get("wsl2.memory", ""))
    have = f"{given / GIB:.1f} GiB" if given else "its own default"
    return have if now.windows.memory else f"{have}; how much Windows has could not be asked"


def _unread(now: Host) -> str:
    text = now.wsl.config.get("wsl2.memory", "")
    if not text or size(text):
        return ""
    return f"WSL cannot read memory={text} (it knows 8GB and 8192MB) and takes its own default"


def _spelled(values: dict[str, str]) -> str:
    parts = [key.partition(".") for key in values]
    lines = [
        f"[{part[0]}] {part[2]}={value}" for part, value in zip(parts, values.values(), strict=True)
    ]
    return ", ".join(lines)


def _no_systemd(now: Host) -> str:
    if now.os.systemd or (now.wsl.conf_text is None and not now.os.wsl):
        return ""
    if systemd_asked(now):
        return ""
    return f"{CONF} does not have systemd=true below [boot]"


def _why_no_systemd(now: Host) -> str:
    why = "asked for, and not running yet"
    return why if systemd_asked(now) else "the first process is not systemd"


def _from(host: Host, paths: Paths, name: str, text: str) -> tuple[Action, ...]:
    """From Windows: ours first, then put in its place by root inside."""
    folder = root.staging(paths)
    return (
        WriteFile(folder / "wsl.conf", text),
        wsl(host, "-d", name, "-u", "root", "--cd", str(folder), "--exec",
            "install", "-m", "644", "wsl.conf", CONF),
    )  # fmt: skip
