"""The operating system, and who we are on it."""

import os
import platform
import shutil
import sys
from dataclasses import replace

from lifecycle.host import Os
from lifecycle.machine import Machine


def look(machine: Machine) -> Os:
    """What `uname`, Python and os-release know; WSL shows in the kernel's release."""
    here = machine.ask("os", Os(), _here)
    release = parse_release(machine.text("/etc/os-release") or "")
    return replace(
        here,
        distro=release.get("ID", ""),
        version=release.get("VERSION_ID", ""),
        codename=release.get("VERSION_CODENAME", ""),
        name=release.get("PRETTY_NAME") or here.name,
    )


def parse_release(text: str) -> dict[str, str]:
    """Assignments of shell kind: https://www.freedesktop.org/software/systemd/man/os-release.html."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def _here() -> Os:
    account, groups, listed = _identity()
    return Os(
        system=sys.platform,
        machine=platform.machine().lower().replace("amd64", "x86_64").replace("arm64", "aarch64"),
        name=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        # A kernel of one's own may lack the word; WSL's init makes the folder.
        wsl="microsoft" in platform.release().lower() or os.path.isdir("/run/WSL"),  # noqa: PTH112
        user=f"{os.getuid()}:{os.getgid()}" if hasattr(os, "getuid") else "",
        account=account,
        groups=groups,
        listed=listed,
        root=hasattr(os, "geteuid") and os.geteuid() == 0,
        apt=shutil.which("apt-get") is not None,
        sudo=shutil.which("sudo") is not None,
        # https://www.freedesktop.org/software/systemd/man/sd_booted.html
        systemd=os.path.isdir("/run/systemd/system"),  # noqa: PTH112
    )


def _identity() -> tuple[str, frozenset[str], frozenset[str]]:
    """The account, the groups of this process, and those of the account as of now."""
    try:
        import grp
        import pwd
    except ImportError:  # Windows
        return os.environ.get("USERNAME", ""), frozenset(), frozenset()
    account = pwd.getpwuid(os.getuid())
    names = {group.gr_gid: group.gr_name for group in grp.getgrall()}
    listed = {group.gr_name for group in grp.getgrall() if account.pw_name in group.gr_mem}
    groups = frozenset(names.get(number, str(number)) for number in {*os.getgroups(), os.getgid()})
    return account.pw_name, groups, frozenset(listed | {names.get(account.pw_gid, "")})
