"""The door for fetching many gigabytes: a set of files into a Hugging Face cache.

It knows no hub: it gets addresses, sizes and digests, and brings the bytes. Every file is resumed
after any interruption, verified, and only then linked into its snapshot.

Why own code. These were looked at (November 2026):

- huggingface_hub 2.4.0 fetches into `<etag>.<random>.incomplete`, which no other process takes up,
  and compares sizes only: https://github.com/huggingface/huggingface_hub/issues/4196 and 3643. Its
  cache layout, metadata, tokens and errors are used, by `hub/`.
- hf-xet 1.8 writes in file order through one temporary file of huggingface_hub, with the same end
  after kill -9; what it can take up again lies in a chunk cache of limited size (issue 4196 above).
- hf_transfer is gone from huggingface_hub since 1.0: issue 4219 there.
- aria2 resumes and verifies, but hands `--header` to every host it is redirected to, and so the
  token to a CDN: https://github.com/aria2/aria2/issues/1176. It is a system package, and saves what
  it has once a minute unless told otherwise.
- pypdl keeps a segment a file and joins them in the end, so a model needs twice its room; it does
  not fsync: https://github.com/mjishnu/pypdl.
- pooch starts a file over and has one connection: https://www.fatiando.org/pooch/latest/.
- curl -C - resumes one connection, trusts the file's length (which a power cut may leave too
  long), and verifies nothing.
- requests alone is an HTTP library. It is what this is made with.

Modules: item (what is asked for), spans, journal and part (a file that is not complete yet), source
(HTTP), crew (who fetches what), cache (the layout), lock, filling (what every way of bringing files
shares).
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lifecycle.files import Files
from lifecycle.transfer.cache import missing_bytes
from lifecycle.transfer.crew import Crew
from lifecycle.transfer.filling import filling
from lifecycle.transfer.item import Item, Patience, Place
from lifecycle.transfer.source import Refused, Source

__all__ = ["Item", "Patience", "Place", "Refused", "fetch", "missing_bytes"]


def nothing(_: Files) -> None:
    """Show nobody how far it is."""


def fetch(
    items: Sequence[Item],
    place: Place,
    *,
    headers: Mapping[str, str] | None = None,
    on_progress: Callable[[Files], None] = nothing,
    patience: Patience | None = None,
) -> Path:
    """Bring files into a cache; what is there already is only checked, once, without any request.

    Run again after an interruption it goes on where it was: at most 16 MiB a file come twice.

    Args:
        headers: sent to the host of each item's address; nothing but `User-Agent` goes elsewhere.
        on_progress: called in this thread, about ten times a second.

    Returns:
        The snapshot's folder.

    Raises:
        Refused: the host says 401, 403, 404 or the like.
        ModelUnavailable: no room, or bytes that are wrong twice.
        HostNotReady: nothing came for as long as patience lasts.
    """
    with filling(items, place, on_progress) as it:
        if it.missing:
            source = Source(headers or {}, patience or Patience())
            Crew(it.missing, it.cache, source, it.files).run(it.tick)
    return place.snapshot
