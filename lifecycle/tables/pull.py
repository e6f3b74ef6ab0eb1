"""Why an image did not come."""

import re
from dataclasses import dataclass

from lifecycle.tables.rows import load_rows


@dataclass(frozen=True)
class Problem:
    """A way to fail, and what to do about it.

    Args:
        pattern: what the Docker Engine says then; a regular expression.
        again: worth another try by itself.
        absent: the registry answers, and does not have it: a different image may be there.
    """

    name: str
    pattern: str
    what: str
    fix: str
    again: bool
    absent: bool = False


UNKNOWN = Problem(
    name="unknown", pattern="", what="the Docker Engine gave it up",
    fix="Look at what it said, above; then the same again. Without any image: --runtime venv.",
    again=False,
)  # fmt: skip


def problem(said: str) -> Problem:
    """What the engine's words mean."""
    rows = load_rows(Problem, "pull.toml", "problem")
    return next((row for row in rows if re.search(row.pattern, said, re.IGNORECASE)), UNKNOWN)
