"""Where a backend's model is, whether it can be served, and its figures for the planner."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from lifecycle import tables
from lifecycle.arguments import Refused, parse, places
from lifecycle.arguments.places import ON_HUB
from lifecycle.backend import Backend
from lifecycle.errors import ModelUnavailable
from lifecycle.host import Weights
from lifecycle.model import Model
from lifecycle.models import cache, companion, figures, folder, seed, source
from lifecycle.models.figures import Loaded
from lifecycle.models.source import Source
from lifecycle.paths import Paths, expanded


def look(backend: Backend, paths: Paths) -> Weights:
    """Find `MODEL`: a packaged model, a folder, or a repo in the Hugging Face cache."""
    found, hub = find(backend, paths), source.of(backend)
    asked = hub is not None and figures.asked(paths, hub.repo, hub.revision)
    model, unread = _figures(found, backend, paths)
    return replace(found, model=model, asked=asked, unread=unread)


def companions(backend: Backend, paths: Paths) -> dict[str, Weights]:
    """Draft models, adapters and tokenizers that `EXTRA_ARGS` names, by the word it names them."""
    try:
        found = places(parse(backend.get("EXTRA_ARGS")))
    except Refused:  # said where it is written
        return {}
    how = Loaded(backend.get("DTYPE"))
    return {one.word: companion.look(one, paths, how) for one in found if one.holds in ON_HUB}


def find(backend: Backend, paths: Paths) -> Weights:
    """The same without its figures."""
    model = backend.model
    packaged = tables.serving.packaged_models().get(model)
    if packaged:
        place = paths.models / model
        problem = folder.problem(place) or folder.changed(place, packaged.made_from)
        return _weights(place, place, problem)
    local = _local(model, paths)
    if local:
        return _weights(local, local, folder.problem(local))
    hub = source.of(backend)
    if hub:
        return _cached(hub, paths)
    near = tables.catalogue.nearest(model)
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return Weights(problem=f"there is no folder and no known model called {model}.{meant}")


def _local(model: str, paths: Paths) -> Path | None:
    if model.startswith(("/", "~", ".")):
        return (paths.root / expanded(model, "MODEL")).resolve()
    inside = paths.models / model
    described = any((inside / name).is_file() for name in (folder.CONFIG, folder.PARAMS))
    return inside if described else None


def _cached(hub: Source, paths: Paths) -> Weights:
    """The first complete snapshot that will do."""
    places = [place for one in hub.revisions if (place := cache.find(paths, hub.repo, one))]
    found = [
        # An adapter may be whole, and is no model all the same.
        _weights(place, place.parent.parent, cache.problem(place) or folder.other_kind(place))
        for place in dict.fromkeys(places)
    ]
    best = next((one for one in found if not one.problem), next(iter(found), None))
    if best:
        return best
    begun = seed.unfinished(paths, hub.repo)
    if begun:
        return Weights(problem=begun)
    looked = " and ".join(str(one) for one in cache.caches(paths))
    return Weights(problem=f"{hub.repo} is in no Hugging Face cache (looked in {looked})")


def _figures(found: Weights, backend: Backend, paths: Paths) -> tuple[Model | None, str]:
    """From the nearest to the farthest; none where nobody knows them, or why they are unread."""
    how = Loaded(backend.get("DTYPE"), backend.get("QUANTIZATION"))
    try:
        if found.path and not found.problem:
            return figures.of_folder(found.path, backend.model, how), ""
        hub = source.of(backend)
        learned = figures.of_hub(paths, hub.repo, hub.revision, how) if hub else None
        known = learned or figures.of_catalogue(backend.model, how, backend.get("REVISION"))
    except (ModelUnavailable, OSError) as error:
        # vLLM may know a kind of model that the planner does not.
        return None, getattr(error, "why", "") or str(error)
    return known, ""


def _weights(path: Path, root: Path, problem: str) -> Weights:
    if problem:
        return Weights(path=path, root=root, problem=problem)
    # Mistral's own format may come without a config.json.
    config = next(
        file for name in (folder.CONFIG, folder.PARAMS) if (file := path / name).is_file()
    )
    seconds = config.stat().st_mtime
    written = datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
    return Weights(path=path, root=root, size=folder.size(path), written=written)
