"""`inv seed-models --verify`: whether a model that is here still is what was fetched or made."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.backend import Backend
    from lifecycle.host import Weights
    from lifecycle.paths import Paths


def without_hub(backend: "Backend", here: "Weights", where: "Paths", *, show: bool) -> None:
    """A model out of a package is hashed; a plain folder has nothing to be compared with.

    Raises:
        ModelUnavailable: it is not what was made.
    """
    from lifecycle import report, tables
    from lifecycle.errors import ModelUnavailable
    from lifecycle.models import folder
    from lifecycle.models.convert_gguf import MANIFEST
    from lifecycle.shell import Shell
    from lifecycle.step import Remove

    made = tables.serving.packaged_models().get(backend.model)
    if made is None:
        report.note(
            f"{here.path} is a folder of yours: nobody wrote down what its files should be, so "
            "there is nothing to compare them with; vLLM can load them, as far as one can see"
        )
        return
    place = where.models / made.name
    if not place.is_dir():
        raise ModelUnavailable(f"{made.name} is not here", fix="It is made by the first inv up.")
    if show:
        report.line(f"would hash every file in {place} and compare it with its manifest")
        return
    why = folder.problem(place) or folder.changed(place, made.made_from, whole=True)
    if why:
        # Without a manifest `up` makes it anew, also where sizes and times are as they were.
        Shell().remove(Remove(place / MANIFEST))
        raise ModelUnavailable(
            f"{made.name} is damaged", why=why, fix="Make it anew out of its package: inv up"
        )
    report.note(f"{made.name}: every file is what was made ({place})")


def snapshot(place: Path, *, show: bool) -> list[str]:
    """Hash a snapshot of the hub's, whoever fetched it; the files that are damaged or missing."""
    from lifecycle import report
    from lifecycle.models import cache, verifying

    listed = cache.selected(place)
    paths = list(listed) if listed is not None else verifying.of_cache(place)
    absent = [path for path in paths if not (place / path).is_file()]
    there = [path for path in paths if path not in absent]
    size = report.megabytes(sum((place / path).stat().st_size for path in there))
    if show:
        report.line(f"would hash {len(there)} files, {size}, in {place}")
        report.line("and fetch again from the hub what differs")
        return []
    report.note(f"hashing {len(there)} files, {size}, in {place}")
    progress = report.Downloads(live=True)
    try:
        wrong = verifying.damaged(place, there, progress.show, ours=listed is not None)
    finally:
        progress.stop()
    for path in wrong:
        report.note(f"{path} is damaged: its content is not what its digest says")
    for path in absent:
        report.note(f"{path} is missing")
    if not wrong and not absent:
        report.note(f"all {len(there)} files are what the hub listed")
    return [*wrong, *absent]
