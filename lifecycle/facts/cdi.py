"""Cards as files describe them to container engines: the Container Device Interface (CDI)."""

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

SUFFIXES = {".json", ".yaml"}
KIND = re.compile(r"""\bkind["']?\s*:\s*["']?([\w.-]+/[\w.-]+)""")
NAME = re.compile(r"""(?<![\w.-])["']?name["']?\s*:\s*["']?([\w.:-]+)""")


def devices(folders: Iterable[str]) -> list[str]:
    """The devices that the files in these folders describe, e.g. `nvidia.com/gpu=all`.

    What cannot be read is left out, as engines do.
    """
    found: set[str] = set()
    for file in (file for folder in folders for file in Path(folder).glob("*")):
        if file.suffix in SUFFIXES:
            with contextlib.suppress(OSError, UnicodeDecodeError):
                found.update(described(file.read_text(encoding="utf-8")))
    return sorted(found)


def described(text: str) -> list[str]:
    """The devices of one description, in JSON or YAML.

    Two of its words are wanted, and YAML's reader is no part of Python.
    https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md
    """
    kind = KIND.search(text)
    return [f"{kind[1]}={name}" for name in NAME.findall(text)] if kind else []
