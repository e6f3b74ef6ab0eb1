"""Steps about disks: checked before anything is downloaded or half-written."""

from lifecycle.host import GIB, Host
from lifecycle.step import Step


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
        if disk.free < need:
            return (
                f"{what} needs {need / GIB:.1f} GiB in {disk.path}, "
                f"{disk.free / GIB:.1f} GiB are free"
            )
        return ""

    key = {"home": "LIFECYCLE_HOME", "models": "MODELS_DIR"}[where]
    return Step(
        name=f"there is disk for {what}",
        missing=missing,
        found=lambda host: f"{host.disks[where].free / GIB:.0f} GiB are free",
        fix=f"Free some disk, or set {key}= in .env to a folder with room that you can write in.",
    )
