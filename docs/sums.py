"""The sum in docs/how-to/does-it-fit.md, as `inv plan` prints it."""

import re
from pathlib import Path

from docs.markdown import between
from docs.models import MEMORY
from lifecycle import report
from lifecycle.backend import Backend
from lifecycle.env_file import Setting
from lifecycle.models import known
from lifecycle.planner import fit
from lifecycle.planner.fit import Card, Wanted
from lifecycle.report.terminal import out
from lifecycle.tables.catalogue import find

FITS = Path(__file__).parent / "how-to" / "does-it-fit.md"
COMMAND = "$ ./inv plan --gpu 4090 --vram 24GiB"
BACKEND = Backend("4090", {"GPU": Setting("cuda", "env/4090.env")})
CARD = Card("cuda", MEMORY, arch="8.9")
WANTED = Wanted(length=16384, utilization=0.85)
"""What env/4090.env says, without what a person may have set on this machine."""
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def does_it_fit(page: str) -> str:
    """The page with the planner's sum of today."""
    return between(page, "the sum", ["```", COMMAND, *_printed(), "```"])


def _printed() -> list[str]:
    row = find("qwen3-8b")
    if row is None:
        raise ValueError("qwen3-8b is not in the catalogue")
    with out.capture() as printed:
        report.plan(fit.plan(known.model(row), CARD, WANTED), CARD, BACKEND)
    return [line.rstrip() for line in COLOURS.sub("", printed.get()).splitlines()]
