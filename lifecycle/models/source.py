"""Where a model comes from when it is not here: a repo of the hub, at a branch, tag or commit."""

from dataclasses import dataclass

from lifecycle import tables
from lifecycle.backend import REPO_ID, Backend

MAIN = "main"


@dataclass(frozen=True)
class Source:
    """A repo and the revisions that will do, the wanted one first.

    Args:
        revisions: one when a person chose it; else the catalogue's commit before `main`, which a
            cache filled by others has.
    """

    repo: str
    revisions: tuple[str, ...]

    @property
    def revision(self) -> str:
        """What is fetched."""
        return self.revisions[0]


def of(backend: Backend) -> Source | None:
    """The hub's repo a backend's model is; None for a folder or a package."""
    row = tables.catalogue.find(backend.model)
    repo = row.repo if row else backend.model
    if not REPO_ID.fullmatch(repo) or repo.startswith("."):
        return None
    chosen = backend.get("REVISION")
    pinned = row.revision if row else ""
    wanted = (chosen,) if chosen else tuple(dict.fromkeys(one for one in (pinned, MAIN) if one))
    return Source(repo, wanted)
