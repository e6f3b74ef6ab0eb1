"""A model copied from another machine by rsync, and verified here.

rsync resumes inside a file, also after `kill -9` (`--append-verify` writes in place), and every
Linux has it. It does not know what a file should be, but a file's name in the cache does: it is the
digest of its content. So nothing the other machine says is believed, and no token is needed.
"""

import contextlib
import shlex
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lifecycle.errors import CommandFailed, HostNotReady, ModelUnavailable
from lifecycle.files import FETCHING, Files
from lifecycle.models import cache
from lifecycle.models.login import Login
from lifecycle.models.seed import COMING, Order, require_room, staged, under_way
from lifecycle.step import Command, WriteFile

if TYPE_CHECKING:
    from lifecycle.transfer import Item
    from lifecycle.transfer.filling import Filling

EVERY = 0.2
"""Seconds between two looks at how far it is."""
WANTED = "wanted"
"""Beside what is not whole yet: the list of what is to come."""
A_WEEK = 7 * 24 * 3600.0


def command(login: Login, wanted: Order) -> Command:
    """What copies the blobs that the list beside them names."""
    staging = _staging(wanted)
    return Command(
        ("rsync", "--append-verify", "--copy-links", "--protect-args", "--timeout=60",
         f"--files-from={staging / WANTED}", f"--rsh={shlex.join(login.ssh)}",
         wanted.items[0].url, f"{staging}/"),
        limit=A_WEEK,
    )  # fmt: skip


def copy(login: Login, wanted: Order, on_progress: Callable[[Files], None]) -> Path:
    """Bring what is missing and verify all of it; goes on where an earlier run stopped.

    Returns:
        The snapshot's folder.

    Raises:
        ModelUnavailable: no room, or a file is not what its name says; it was set aside.
        HostNotReady: the connection broke.
    """
    from lifecycle.transfer.filling import filling

    with under_way(wanted):
        with filling(wanted.items, wanted.place, on_progress) as it:
            if it.missing:
                _bring(login, wanted, it)
                _refuse_wrong(wanted, it.cache.missing(wanted.items, it.files, it.tick))
        if wanted.proven:
            cache.seal(wanted.place.snapshot, wanted.selection.files)
    return wanted.place.snapshot


def _bring(login: Login, wanted: Order, it: "Filling") -> None:
    """Copy blobs into a folder beside the others, and move them over when all are whole."""
    staging, blobs = _staging(wanted), wanted.place.blobs
    require_room(wanted, less=staged(wanted.place, wanted.items))
    login.shell.write(WriteFile(staging / WANTED, "".join(f"{name}\n" for name in it.missing)))
    with _watched(wanted, it):
        _rsync(login, wanted)
    for name in it.missing:
        (staging / name).replace(blobs / name)
        for part in blobs.glob(f"{name}.part*"):  # of a fetch from the hub, now in vain
            part.unlink()
    shutil.rmtree(staging)


def _rsync(login: Login, wanted: Order) -> None:
    try:
        login.shell.run(command(login, wanted))
    except CommandFailed as error:
        if "No space left" in error.why or "quota exceeded" in error.why:
            raise ModelUnavailable(
                f"there is no room left for {wanted.repo.id}", why=error.why,
                fix="Free some room, then run the same command again: it goes on where it stopped.",
            ) from None  # fmt: skip
        raise HostNotReady(
            f"the copy from {login.host} broke off", why=error.why,
            fix="Run the same command again: it goes on where it stopped.",
        ) from None  # fmt: skip


def _refuse_wrong(wanted: Order, wrong: "dict[str, list[Item]]") -> None:
    if not wrong:
        return
    paths = ", ".join(item.path for items in wrong.values() for item in items)
    raise ModelUnavailable(
        f"{len(wrong)} of {len(wanted.items)} files failed verification: {paths}",
        why="their content is not what their names in the cache say; what came otherwise is kept",
        fix="Run the same command again. If that does not help, they are broken there, too; "
        f"fetch them from the hub: inv seed-models --model {wanted.repo.id}",
    )


def _staging(wanted: Order) -> Path:
    return wanted.place.repo / COMING


@contextlib.contextmanager
def _watched(wanted: Order, it: "Filling") -> Iterator[None]:
    """Keep its files up to date from the disk: what rsync says of its progress is for eyes only."""
    before, over = staged(wanted.place, wanted.items), threading.Event()

    def look() -> None:
        for name, items in it.missing.items():
            file = _staging(wanted) / name
            done = file.stat().st_size if file.is_file() else 0
            for item in items:
                shown = it.files.files[item.path]
                shown.done, shown.state = done, FETCHING if done else shown.state
        it.files.fetched = staged(wanted.place, wanted.items) - before

    def watch() -> None:
        while not over.wait(EVERY):
            look()
            it.tick()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        look()
