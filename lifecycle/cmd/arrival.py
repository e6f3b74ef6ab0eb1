"""What a person sees of a model that arrives: cautions, bars, and what came in the end."""

import contextlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lifecycle.files import Files
    from lifecycle.host import Disk
    from lifecycle.models.seed import Order


@contextlib.contextmanager
def shown(order: "Order") -> "Iterator[Callable[[Files], None]]":
    """Show a model on its way; gives what is to be called with how far it is."""
    from lifecycle import facts, report

    for text in cautions(order, facts.disk.look(order.place.repo)):
        report.note(text)
    to_come = order.missing
    report.note(
        f"fetching {order.repo.id}: {report.megabytes(to_come)} to come"
        if to_come
        else f"checking what is here of {order.repo.id}"
    )
    progress, began = report.Downloads(live=True), time.monotonic()
    fetched = 0

    def show(files: "Files") -> None:
        nonlocal fetched
        fetched = files.fetched
        progress.show(files)

    try:
        yield show
    finally:
        progress.stop()
    report.note(f"{order.repo.id} is here: {order.place.snapshot}")
    report.note(summary(order, fetched, time.monotonic() - began))


def summary(order: "Order", fetched: int, seconds: float) -> str:
    """What there is now, and what of it came in this run.

    Args:
        fetched: bytes that came in this run.
    """
    from lifecycle.report import megabytes

    here = f"{len(order.items)} files, {megabytes(order.selection.size)}, all verified"
    if not fetched:
        return f"{here}; nothing had to come"
    speed = f"{megabytes(fetched / max(seconds, 0.001))}/s"
    return f"{here}; {megabytes(fetched)} came in {seconds:.1f} s, {speed}"


def cautions(order: "Order", disk: "Disk") -> list[str]:
    """What a person should know before many gigabytes come."""
    from lifecycle.models import seed
    from lifecycle.steps.checkout import WINDOWS_DRIVES

    said = seed.cautions(order)
    if disk.kind in WINDOWS_DRIVES:
        said.append(f"{disk.path} is on a Windows drive: models load ten times slower from there "
                    "than from the Linux disk (MODELS_DIR= in .env)")  # fmt: skip
    return said
