"""Whether a folder holds a model that vLLM can load; and whether it is still what it was."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifecycle.models.convert_gguf import MANIFEST, digest

CONFIG, PARAMS = "config.json", "params.json"
"""The second one is Mistral's own format, which vLLM takes where the first is missing."""
INDEX = "model.safetensors.index.json"
WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
ADAPTER = "adapter_config.json"
POINTER = b"version https://git-lfs"
LENGTH = 8


def problem(folder: Path) -> str:
    """Why vLLM could not load this folder; "" when nothing speaks against it."""
    if folder.is_file():
        return f"{folder} is a file; a model is a folder with config.json, weights and tokenizer"
    if not folder.is_dir():
        return f"{folder} does not exist"
    return other_kind(folder) or _bad_config(folder) or _bad_weights(folder)


def other_kind(folder: Path) -> str:
    """What the folder holds instead of a model."""
    files = _weight_files(folder)
    if (folder / ADAPTER).is_file() and all(one.name.startswith("adapter") for one in files):
        base = _entry(folder / ADAPTER, "base_model_name_or_path")
        return (
            f"{folder} is a LoRA adapter, not a model by itself. Serve the model it was made for"
            + (f" ({base})" if base else "")
            + f" with EXTRA_ARGS='--enable-lora --lora-modules {folder.name}={folder}'"
        )
    if not files and any(folder.glob("*.gguf")):
        return (
            f"{folder} has its weights as GGUF only, which vLLM does not load by itself: take the "
            "repository that this one was made from, with safetensors"
        )
    return ""


def _bad_config(folder: Path) -> str:
    place = next((folder / name for name in (CONFIG, PARAMS) if (folder / name).is_file()), None)
    if place is None:
        return f"{folder} has no {CONFIG}, so it is no model folder"
    try:
        if isinstance(_load(place), dict):
            return ""
        why = "it holds no JSON object"
    except (OSError, ValueError, RecursionError) as error:
        why = str(error)
    return f"{place.name} in {folder} cannot be read: {why}"


def _bad_weights(folder: Path) -> str:
    indexed = _indexed(folder)
    if indexed is None:
        return f"{INDEX} in {folder} cannot be read: it is broken or was cut off"
    absent = [name for name in indexed if not (folder / name).is_file()]
    if absent:
        return f"{folder} is missing {len(absent)} of its weight files, e.g. {absent[0]}"
    files = _weight_files(folder)
    if not files:
        return f"{folder} has no weights ({', '.join(WEIGHTS)})"
    return next((why for file in files if (why := _broken(file))), "")


def changed(folder: Path, made_from: str, *, whole: bool = False) -> str:
    """How a folder differs from its manifest, and that from what it should be made of.

    A file whose size and times are as recorded is taken as unchanged; any other is hashed.

    Args:
        whole: hash every file.
    """
    try:
        recorded = json.loads((folder / MANIFEST).read_text())
        if recorded["made_from"] != made_from:
            return "it was made from another package, or with other settings"
        for name, entry in recorded["files"].items():
            if not whole and _as_recorded((folder / name).stat(), entry):
                continue
            if digest(folder / name) != entry["sha256"]:
                return f"{name} is not what was written (sha256 differs)"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return f"its manifest cannot be checked ({error})"
    return ""


def _as_recorded(now: os.stat_result, entry: Mapping[str, int]) -> bool:
    """Models that were made before November 2026 have no time of change (ctime)."""
    then = (entry["size"], entry["mtime_ns"], entry.get("ctime_ns", now.st_ctime_ns))
    return (now.st_size, now.st_mtime_ns, now.st_ctime_ns) == then


def size(folder: Path) -> int:
    """Bytes of all files in a folder, links followed."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())


def _weight_files(folder: Path) -> list[Path]:
    return [file for pattern in WEIGHTS for file in sorted(folder.glob(pattern))]


def _entry(file: Path, key: str) -> str:
    """A text in a JSON file; "" when there is none."""
    try:
        return str(_load(file)[key] or "")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""


def _indexed(folder: Path) -> list[str] | None:
    """The weight files an index names; none without an index, None for one that is broken."""
    if not (folder / INDEX).exists():
        return []
    try:
        return sorted({str(name) for name in _load(folder / INDEX)["weight_map"].values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
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
    return _cut_off(file) if file.suffix == ".safetensors" else ""


def _cut_off(file: Path) -> str:
    """What its header says against the size of a safetensors file; read without the weights.

    https://huggingface.co/docs/safetensors: a length, JSON, then the tensors without gaps.
    """
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(LENGTH), "little")
            if length > size:
                return f"{file.name} is no safetensors file, or was cut off in its header"
            header = json.loads(stream.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__"]
        whole = LENGTH + length + max(ends, default=0)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return f"{file.name} is no safetensors file: its header cannot be read"
    if size < whole:
        return f"{file.name} was cut off: it has {size:,} of {whole:,} bytes"
    return ""
