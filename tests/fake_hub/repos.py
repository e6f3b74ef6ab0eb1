"""Folders as the repos of a hub: what each file is called, how large it is, and its digests."""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ABOUT = ".hub.json"
LFS_SUFFIXES = {
    ".safetensors",
    ".bin",
    ".gguf",
    ".pt",
    ".pth",
    ".h5",
    ".msgpack",
    ".onnx",
    ".model",
}
LFS_FROM = 10 << 20
"""Bytes from which the hub refuses a file that is not under LFS."""


@dataclass(frozen=True)
class File:
    """One file of a repo.

    Args:
        oid: the git oid; of an LFS file, that of its pointer.
        sha256: of an LFS file, else "".
    """

    path: str
    place: Path
    size: int
    oid: str
    sha256: str = ""

    @property
    def pointer_size(self) -> int:
        """Bytes of the pointer that git keeps instead of it."""
        return len(pointer(self.sha256, self.size))


@dataclass(frozen=True)
class Repo:
    """One revision of a repo."""

    id: str
    sha: str
    files: dict[str, File] = field(repr=False)
    about: dict[str, Any]

    @property
    def gated(self) -> str | bool:
        """`auto`, `manual` or False."""
        gated: str | bool = self.about.get("gated", False)
        return gated

    @property
    def private(self) -> bool:
        """Whether only its owner sees it."""
        return bool(self.about.get("private", False))


class Repos:
    """The repos under one folder, read anew at each question; large files are hashed once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._files: dict[tuple[Path, int, int], File] = {}
        self._given_out: dict[tuple[str, str], Path] = {}

    def find(self, repo_id: str, revision: str = "main") -> Repo | None:
        """A repo at a branch, a tag, or a commit that was given out; None when there is none."""
        named = self.root / (repo_id if revision == "main" else f"{repo_id}@{revision}")
        with self._lock:
            folder = named if named.is_dir() else self._given_out.get((repo_id, revision))
            if folder is None:
                # A commit from an earlier run of this stand-in.
                for one in self._revisions(repo_id):
                    self._read(repo_id, one)
                folder = self._given_out.get((repo_id, revision))
            if folder is None or not folder.is_dir():
                return None
            repo = self._read(repo_id, folder)
            # An old commit keeps its name: what changes under it is what a test wants to see.
            asked = revision if (repo_id, revision) in self._given_out else repo.sha
            return Repo(repo.id, asked, repo.files, repo.about)

    def file(self, repo_id: str, path: str, sha256: str) -> File | None:
        """A weight file of any revision; what is there now, when none has this digest."""
        with self._lock:
            found = [
                self._file(folder / path, folder)
                for folder in self._revisions(repo_id)
                if (folder / path).is_file()
            ]
        return next((one for one in found if one.sha256 == sha256), found[0] if found else None)

    def _revisions(self, repo_id: str) -> list[Path]:
        places = (self.root / repo_id, *sorted(self.root.glob(f"{repo_id}@*")))
        return [place for place in places if place.is_dir()]

    def _read(self, repo_id: str, folder: Path) -> Repo:
        files = {
            one.relative_to(folder).as_posix(): self._file(one, folder)
            for one in sorted(folder.rglob("*"))
            if one.is_file() and one.name != ABOUT
        }
        about = folder / ABOUT
        listing = "".join(f"{one.oid} {path}\n" for path, one in files.items())
        sha = hashlib.sha1(f"{repo_id}\n{listing}".encode()).hexdigest()
        self._given_out[(repo_id, sha)] = folder
        return Repo(repo_id, sha, files, json.loads(about.read_text()) if about.exists() else {})

    def _file(self, place: Path, folder: Path) -> File:
        stat = place.stat()
        key = (place, stat.st_size, stat.st_mtime_ns)
        if key not in self._files:
            self._files[key] = _hashed(place, place.relative_to(folder).as_posix(), stat.st_size)
        return self._files[key]


def pointer(sha256: str, size: int) -> bytes:
    """What git holds of an LFS file. https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md."""
    return (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    )


def blob_oid(content: bytes) -> str:
    """git's name for some content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _hashed(place: Path, path: str, size: int) -> File:
    if place.suffix not in LFS_SUFFIXES and size < LFS_FROM:
        return File(path, place, size, blob_oid(place.read_bytes()))
    with place.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return File(path, place, size, blob_oid(pointer(sha256, size)), sha256)
