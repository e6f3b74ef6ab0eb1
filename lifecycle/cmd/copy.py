"""A model out of another machine's cache, over ssh: for the second machine on a LAN."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from invoke import Context

    from lifecycle.paths import Paths


def over_ssh(context: "Context", from_: str, repo: str, where: "Paths") -> None:
    """Not there yet."""
    raise NotImplementedError(context, from_, repo, where)
