"""Whether a folder holds a model that vLLM can load; and whether it is still what it was."""

import json
from pathlib import Path

from lifecycle.models.convert_gguf import MANIFEST, digest

WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
POINTER = b"version https://git-lfs"


def problem(folder: Path) -> str:
    """Why vLLM could not load this folder; "" when nothing speaks against it."""
    if not folder.is_dir():
        return f"{folder} does not exist"
    if not (folder / "config.json").is_file():
        return f"{folder} has no config.json, so it is no model folder"
    files = [file for pattern in WEIGHTS for file in folder.glob(pattern)]
    absent = [name for name in _indexed(folder) if not (folder / name).is_file()]
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


def _indexed(folder: Path) -> list[str]:
    try:
        index = json.loads((folder / "model.safetensors.index.json").read_text())
        return sorted(set(index["weight_map"].values()))
    except (OSError, ValueError, KeyError):
        return []


def _broken(file: Path) -> str:
    if not file.exists():
        return f"{file.name} is a link to nothing: its download was not finished"
    with file.open("rb") as stream:
        if stream.read(len(POINTER)) == POINTER:
            return f"{file.name} is a git-lfs pointer, not weights: run git lfs pull"
    return ""
