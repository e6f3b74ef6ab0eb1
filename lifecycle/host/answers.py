"""What a check of a server's answers concluded."""

from dataclasses import dataclass
from enum import StrEnum


class Sanity(StrEnum):
    """How far a server's answers can be relied on."""

    SANE = "sane"
    DOUBTFUL = "doubtful"
    """Odd, and no proof of a fault: a person should look."""
    BROKEN = "broken"
    UNCHECKED = "unchecked"
    """Not asked, or the server cannot be asked: an embedding model, an old engine."""


@dataclass(frozen=True)
class Answers:
    """The verdict on one start of a server.

    Args:
        reason: what was seen, in a clause; "" when there is nothing to add.
        advice: likely causes with what to try, the likeliest first, a line each.
        perplexity: of ordinary prose, by the server; None when it did not score any.
        reference: the same by the recorded float32 reference; None when there is none.
        checked: when, in seconds since the epoch; 0 for never.
    """

    sanity: Sanity = Sanity.UNCHECKED
    reason: str = ""
    advice: tuple[str, ...] = ()
    perplexity: float | None = None
    reference: float | None = None
    checked: float = 0

    @property
    def figures(self) -> str:
        """`perplexity 14.2, reference 14.0`, as far as they are known."""
        pairs = (("perplexity", self.perplexity), ("reference", self.reference))
        return ", ".join(f"{name} {value:.1f}" for name, value in pairs if value is not None)


NOT_CHECKED = Answers()
