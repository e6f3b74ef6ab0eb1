"""System libraries, and whether the loader can find them."""

import ctypes
from collections.abc import Iterable


def look(files: Iterable[str]) -> frozenset[str]:
    """Those of the given libraries that can be loaded; asking the loader is the only sure way."""
    return frozenset(file for file in files if _loads(file))


def _loads(file: str) -> bool:
    try:
        ctypes.CDLL(file)
    except OSError:
        return False
    return True
