"""What the hub knows of a repo, as plain values."""

from dataclasses import dataclass

ENDPOINT = "https://huggingface.co"
"""The hub itself; `HF_ENDPOINT` names a mirror of it."""


@dataclass(frozen=True)
class File:
    """One file of a repo.

    Args:
        path: with `/` between folders.
        size: bytes.
        digest: `sha256:<hex>` of what lies in large storage, else `git:<hex>`, which is the sha1 of
            `blob <size>`, a zero byte and the content.
    """

    path: str
    size: int
    digest: str


@dataclass(frozen=True)
class Repo:
    """A repo at one commit.

    Args:
        id: as the hub spells it; it follows renamed repos.
        sha: the commit, 40 hex digits.
        gated: `auto` or `manual` when a licence must be accepted; "" when it is open.
    """

    id: str
    sha: str
    gated: str
    files: tuple[File, ...]

    def file(self, path: str) -> File | None:
        """One file; None when the repo has none of this path."""
        return next((file for file in self.files if file.path == path), None)
