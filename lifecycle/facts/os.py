"""The operating system."""

import os
import platform
import shutil
import sys

from lifecycle.host import Os


def look() -> Os:
    """What `uname` and Python know; WSL shows in the kernel's release."""
    release = platform.release().lower()
    return Os(
        system=sys.platform,
        machine=platform.machine().lower().replace("amd64", "x86_64").replace("arm64", "aarch64"),
        name=f"{platform.system()} {platform.release()}",
        wsl="microsoft" in release,
        user=f"{os.getuid()}:{os.getgid()}" if hasattr(os, "getuid") else "",
        root=hasattr(os, "geteuid") and os.geteuid() == 0,
        apt=shutil.which("apt-get") is not None,
    )
