"""The choice of `inv tune`, as a line of the root `.env`."""

import re

from lifecycle.paths import Paths
from lifecycle.step import WriteFile
from lifecycle.steps.secrets import PRIVATE

KEY = "CPU_SETTINGS"
LINE = re.compile(rf"^(?:export[ \t]+)?{KEY}=.*$", re.MULTILINE)


def keep(paths: Paths, text: str, choice: str) -> WriteFile:
    """Write the choice down; everything else in the file stays as it is.

    Args:
        text: what the file holds; "" when there is none.
    """
    line = f"{KEY}={choice}"
    if LINE.search(text):
        return WriteFile(paths.secrets, LINE.sub(line, text), PRIVATE)
    end = "" if not text or text.endswith("\n") else "\n"
    made = f"# The fastest way to use this processor (made by inv tune).\n{line}\n"
    return WriteFile(paths.secrets, f"{text}{end}{made}", PRIVATE)
