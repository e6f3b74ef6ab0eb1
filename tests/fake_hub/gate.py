"""Who may read what: the refusals of the real hub, with its texts and codes.

Recorded by others on the real hub (2026-10): anonymous to a gated repo 401 GatedRepo; no request
made, or one under review, 403 GatedRepo; a fine-grained token without the right 403 and no code;
an unknown or private repo 401 without a code when anonymous, else 404 RepoNotFound.
https://huggingface.co/docs/hub/models-gated
"""

from dataclasses import dataclass
from http import HTTPStatus

from tests.fake_hub.repos import Repo

PUBLIC_FILES = {"README.md", ".gitattributes"}
"""What the hub shows of a gated repo to everybody."""


@dataclass(frozen=True)
class Token:
    """What one token may do.

    Args:
        accepted: gated repos whose licence its owner accepted.
        pending: those where the request is under review.
        private: private repos its owner may see.
        reads_gated: a fine-grained token lacks this right unless its owner ticked the box.
    """

    accepted: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()
    private: frozenset[str] = frozenset()
    reads_gated: bool = True


ANONYMOUS = Token()


@dataclass(frozen=True)
class Refusal:
    """An error as the hub sends it: status, X-Error-Code, X-Error-Message."""

    status: int
    code: str
    message: str


INVALID = Refusal(HTTPStatus.UNAUTHORIZED, "", "Invalid credentials in Authorization header")
NO_REVISION = Refusal(HTTPStatus.NOT_FOUND, "RevisionNotFound", "Invalid rev id")
NO_ENTRY = Refusal(HTTPStatus.NOT_FOUND, "EntryNotFound", "Entry not found")


def unseen(repo: Repo | None, token: Token | None) -> Refusal | None:
    """Why a repo is not even shown; None when it is.

    Args:
        token: None is nobody.
    """
    if repo and (not repo.private or (token and repo.id in token.private)):
        return None
    if token is None:
        return Refusal(HTTPStatus.UNAUTHORIZED, "", "Invalid username or password.")
    return Refusal(HTTPStatus.NOT_FOUND, "RepoNotFound", "Repository not found")


def closed(repo: Repo, token: Token | None, path: str = "") -> Refusal | None:
    """Why a file's content is not given out; None when it is."""
    if not repo.gated or path in PUBLIC_FILES:
        return None
    if token is None:
        return Refusal(
            HTTPStatus.UNAUTHORIZED, "GatedRepo",
            f"Access to model {repo.id} is restricted. You must have access to it and be "
            "authenticated to access it. Please log in.",
        )  # fmt: skip
    if not token.reads_gated:
        return Refusal(
            HTTPStatus.FORBIDDEN, "",
            "Please enable access to public gated repositories in your fine-grained token "
            "settings to view this repository.",
        )  # fmt: skip
    if repo.id in token.accepted:
        return None
    why = (
        f"Your request to access model {repo.id} is awaiting a review from the repo authors."
        if repo.id in token.pending
        else f"Access to model {repo.id} is restricted and you are not in the authorized list. "
        f"Visit https://huggingface.co/{repo.id} to ask for access."
    )
    return Refusal(HTTPStatus.FORBIDDEN, "GatedRepo", why)
