"""Steps about the checkout: where it lies, and that its files are as git has them."""

import shlex

from lifecycle.host import Host
from lifecycle.step import Step

WINDOWS_DRIVES = {"9p", "v9fs", "drvfs", "virtiofs"}
"""File systems through which WSL reaches a Windows drive."""


def steps(host: Host) -> list[Step]:
    """No Windows line ends, nothing on a Windows drive; on Windows itself neither matters."""
    if host.os.system == "win32":
        return []
    return [
        Step(
            id="checkout.line_ends",
            name="env files and scripts have Unix line ends",
            missing=lambda now: f"Windows line ends in {', '.join(now.crlf)}" if now.crlf else "",
            fix=f"Fix them: sed -i 's/\\r$//' {shlex.join(host.crlf)}; and for good: "
            "git config core.autocrlf input",
        ),
        Step(
            id="checkout.linux_disk",
            name="checkout, engines and models are on a Linux disk",
            missing=_on_windows,
            fix="Clone into your home folder in Linux; set MODELS_DIR= in .env to a folder there.",
            found=lambda now: ", ".join(
                sorted({disk.kind for disk in now.disks.values() if disk.kind})
            ),
        ),
    ]


def _on_windows(host: Host) -> str:
    there = [str(disk.path) for disk in host.disks.values() if disk.kind in WINDOWS_DRIVES]
    if not there or not host.os.wsl:
        return ""
    return f"on a Windows drive, ten times slower and without permissions: {', '.join(there)}"
