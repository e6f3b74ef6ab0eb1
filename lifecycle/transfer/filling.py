"""What all ways of bringing files share: one at a time, only what is missing, published last."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from lifecycle.files import Files
from lifecycle.transfer.cache import Cache
from lifecycle.transfer.failures import told
from lifecycle.transfer.item import Item, Place
from lifecycle.transfer.lock import held


@dataclass(frozen=True)
class Filling:
    """A cache in the making.

    Args:
        files: how far each file is; for whoever brings them to keep up to date.
        tick: to be called now and then: shows `files`.
        missing: what must come, by the name of its content.
    """

    cache: Cache
    files: Files
    tick: Callable[[], None]
    missing: dict[str, list[Item]]


@contextlib.contextmanager
def filling(
    items: Sequence[Item], place: Place, on_progress: Callable[[Files], None]
) -> Iterator[Filling]:
    """Hold a repo's folder, look what is missing, and publish all of it in the end.

    Raises:
        ModelUnavailable: no room, or bytes that are wrong twice.
        HostNotReady: the disk refuses.
    """
    files = Files.of((item.path, item.size) for item in items)

    def tick() -> None:
        files.take(time.monotonic())
        on_progress(files)

    def wait(why: str) -> None:
        files.note = why
        tick()

    try:
        with held(place, wait):
            files.note = ""
            cache = Cache(place)
            yield Filling(cache, files, tick, cache.missing(items, files, tick))
            cache.publish(items)
    except OSError as error:
        raise told(error, place.blobs) from None
    tick()
