"""Where a backend's model is, and whether it can be served."""

import os
from datetime import datetime
from pathlib import Path

from lifecycle import tables
from lifecycle.backend import REPO_ID, Backend, nearest
from lifecycle.host import Weights
from lifecycle.models import folder
from lifecycle.paths import Paths


def look(backend: Backend, paths: Paths) -> Weights:
    """Find `MODEL`: a packaged model, a folder, or a repo in the Hugging Face cache."""
    model = backend.model
    packaged = tables.serving.packaged_models().get(model)
    if packaged:
        place = paths.models / model
        problem = folder.problem(place) or folder.changed(place, packaged.made_from)
        return _weights(place, place, problem)
    local = _local(model, paths)
    if local:
        return _weights(local, local, folder.problem(local))
    if REPO_ID.fullmatch(model):
        return _cached(model, paths)
    near = nearest(model, tables.serving.packaged_models(), " Did you mean MODEL={}?")
    return Weights(problem=f"there is no folder and no known model called {model}.{near}")


def caches(paths: Paths) -> list[Path]:
    """Hugging Face caches, ours first.

    https://huggingface.co/docs/huggingface_hub/guides/manage-cache
    """
    home = os.environ.get("HF_HOME") or "~/.cache/huggingface"
    theirs = os.environ.get("HF_HUB_CACHE") or f"{home}/hub"
    return [paths.models / "hub", Path(theirs).expanduser()]


def _local(model: str, paths: Paths) -> Path | None:
    if model.startswith(("/", "~", ".")):
        return (paths.root / Path(model).expanduser()).resolve()
    inside = paths.models / model
    return inside if (inside / "config.json").is_file() else None


def _cached(model: str, paths: Paths) -> Weights:
    for cache in caches(paths):
        repo = cache / f"models--{model.replace('/', '--')}"
        snapshot = _snapshot(repo)
        if snapshot:
            return _weights(snapshot, repo, folder.problem(snapshot))
    looked = " and ".join(str(cache) for cache in caches(paths))
    return Weights(problem=f"{model} is in no Hugging Face cache (looked in {looked})")


def _snapshot(repo: Path) -> Path | None:
    try:
        revision = (repo / "refs" / "main").read_text().strip()
    except OSError:
        return None
    return repo / "snapshots" / revision


def _weights(path: Path, root: Path, problem: str) -> Weights:
    if problem:
        return Weights(path=path, root=root, problem=problem)
    seconds = (path / "config.json").stat().st_mtime
    written = datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
    return Weights(path=path, root=root, size=folder.size(path), written=written)
