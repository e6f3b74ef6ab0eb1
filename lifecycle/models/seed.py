"""Bring a model of the hub to this machine: what of it, is there room, fetch, verify, seal.

While it is on its way, `.seeded/<commit>.wanted.json` in the repo's folder lists its files, so that
one can tell how much of it is here, and of how much, without asking anybody.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import tables
from lifecycle.errors import ModelUnavailable
from lifecycle.files import Files
from lifecycle.hub.repo import Repo
from lifecycle.models import cache, selection
from lifecycle.models.selection import Selection
from lifecycle.paths import Paths

if TYPE_CHECKING:
    from lifecycle.hub.client import Hub
    from lifecycle.transfer import Item, Place

PICKLED = {"bin", "pt"}
"""Formats of weights that are Python's pickles (https://docs.python.org/3/library/pickle.html)."""
MARGIN = 1 << 30
"""Bytes of a disk to leave to others."""
WANTED = ".wanted.json"
COMING = ".coming"
"""The folder beside `blobs` where a copy from another machine grows."""


@dataclass(frozen=True)
class Order:
    """What is to be fetched, and where it goes.

    Args:
        revision: the branch, tag or commit that was asked for.
        proven: whether it is known to be all of the model; of another machine's cache nobody knows
            what it was meant to hold.
    """

    repo: Repo
    revision: str
    selection: Selection
    place: "Place"
    items: "tuple[Item, ...]"
    proven: bool = True

    @property
    def missing(self) -> int:
        """Bytes that are still to come; parts of files that are here count as here."""
        from lifecycle.transfer import missing_bytes

        return missing_bytes(self.items, self.place)

    @property
    def complete(self) -> bool:
        """Whether all of it was fetched and verified before."""
        return cache.sealed(self.place.snapshot)


def here(paths: Paths, repo: str, revision: str) -> Path | None:
    """The complete snapshot of a commit, found without any request; None when somebody must ask.

    What a branch means today only the hub knows.
    """
    if not cache.COMMIT.fullmatch(revision):
        return None
    place = cache.snapshot(cache.repo_folder(cache.ours(paths), repo), revision)
    return place if cache.sealed(place) else None


def order(hub: "Hub", repo: str, revision: str, paths: Paths, holds: str = "model") -> Order:
    """Ask the hub what there is and choose what vLLM loads: kilobytes.

    Args:
        holds: `model`, or `adapter`.

    Raises:
        ModelUnavailable: no such repo, no access, or nothing in it that vLLM can load.
        HostNotReady: the hub cannot be reached.
    """
    from lifecycle.transfer import Item, Place

    found = hub.info(repo, revision, tables.catalogue.repos())
    # Under the name that was asked for: whoever looks for it later knows no other.
    place = Place(cache.repo_folder(cache.ours(paths), repo), found.sha, revision)
    if found.gated and not cache.sealed(place.snapshot):
        # The hub shows everybody what is in a gated repo, and refuses its files.
        hub.access(found.id)
    if holds == "adapter":
        chosen = selection.adapter(found.id, found.files)
    else:
        index = selection.index_in(found.files)
        read = _index(hub, found, place, index) if index else None
        chosen = selection.select(found.id, found.files, read)
    items = tuple(
        Item(file.path, file.size, file.digest, hub.url(found.id, found.sha, file.path))
        for file in chosen.files
    )
    return Order(found, revision, chosen, place, items)


def bring(
    hub: "Hub",
    wanted: tuple[str, str, str],
    paths: Paths,
    on_progress: Callable[[Files], None],
    tell: Callable[[str], None],
) -> Path:
    """All of it in one: ask, look for room, fetch; a complete commit is not even asked for.

    Args:
        wanted: a repo, the branch, tag or commit of it, and what it holds: `model` or `adapter`.
        tell: gets what a person should know before it comes.

    Raises:
        ModelUnavailable: refused, no room, or bytes that are wrong twice.
        HostNotReady: the hub cannot be reached.
    """
    repo, revision, holds = wanted
    complete = here(paths, repo, revision) or cache.settled(paths, repo, revision, on_progress)
    if complete:
        return complete
    ordered = order(hub, repo, revision, paths, holds)
    for text in cautions(ordered):
        tell(text)
    prepare(ordered, paths)
    return fetch(hub, ordered, on_progress)


def cautions(wanted: Order) -> list[str]:
    """What a repo brings that is more than numbers."""
    said, chosen = [], wanted.selection
    if chosen.format in PICKLED:
        said.append(
            f"{wanted.repo.id} has its weights as .{chosen.format} files only: these can hold "
            "code; take a repo with safetensors where there is one"
        )
    if chosen.code:
        said.append(
            f"{wanted.repo.id} brings Python code ({', '.join(chosen.code)}): it runs only with "
            "EXTRA_ARGS=--trust-remote-code"
        )
    return said


def prepare(wanted: Order, paths: Paths) -> None:
    """All that comes before the first byte: what others fetched is taken over, and what the disk
    cannot hold is refused.

    Raises:
        ModelUnavailable: there is no room.
    """
    adopt(wanted, paths)
    require_room(wanted)


def adopt(wanted: Order, paths: Paths) -> None:
    """Take over what Hugging Face's own tools fetched, as hard links: it is verified like all else
    before it counts. On another disk it cannot be linked, and is fetched.
    """
    place = wanted.place
    for other in cache.caches(paths)[1:]:
        for item in wanted.items:
            theirs, ours = other / place.repo.name / "blobs" / item.name, place.blobs / item.name
            with contextlib.suppress(OSError):
                if theirs.stat().st_size == item.size and not ours.exists():
                    place.blobs.mkdir(parents=True, exist_ok=True)
                    os.link(theirs.resolve(), ours)


def require_room(wanted: Order, less: int = 0) -> None:
    """Refuse what the disk cannot hold, before anything is fetched.

    Args:
        less: bytes that are here in a form the order does not know.

    Raises:
        ModelUnavailable: and says how much is missing.
    """
    need = max(0, wanted.missing - less)
    folder = next(one for one in wanted.place.repo.parents if one.exists())
    free = shutil.disk_usage(folder).free
    if need and free < need + MARGIN:
        raise ModelUnavailable(
            f"there is no room for {wanted.repo.id}",
            why=f"{need / 1e9:.1f} GB are still to come, {free / 1e9:.1f} GB are free in "
            f"{wanted.place.repo.parent}",
            fix="Free some disk, or set MODELS_DIR= in .env to a folder with room.",
        )


def fetch(hub: "Hub", wanted: Order, on_progress: Callable[[Files], None]) -> Path:
    """Fetch and verify; goes on where an earlier run stopped.

    Raises:
        ModelUnavailable: refused, no room, or bytes that are wrong twice.
        HostNotReady: the hub fell silent.
    """
    from lifecycle import transfer
    from lifecycle.hub.refusals import Refusal

    with under_way(wanted):
        try:
            place = transfer.fetch(
                wanted.items, wanted.place, headers=hub.authorization, on_progress=on_progress
            )
        except transfer.Refused as error:
            refusal = Refusal(error.status, error.code, error.said)
            raise hub.explain(refusal, wanted.repo.id, wanted.revision) from None
        cache.seal(place, wanted.selection.files)
    return place


@contextlib.contextmanager
def under_way(wanted: Order) -> Iterator[None]:
    """Leave the list of what is wanted while it is not all here.

    Raises:
        HostNotReady: it cannot be written; or ModelUnavailable: for want of room.
    """
    from lifecycle.transfer.failures import told

    record = _wanted(wanted.place)
    text = json.dumps({item.path: [item.size, item.digest] for item in wanted.items})
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(text)
    except OSError as error:
        raise told(error, wanted.place.blobs) from None
    yield
    record.unlink(missing_ok=True)


def unfinished(paths: Paths, repo: str) -> str:
    """How much of a model is here whose fetching was not finished; "" when none was begun."""
    from lifecycle.transfer import missing_bytes

    folder = cache.repo_folder(cache.ours(paths), repo)
    for record in sorted(folder.glob(f".seeded/*{WANTED}"), key=_when, reverse=True):
        place, items = _read(record)
        total = sum(item.size for item in items)
        here = total - missing_bytes(items, place) + staged(place, items)
        if items:
            return f"{_size(here)} of {_size(total)} of {repo} were fetched so far"
    return ""


def staged(place: "Place", items: "Iterable[Item]") -> int:
    """Bytes of files that another machine's copy is growing to."""
    files = {place.repo / COMING / item.name for item in items}
    return sum(file.stat().st_size for file in files if file.is_file())


def _wanted(place: "Place") -> Path:
    return place.repo / ".seeded" / f"{place.commit}{WANTED}"


def _read(record: Path) -> "tuple[Place, list[Item]]":
    """What a list says; no items when it cannot be read."""
    from lifecycle.transfer import Item, Place

    place = Place(record.parent.parent, record.name.removesuffix(WANTED))
    try:
        listed = json.loads(record.read_text())
        return place, [Item(path, size, digest, "") for path, (size, digest) in listed.items()]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, ModelUnavailable):
        return place, []


def _when(file: Path) -> float:
    return file.stat().st_mtime


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _index(hub: "Hub", found: Repo, place: "Place", name: str) -> dict[str, Any]:
    """The list of the weights' files: of a model that is here, without a request."""
    if cache.sealed(place.snapshot):
        with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
            return dict(json.loads((place.snapshot / name).read_text()))
    return hub.config(found.id, found.sha, name)
