"""Generated text, compared with a file. `UPDATE_GOLDEN=1` writes the files anew."""

import os
from pathlib import Path

FOLDER = Path(__file__).parent


def matches(name: str, text: str) -> None:
    file = FOLDER / name
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text(), f"{name} differs; if meant so: UPDATE_GOLDEN=1"
