"""Whether a folder holds a model that vLLM can load; and whether it is still what it was."""

import json
from pathlib import Path
from typing import Any

from lifecycle.models.convert_gguf import MANIFEST, digest

INDEX = "model.safetensors.index.json"
WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
POINTER = b"version https://git-lfs"


def problem(folder: Path) -> str:
    """Why vLLM could not load this folder; "" when nothing speaks against it."""
    if not folder.is_dir():
        return f"{folder} does not exist"
    if not (folder / "config.json").is_file():
        return f"{folder} has no config.json, so it is no model folder"
    files = [file for pattern in WEIGHTS for file in folder.glob(pattern)]
    indexed = _indexed(folder)
    if indexed is None:
        return f"{INDEX} in {folder} cannot be read: it is broken or was cut off"
    absent = [name for name in indexed if not (folder / name).is_file()]
    if absent:
        return f"{folder} lacks {len(absent)} of its weight files, e.g. {absent[0]}"
    if not files:
        return f"{folder} has no weights ({', '.join(WEIGHTS)})"
    return next((why for file in files if (why := _broken(file))), "")


def changed(folder: Path, made_from: str) -> str:
    """How a folder differs from its manifest, and that from what it should be made of.

    A file whose size and time are as recorded is taken as unchanged; any other is hashed.
    """
    try:
        recorded = json.loads((folder / MANIFEST).read_text())
        if recorded["made_from"] != made_from:
            return "it was made from another package, or with other settings"
        for name, entry in recorded["files"].items():
            stat = (folder / name).stat()
            if (stat.st_size, stat.st_mtime_ns) == (entry["size"], entry["mtime_ns"]):
                continue
            if digest(folder / name) != entry["sha256"]:
                return f"{name} is not what was written (sha256 differs)"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"its manifest cannot be checked ({error})"
    return ""


def size(folder: Path) -> int:
    """Bytes of all files in a folder, links followed."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def _indexed(folder: Path) -> list[str] | None:
    """The weight files an index names; none without an index, None for one that is broken."""
    if not (folder / INDEX).exists():
        return []
    try:
        return sorted({str(name) for name in _load(folder / INDEX)["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _load(file: Path) -> Any:  # noqa: ANN401 - JSON of anybody's making
    return json.loads(file.read_text())


def _broken(file: Path) -> str:
    if not file.exists():
        return f"{file.name} is a link to nothing: its download was not finished"
    if file.stat().st_size == 0:
        return f"{file.name} is empty"
    with file.open("rb") as stream:
        if stream.read(len(POINTER)) == POINTER:
            return f"{file.name} is a git-lfs pointer, not weights: run git lfs pull"
    return ""
