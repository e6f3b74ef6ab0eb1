"""Steps of an image: there is room for it, and it is here."""

from collections.abc import Sequence

from lifecycle.host import GIB, Host
from lifecycle.step import PullImage, Step
from lifecycle.steps import disk
from lifecycle.tables.serving import by_tag


def steps(wanted: str, gib: float = 0, instead: Sequence[str] = ()) -> list[Step]:
    """The image is on this machine, or one of those that do as well.

    Args:
        wanted: as Docker takes it: `name:tag`, `name@sha256:…` or both.
        gib: what it takes of the disk, in GiB; 0 when nobody knows.
        instead: images to pull, one after the other, where the registry does not have it.
    """
    several = (wanted, *instead)

    def present(now: Host) -> str:
        return next((one for one in several if not absent(one, now.docker.images)), "")

    lacking = f"{by_tag(wanted) if instead else 'it'} is not on this machine"
    return [
        *([_room(wanted, gib)] if gib else []),
        Step(
            id="image.present",
            name="an image with vLLM is here" if instead else f"the image {wanted} is here",
            missing=lambda now: "" if present(now) else lacking,
            actions=(PullImage(wanted, tuple(instead)),),
            fix="Look at: docker images",
            phase="pull",
            found=lambda now: by_tag(present(now)) if instead else "",
        ),
    ]


def absent(wanted: str, here: frozenset[str]) -> str:
    """Docker lists `name:tag` and `name@digest`, never both in one."""
    name, _, digest = wanted.partition("@")
    untagged = ":" not in name.rpartition("/")[2]
    bare = name if untagged else name.rpartition(":")[0]
    listed = f"{bare}@{digest}" if digest else f"{name}:latest" if untagged else name
    return "" if listed in here else "it is not on this machine"


def _room(wanted: str, gib: float) -> Step:
    def missing(now: Host) -> str:
        here = not absent(wanted, now.docker.images)
        folder = now.docker.folder or "the folder of the Docker Engine"
        free, where = disk.least(now, now.docker.free, folder)
        # Where Docker Desktop or an engine elsewhere keeps images is not for us to see.
        if here or not now.docker.free or free >= gib * GIB:
            return ""
        return f"{by_tag(wanted)} needs {gib:.0f} GiB in {where}, {free / GIB:.1f} GiB are free"

    return Step(
        id="disk.image",
        name="there is disk for the image",
        missing=missing,
        found=lambda now: disk.told(now, now.docker.free) if now.docker.free else "",
        fix="See what takes it: docker system df. Images no container uses go with docker image "
        "prune --all. Or move Docker's folder to a larger disk: data-root in "
        "/etc/docker/daemon.json.",
    )
