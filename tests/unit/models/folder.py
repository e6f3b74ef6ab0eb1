"""Model folders for tests: small, and as complete as wanted."""

import json
from pathlib import Path

from lifecycle.models import convert_gguf


def make(folder: Path, *weights: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    for name in weights or ("model.safetensors",):
        (folder / name).write_bytes(weights_of(name))
    return folder


def weights_of(name: str) -> bytes:
    """A whole file of one tensor, other bytes for each name."""
    data = b"weights of " + name.encode()
    entry = {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}
    header = json.dumps({"a": entry}).encode()
    return len(header).to_bytes(8, "little") + header + data


def index(folder: Path, *names: str) -> None:
    mapped = {f"layer.{number}": name for number, name in enumerate(names)}
    text = json.dumps({"weight_map": mapped})
    (folder / "model.safetensors.index.json").write_text(text)


def seal(folder: Path, made_from: str = "a package") -> Path:
    """Write the manifest, as the conversion does."""
    record = {"made_from": made_from, "files": convert_gguf.manifest(folder)}
    (folder / convert_gguf.MANIFEST).write_text(json.dumps(record))
    return folder
