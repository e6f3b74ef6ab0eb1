"""The two streams, and what everything on them is made of."""

import json
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from lifecycle.errors import LifecycleError
from lifecycle.host import GIB
from lifecycle.redact import without_credentials

# A pipe has no width: tables keep to one that fits a page.
WIDTH = None if sys.stdout.isatty() else 110
out = Console(highlight=False, width=WIDTH)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def line(text: str) -> None:
    """One line of plain output."""
    out.print(Text(without_credentials(text)), soft_wrap=True)


def note(text: str) -> None:
    """One line about what is going on; not part of the output."""
    err.print(Text(without_credentials(text), style="dim"))


def document(data: dict[str, Any]) -> None:
    """Output for programs."""
    sys.stdout.write(without_credentials(json.dumps(data, indent=2)) + "\n")


def failure(error: LifecycleError) -> None:
    """What happened, why, and what to type next."""
    err.print(Text("✗ ", style="red"), Text(error.what, style="bold"), sep="")
    for text in error.why.splitlines():
        err.print(Text(f"  {text}", style="default"))
    for number, text in enumerate(error.fix.splitlines()):
        err.print(Text("→ " if number == 0 else "  ", style="green"), Text(text), sep="")
    if error.log:
        err.print(Text(f"  All it did: {error.log}", style="dim"))


def megabytes(size: float) -> str:
    """Bytes as Docker tells them: powers of ten."""
    if size >= 1e9:
        return f"{size / 1e9:.2f} GB"
    if size >= 1e5 or not size:
        return f"{size / 1e6:.1f} MB"
    return f"{size / 1e3:.1f} kB" if size >= 1e3 else f"{size:.0f} B"


def gib(size: int) -> str:
    """Bytes as cards and RAM are told: powers of two, without the unit."""
    return f"{size / GIB:.1f}"


def duration(seconds: float) -> str:
    """Seconds, minutes, hours or days, in two figures at most."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
