"""Bring a model of the hub to this machine: what of it, is there room, fetch, verify, seal."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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

MARGIN = 1 << 30
"""Bytes of a disk to leave to others."""


@dataclass(frozen=True)
class Order:
    """What is to be fetched, and where it goes.

    Args:
        revision: the branch, tag or commit that was asked for.
    """

    repo: Repo
    revision: str
    selection: Selection
    place: "Place"
    items: "tuple[Item, ...]"

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


def order(hub: "Hub", repo: str, revision: str, paths: Paths) -> Order:
    """Ask the hub what there is and choose what vLLM loads: kilobytes.

    Raises:
        ModelUnavailable: no such repo, no access, or nothing in it that vLLM can load.
        HostNotReady: the hub cannot be reached.
    """
    from lifecycle.transfer import Item, Place

    found = hub.info(repo, revision, tables.catalogue.repos())
    place = Place(cache.repo_folder(cache.ours(paths), found.id), found.sha, revision)
    if found.gated and not cache.sealed(place.snapshot):
        # The hub shows everybody what is in a gated repo, and refuses its files.
        hub.access(found.id)
    index = selection.index_in(found.files)
    read = hub.config(found.id, found.sha, index) if index else None
    chosen = selection.select(found.id, found.files, read)
    items = tuple(
        Item(file.path, file.size, file.digest, hub.url(found.id, found.sha, file.path))
        for file in chosen.files
    )
    return Order(found, revision, chosen, place, items)


def bring(
    hub: "Hub", repo: str, revision: str, paths: Paths, on_progress: Callable[[Files], None]
) -> Path:
    """All of it in one: ask, look for room, fetch; a complete commit is not even asked for.

    Raises:
        ModelUnavailable: refused, no room, or bytes that are wrong twice.
        HostNotReady: the hub cannot be reached.
    """
    complete = here(paths, repo, revision)
    if complete:
        return complete
    wanted = order(hub, repo, revision, paths)
    require_room(wanted)
    return fetch(hub, wanted, on_progress)


def require_room(wanted: Order) -> None:
    """Refuse what the disk cannot hold, before anything is fetched.

    Raises:
        ModelUnavailable: and says how much is missing.
    """
    need = wanted.missing
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

    try:
        place = transfer.fetch(
            wanted.items, wanted.place, headers=hub.authorization, on_progress=on_progress
        )
    except transfer.Refused as error:
        refusal = Refusal(error.status, error.code, error.said)
        raise hub.explain(refusal, wanted.repo.id, wanted.revision) from None
    cache.seal(place, wanted.selection.files)
    return place
