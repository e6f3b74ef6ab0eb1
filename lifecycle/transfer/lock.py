"""One seeder at a time in a repository's folder; the lock dies with its process."""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from lifecycle.transfer.item import Place

POLL = 0.5


@contextlib.contextmanager
def held(place: Place, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the folder; while another does, `on_wait` is told who, about twice a second.

    Lies where huggingface_hub has its locks. The kernel lets go of it when its holder ends,
    however it ends; the name beside it is for people only.
    """
    folder = place.repo.parent / ".locks" / place.repo.name
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "vllm-lifecycle.lock")
    holder = folder / "vllm-lifecycle.holder"
    while True:
        try:
            lock.acquire(timeout=POLL)
            break
        except Timeout:
            on_wait(f"{_name(holder)} fetches the same model; waiting for it")
    try:
        began = time.strftime("%H:%M:%S")
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}, since {began},")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _name(holder: Path) -> str:
    try:
        return holder.read_text() or "another process"
    except OSError:
        return "another process"
