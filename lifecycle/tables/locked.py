"""What is installed from a lock: hash-checked requirements that lie beside the tables."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lifecycle.paths import DATA


@dataclass(frozen=True)
class Locked:
    """A Python environment of ours.

    Args:
        lock: the file in `data/`.
    """

    lock: str

    @property
    def lock_file(self) -> Path:
        """The resolved, hash-checked requirements."""
        return DATA / self.lock

    def fingerprint(self) -> str:
        """What a complete installation must have been made from."""
        return hashlib.sha256(self.lock_file.read_bytes()).hexdigest()[:16]
