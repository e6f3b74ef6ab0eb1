"""What is asked for: files with their digests, a place for them, and how long to try."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lifecycle.errors import ModelUnavailable

if TYPE_CHECKING:
    from hashlib import _Hash

MIB = 1024**2
DIGEST = re.compile(r"sha256:[0-9a-f]{64}|git:[0-9a-f]{40}")
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Item:
    """One file to have.

    Args:
        path: in its repository, with `/`.
        size: in bytes.
        digest: `sha256:<hex>` of the content, or `git:<hex>`, the name git gives to it.
        url: where it is fetched; may redirect.

    Raises:
        ModelUnavailable: a path out of the folder, or a digest that cannot be checked.
    """

    path: str
    size: int
    digest: str
    url: str

    def __post_init__(self) -> None:
        """Whoever wrote the list of files must not choose where we write."""
        if not _inside(self.path):
            raise ModelUnavailable(
                "the list of files has a path that leads out of the model's folder",
                why=repr(self.path), fix="Do not use this repository; report it to its hub.",
            )  # fmt: skip
        if not DIGEST.fullmatch(self.digest) or self.size < 0:
            raise ModelUnavailable(
                f"{self.path} cannot be checked",
                why=f"its digest is {self.digest!r}, its size {self.size}",
                fix="Nothing unchecked is installed; try another HF_ENDPOINT.",
            )

    @property
    def name(self) -> str:
        """Its blob's name in the cache: what the hub sends as ETag."""
        return self.digest.partition(":")[2]

    def hasher(self) -> "_Hash":
        """Takes the content piece by piece; its hexdigest is then to be `name`.

        Git hashes a header before the content:
        https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
        """
        if self.digest.startswith("sha256:"):
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)


@dataclass(frozen=True)
class Place:
    """Where files go: a repository's folder in a cache.

    https://huggingface.co/docs/huggingface_hub/guides/manage-cache

    Args:
        repo: e.g. `.../hub/models--org--name`.
        commit: the full hash of what is fetched.
        revision: the branch or tag that was asked for, or the commit itself.
    """

    repo: Path
    commit: str
    revision: str = "main"

    def __post_init__(self) -> None:
        """Both become paths."""
        if not COMMIT.fullmatch(self.commit) or not _inside(self.revision):
            raise ModelUnavailable(
                f"this is no revision: {self.revision!r} ({self.commit!r})",
                fix="Name a branch, a tag or a whole commit hash with --revision.",
            )

    @property
    def blobs(self) -> Path:
        """The contents, by digest."""
        return self.repo / "blobs"

    @property
    def snapshot(self) -> Path:
        """The files under their own names, as links to the contents."""
        return self.repo / "snapshots" / self.commit

    @property
    def reference(self) -> Path:
        """The file that says which commit the revision is."""
        return self.repo / "refs" / self.revision


@dataclass(frozen=True)
class Patience:
    """How long to try.

    Args:
        connect: seconds for a connection to come about.
        stall: seconds without a single byte after which a connection is given up.
        tries: how often in a row nothing at all may come for one file.
        first: seconds before the second try; doubled each time up to `longest`.
        told: seconds up to which a server's "come back later" is obeyed.
    """

    connect: float = 10
    stall: float = 30
    tries: int = 9
    first: float = 0.5
    longest: float = 30
    told: float = 3600

    def before(self, attempt: int) -> float:
        """Seconds to wait before an attempt, counted from 1."""
        return float(min(self.longest, self.first * 2 ** (attempt - 1)))


def _inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and parts[0] != "/" and not set(path) & {"\\", "\0"}
