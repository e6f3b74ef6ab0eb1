"""The Hugging Face cache on disk: where a repo's snapshot is, and whether all of it is there.

    models--<owner>--<name>/blobs/<etag>
                           /refs/<revision>                    a commit
                           /snapshots/<commit>/<path>          links to ../../blobs/<etag>
                           /.seeded/<commit>.json              ours: what was selected

The last one is what lets us say "complete" without asking anybody: the layout itself does not tell
a repo of which half was wanted from one of which half arrived. huggingface_hub's own note of a
repo's files (`trees/<commit>.json`) will not do: once it is there, `local_files_only` refuses every
snapshot that lacks a file of the repo, wanted or not (huggingface_hub 2.4.0, `_snapshot_download`).

https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from lifecycle.files import Files
from lifecycle.hub.repo import File
from lifecycle.models import folder, verifying
from lifecycle.paths import Paths, expanded

COMMIT = re.compile(r"[0-9a-f]{40}")


def caches(paths: Paths) -> list[Path]:
    """Every cache to look in, ours first."""
    kept = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{kept}/huggingface"
    theirs = os.environ.get("HF_HUB_CACHE") or f"{home}/hub"
    return [ours(paths), expanded(theirs, "HF_HUB_CACHE")]


def ours(paths: Paths) -> Path:
    """The cache that `inv seed-models` fills."""
    return paths.models / "hub"


def repo_folder(cache: Path, repo: str) -> Path:
    """Where a cache keeps a repo, there or not."""
    return cache / f"models--{repo.replace('/', '--')}"


def commit(repo: Path, revision: str = "main") -> str:
    """The commit a revision had when it was last fetched; "" when it never was.

    Args:
        repo: the repo's folder in a cache.
    """
    if COMMIT.fullmatch(revision):
        return revision if snapshot(repo, revision).is_dir() else ""
    try:
        told = (repo / "refs" / revision).read_text("utf-8", "replace").strip()
    except OSError:
        return ""
    return told if re.fullmatch(r"\w+", told) else ""


def snapshot(repo: Path, sha: str) -> Path:
    """The folder of one commit, there or not."""
    return repo / "snapshots" / sha


def find(paths: Paths, repo: str, revision: str = "main") -> Path | None:
    """The snapshot of a revision in the first cache that has it; None when none has.

    The newest link decides, complete or not: see `problem`.
    """
    for cache in caches(paths):
        place = repo_folder(cache, repo)
        sha = commit(place, revision)
        if sha:
            return snapshot(place, sha)
    return None


def problem(place: Path) -> str:
    """Why a snapshot cannot be served; "" when all of it is there. No request is sent.

    One of ours is compared with the list of what was selected, and with size and times of what was
    verified; any other is looked at as a folder.
    """
    listed = _selected(place)
    if listed is None:
        return folder.problem(place)
    absent = [path for path, size in listed.items() if _size(place / path) != size]
    if absent:
        return (
            f"{place} is missing {len(absent)} of its {len(listed)} files, e.g. {absent[0]}: "
            "its download was not finished"
        )
    touched = verifying.touched(place, listed)
    if touched:
        return (
            f"{touched[0]} in {place} was changed since it was verified: it must be hashed again, "
            "and fetched again if it differs"
        )
    return ""


def seal(place: Path, files: Iterable[File]) -> None:
    """Write down what a snapshot holds, when all of it is there and was verified."""
    record = _record(place)
    record.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({file.path: file.size for file in files}, indent=1, sort_keys=True)
    part = record.with_name(f"{record.name}.{os.getpid()}")
    part.write_text(text)
    part.replace(record)


def sealed(place: Path) -> bool:
    """Whether we fetched this snapshot, and it is complete."""
    return _selected(place) is not None and not problem(place)


def settled(
    paths: Paths, repo: str, revision: str, on_progress: Callable[[Files], None]
) -> Path | None:
    """A snapshot some files of which were touched since, when they turn out to be as they should.

    They are hashed; nobody is asked. None when there is no such snapshot, or one of them differs.
    """
    place = find(paths, repo, revision)
    listed = selected(place) if place else None
    if place is None or not listed:
        return None
    touched = verifying.touched(place, listed)
    if touched and all((place / path).is_file() for path in listed):
        verifying.damaged(place, touched, on_progress, ours=True)
        return place if sealed(place) else None
    return None


def selected(place: Path) -> dict[str, int] | None:
    """The files of a snapshot that we fetched and their sizes in bytes; None of any other."""
    return _selected(place)


def _record(place: Path) -> Path:
    return place.parent.parent / ".seeded" / f"{place.name}.json"


def _selected(place: Path) -> dict[str, int] | None:
    try:
        listed = json.loads(_record(place).read_text())
        return {str(path): int(size) for path, size in listed.items()}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return None


def _size(file: Path) -> int:
    """Bytes, links followed; -1 when it is not there."""
    try:
        return file.stat().st_size
    except OSError:
        return -1
