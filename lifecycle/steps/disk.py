"""Steps about disks: checked before anything is downloaded or half-written."""

from lifecycle.host import GIB, Host
from lifecycle.step import Step, not_read


def room(where: str, need: int, what: str, *, unless: bool = False) -> Step:
    """A writable folder with `need` free bytes.

    Args:
        where: `home` or `models`, as in `Host.disks`.
        unless: what needs the room is there already.
    """

    def missing(host: Host) -> str:
        disk = host.disks[where]
        if unless:
            return ""
        if disk.problem:
            return f"{disk.path} cannot be used: {disk.problem}"
        free, place = least(host, disk.free, str(disk.path))
        if free < need:
            return f"{what} needs {need / GIB:.1f} GiB in {place}, {free / GIB:.1f} GiB are free"
        return ""

    key = {"home": "LIFECYCLE_HOME", "models": "MODELS_DIR"}[where]
    return Step(
        id=f"disk.{where}",
        name=f"there is disk for {what}",
        missing=missing,
        found=lambda host: told(host, host.disks[where].free),
        unread=not_read("disks"),
        fix=f"Free some disk, or set {key}= in .env to a folder with room that you can write in.",
    )


def least(host: Host, free: int, place: str) -> tuple[int, str]:
    """What can be written to a disk of this system's, in bytes, and where the limit is.

    Under WSL the disk is a file (ext4.vhdx) that grows on a drive of Windows', up to 1 TB, and
    never shrinks: Linux counts as free what that drive may not have.
    https://learn.microsoft.com/windows/wsl/disk-space
    """
    if _grows(host, free):
        return host.windows.disk, f"{place}, which lies on Windows' {host.windows.drive}"
    return free, place


def told(host: Host, free: int) -> str:
    """The same for people."""
    where = f" on Windows' {host.windows.drive}" if _grows(host, free) else ""
    return f"{least(host, free, '')[0] / GIB:.0f} GiB are free{where}"


def _grows(host: Host, free: int) -> bool:
    return host.os.wsl and 0 < host.windows.disk < free
