"""The figures the planner needs of a model: out of its folder, the catalogue, or kilobytes of the
hub. What the hub told is kept, so that it is asked once.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle import tables
from lifecycle.errors import ModelUnavailable, UnknownKind
from lifecycle.model import Architecture, Model
from lifecycle.models import description, known, seed, tensors
from lifecycle.models.folder import CONFIG
from lifecycle.paths import Paths
from lifecycle.planner import architecture, mistral

if TYPE_CHECKING:
    from lifecycle.hub.client import Hub

FORM = 2
"""Of the notes; those of the first knew neither `hf_quant_config.json` nor `params.json`."""
ON_DISK, ON_HUB = "the files' headers", "the files' headers on the hub"


@dataclass(frozen=True)
class Loaded:
    """How vLLM is to load it.

    Args:
        dtype: `DTYPE`; "" for the model's own.
        online: `QUANTIZATION`: what unquantized weights become at the start.
    """

    dtype: str = ""
    online: str = ""


PLAIN = Loaded()
"""As its own files say."""


def of_folder(folder: Path, name: str, how: Loaded) -> Model:
    """A model on disk.

    Raises:
        ModelUnavailable: its config is of a kind the planner cannot read, or its files are broken.
    """
    names = [file.name for file in folder.iterdir()]
    config = description.config(names, lambda file: _object(folder / file))
    return _model(name, config, tensors.folder(folder), how, ON_DISK)


def of_hub(paths: Paths, repo: str, revision: str, how: Loaded) -> Model | None:
    """A model whose figures the hub told before; None when nobody asked yet.

    Raises:
        ModelUnavailable: its config is of a kind the planner cannot read.
    """
    kept = _kept(paths, repo, revision)
    if kept is None:
        return None
    config, header = kept
    return _model(repo, config, header, how, ON_HUB)


def asked(paths: Paths, repo: str, revision: str) -> bool:
    """Whether the hub told us about this revision, and what it told can be read."""
    return _kept(paths, repo, revision) is not None


def of_catalogue(word: str, how: Loaded = PLAIN, revision: str = "") -> Model | None:
    """A model the catalogue knows; None for any other, or for another revision of it."""
    row = tables.catalogue.find(word)
    if row is None or revision not in ("", row.revision):
        return None
    return known.model(row, how.dtype, how.online)


def learn(hub: "Hub", paths: Paths, repo: str, revision: str) -> None:
    """Ask the hub for what the planner needs, and keep it: kilobytes, whatever the model's size.

    Raises:
        ModelUnavailable: no such repo, no access, or nothing in it that vLLM can load.
        HostNotReady: the hub cannot be reached.
    """
    wanted = seed.order(hub, repo, revision, paths)
    found, chosen = wanted.repo, wanted.selection
    names = [file.path for file in chosen.files]
    config = description.config(names, lambda file: hub.config(found.id, found.sha, file))
    headed = [path for path in chosen.weights if path.endswith(".safetensors")]
    header: dict[str, Any] = {}
    for one in hub.headers(found.id, found.sha, headed).values():
        header |= one
    told = {"form": FORM, "sha": found.sha, "config": config, "header": header}
    _keep(_file(paths, repo, revision), told)


def _model(
    name: str, config: Mapping[str, Any], header: tensors.Header, how: Loaded, source: str
) -> Model:
    read = _parse(config)
    dtype = "" if how.dtype == "auto" else how.dtype
    if not header:  # weights in PyTorch's own format have none
        return tensors.estimated(name, read, source=CONFIG, dtype=dtype, online=how.online)
    return tensors.model(name, read, header, source=source, dtype=dtype, online=how.online)


def _kept(
    paths: Paths, repo: str, revision: str
) -> tuple[Mapping[str, Any], tensors.Header] | None:
    """What the hub told before; None when it did not, or in a form that missed something."""
    try:
        kept = json.loads(_file(paths, repo, revision).read_text())
        header = tensors.entries(kept["header"], repo)
        return (kept["config"], header) if kept["form"] == FORM else None
    except (OSError, ValueError, KeyError, TypeError, ModelUnavailable, RecursionError):
        return None


def _parse(config: Mapping[str, Any]) -> Architecture:
    """Its architecture; what is wrong with it is told by the name of the file it came from."""
    try:
        return architecture.parse(config)
    except UnknownKind:
        raise
    except ModelUnavailable as error:
        told = error.what.replace(CONFIG, str(config.get(mistral.SAID_IN, CONFIG)))
        raise ModelUnavailable(told, why=error.why, fix=error.fix) from None


def _file(paths: Paths, repo: str, revision: str) -> Path:
    plain = f"{repo}@{revision}".replace("/", "--")
    return paths.home / "figures" / f"{plain}.json"


def _keep(file: Path, figures: Mapping[str, Any]) -> None:
    """Complete or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}")
    part.write_text(json.dumps(figures))
    part.replace(file)


def _object(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelUnavailable(f"{file.name} cannot be read", why=str(error)) from None
    if not isinstance(found, dict):
        raise ModelUnavailable(f"{file.name} holds no JSON object")
    return found
