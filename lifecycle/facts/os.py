"""The operating system."""

import platform
import sys

from lifecycle.host import Os


def look() -> Os:
    """What `uname` and Python know; WSL shows in the kernel's release."""
    release = platform.release().lower()
    return Os(
        system=sys.platform,
        machine=platform.machine().lower().replace("amd64", "x86_64").replace("arm64", "aarch64"),
        name=platform.platform(terse=True),
        wsl="microsoft" in release,
    )
