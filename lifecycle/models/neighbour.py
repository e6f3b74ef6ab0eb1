"""What another machine has of a model in its cache: asked over ssh, read only."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifecycle.errors import HostNotReady, ModelUnavailable
from lifecycle.hub.repo import File, Repo
from lifecycle.models import cache, selection
from lifecycle.models.seed import Order

if TYPE_CHECKING:
    from lifecycle.models.login import Login
    from lifecycle.models.source import Source
    from lifecycle.paths import Paths
    from lifecycle.shell import Output

CACHES = (".local/share/vllm-lifecycle/models/hub", ".cache/huggingface/hub")
"""Where models are on the other machine, from its home folder: ours, then the library's."""
BEGIN = "=== vllm-lifecycle ==="
"""What comes before it a login script said."""
NO_RSYNC, NOT_THERE, SSH_FAILED = 3, 4, 255
LOOK = f"""
command -v rsync >/dev/null || exit {NO_RSYNC}
set -f
repo=$1 revisions=$2
shift 2
for cache do
  for revision in $revisions; do (
    cd "$cache/$repo" 2>/dev/null || exit 1
    commit=$(cat "refs/$revision" 2>/dev/null || echo "$revision")
    cd "snapshots/$commit" 2>/dev/null || exit 1
    echo "{BEGIN}"
    (cd ../.. && pwd -P)
    echo "$revision"
    echo "$commit"
    tr -d '\\n' 2>/dev/null <"../../.seeded/$commit.json"
    echo
    find -L . -type f -exec sh -c 'for file do
      blob=$(readlink "$file")
      echo "$(($(wc -c <"$file"))) ${{blob##*/}} ${{file#./}}"
    done' sh {{}} +
  ) 2>/dev/null && exit; done
done
exit {NOT_THERE}
"""
"""Plain POSIX sh: the folder of the first cache that has it, revision, commit, our seal if there is
one, then size, blob and path of each file. A link to nothing is not listed."""


@dataclass(frozen=True)
class There:
    """What the other machine says it has.

    Args:
        folder: the repo's, absolute.
        sealed: whether all that was selected there is among the files.
    """

    folder: str
    revision: str
    commit: str
    files: tuple[File, ...]
    sealed: bool


def order(login: "Login", source: "Source", paths: "Paths") -> Order:
    """What of a model is to be copied: what is there, and what of that vLLM loads.

    Raises:
        ModelUnavailable: it is not there, or not all of it.
        HostNotReady: rsync is missing there, or the connection broke.
    """
    from lifecycle.transfer import Item, Place

    there = look(login, source)
    place = Place(cache.repo_folder(cache.ours(paths), source.repo), there.commit, there.revision)
    try:
        index = selection.index_in(there.files)
        read = _index(login, there, index) if index else None
        chosen = selection.select(source.repo, there.files, read)
    except ModelUnavailable as error:
        raise ModelUnavailable(
            f"{source.repo} is not complete on {login.host}", why=error.what,
            fix="Fetch it there first (inv seed-models), or here from the hub: "
            f"inv seed-models --model {source.repo}",
        ) from None  # fmt: skip
    items = tuple(
        Item(file.path, file.size, file.digest, f"{login.in_path}:{there.folder}/blobs/")
        for file in chosen.files
    )
    repo = Repo(source.repo, there.commit, "", there.files)
    return Order(repo, there.revision, chosen, place, items, proven=there.sealed)


def look(login: "Login", source: "Source") -> There:
    """The first cache there that has a wanted revision.

    Raises:
        ModelUnavailable: none has.
        HostNotReady: rsync is missing there, or the connection broke.
    """
    caches = (login.folder, f"{login.folder}/hub") if login.folder else CACHES
    repo = cache.repo_folder(Path(), source.repo).name
    done = login.ask("sh", "-c", LOOK, "sh", repo, " ".join(source.revisions), *caches)
    if done.code == NO_RSYNC:
        raise HostNotReady(
            f"rsync is missing on {login.host}", fix="Install it there: sudo apt install rsync"
        )
    if done.code == NOT_THERE:
        shown = [one if one.startswith("/") else f"~/{one}" for one in caches]
        raise ModelUnavailable(
            f"{source.repo} is not on {login.host}",
            why=f"looked for {' or '.join(source.revisions)} of it in {' and '.join(shown)}",
            fix="If its cache is elsewhere there, name the folder: --from USER@HOST:FOLDER",
        )
    _require(done, login)
    return parsed(done.text)


def parsed(text: str) -> There:
    """What LOOK printed. A file that is no link has no name to check it by, and is left out."""
    lines = text.partition(f"{BEGIN}\n")[2].splitlines()
    folder, revision, commit, seal, *listed = lines
    found = [line.split(" ", 2) for line in listed]
    files = {path: File(path, int(size), _digest(blob)) for size, blob, path in found if blob}
    selected = _sizes(seal)
    sealed = bool(selected) and all(
        path in files and files[path].size == size for path, size in selected.items()
    )
    kept = (file for path, file in files.items() if path in selected or not sealed)
    return There(folder, revision, commit, tuple(kept), sealed)


def _digest(blob: str) -> str:
    """A blob is called by the hub's ETag: a sha256, or git's own name of the file."""
    return f"{'git' if len(blob) == 40 else 'sha256'}:{blob}"


def _sizes(seal: str) -> dict[str, int]:
    try:
        return {str(path): int(size) for path, size in json.loads(seal).items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _index(login: "Login", there: There, name: str) -> dict[str, Any]:
    done = login.ask("cat", f"{there.folder}/snapshots/{there.commit}/{name}")
    _require(done, login)
    try:
        found = json.loads(done.text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _require(done: "Output", login: "Login") -> None:
    if done.code:
        raise HostNotReady(
            f"looking at {login.host} failed", why=done.errors.strip(),
            fix=f"Try: ssh {login.host} true",
        )  # fmt: skip
