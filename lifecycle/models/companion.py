"""What extra arguments name beside the model: a draft model, an adapter, a tokenizer.

Pure look-ups on the disk; where one is fetched from, `source_of` says.
"""

import json
from dataclasses import replace
from pathlib import Path

from lifecycle import tables
from lifecycle.arguments import Place
from lifecycle.backend import REPO_ID
from lifecycle.errors import ModelUnavailable
from lifecycle.host import Weights
from lifecycle.model import Model
from lifecycle.models import cache, figures, folder
from lifecycle.models.figures import Loaded
from lifecycle.models.selection import ADAPTER_WEIGHTS
from lifecycle.models.source import MAIN, Source
from lifecycle.paths import Paths

SNAPSHOTS = "snapshots"


def look(place: Place, paths: Paths, how: Loaded) -> Weights:
    """Where it is, or why it cannot be used; with its figures where it is a model.

    Args:
        how: the type vLLM computes with.
    """
    hub = source_of(place)
    local = _local(place, paths)
    if local:
        found = _weights(place, local, _root(local))
    elif hub:
        found = _cached(place, hub, paths)
    else:
        return Weights(problem=f"{place.flag}: there is no folder and no repo called {place.word}")
    if place.holds != "model":
        return found
    asked = hub is not None and figures.asked(paths, hub.repo, hub.revision)
    return replace(found, model=_figures(found, place, hub, paths, how), asked=asked)


def source_of(place: Place) -> Source | None:
    """The repo of the hub that it is; None for a folder."""
    if place.path:
        return None
    row = tables.catalogue.find(place.word)
    repo = row.repo if row else place.word
    if not REPO_ID.fullmatch(repo):
        return None
    return Source(repo, (place.revision or (row.revision if row else "") or MAIN,))


def _local(place: Place, paths: Paths) -> Path | None:
    if place.path:
        return Path(place.word)
    inside = paths.models / place.word
    return inside if inside.is_dir() else None


def _root(folder_: Path) -> Path:
    """What to mount: of a snapshot in a cache the whole repo, for its files are links."""
    return folder_.parent.parent if folder_.parent.name == SNAPSHOTS else folder_


def _cached(place: Place, hub: Source, paths: Paths) -> Weights:
    found = cache.find(paths, hub.repo, hub.revision)
    if found is None:
        return Weights(problem=f"{hub.repo} is in no Hugging Face cache")
    return _weights(place, found, found.parent.parent)


def _weights(place: Place, path: Path, root: Path) -> Weights:
    check = {"model": _model_problem, "adapter": _adapter_problem}.get(place.holds, _absent)
    problem = check(path)
    rank = _rank(path) if place.holds == "adapter" and not problem else 0
    return Weights(path=path, root=root, problem=problem, rank=rank)


def _model_problem(path: Path) -> str:
    return cache.problem(path) or folder.other_kind(path)


def _adapter_problem(path: Path) -> str:
    if not (path / folder.ADAPTER).is_file():
        return f"{path} is no LoRA adapter: it has no {folder.ADAPTER}"
    there = any((path / name).is_file() for name in ADAPTER_WEIGHTS)
    return "" if there else f"{path} has no weights ({', '.join(ADAPTER_WEIGHTS)})"


def _absent(path: Path) -> str:
    return "" if path.is_dir() else f"{path} is no folder"


def _rank(path: Path) -> int:
    """The largest rank in an adapter (`r`, and `rank_pattern` where layers differ)."""
    try:
        said = json.loads((path / folder.ADAPTER).read_text())
        ranks = [said.get("r", 0), *(said.get("rank_pattern") or {}).values()]
        return max((one for one in ranks if isinstance(one, int)), default=0)
    except (OSError, ValueError, AttributeError):
        return 0


def _figures(
    found: Weights, place: Place, hub: Source | None, paths: Paths, how: Loaded
) -> Model | None:
    try:
        if found.path and not found.problem:
            return figures.of_folder(found.path, place.word, how)
        learned = figures.of_hub(paths, hub.repo, hub.revision, how) if hub else None
        return learned or figures.of_catalogue(place.word, how, place.revision)
    except (ModelUnavailable, OSError):
        # vLLM may know a kind of model that the planner does not.
        return None
