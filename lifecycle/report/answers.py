"""The verdict on a server's answers."""

from typing import Any

from rich.markup import escape

from lifecycle.host import Answers, Sanity
from lifecycle.report.terminal import out

COLOURS = {
    Sanity.SANE: "green",
    Sanity.DOUBTFUL: "yellow",
    Sanity.BROKEN: "red",
    Sanity.UNCHECKED: "dim",
}


def answers(verdict: Answers) -> None:
    """The verdict, what it rests on and, if there is doubt, what may be the cause."""
    figures = f" ({verdict.figures})" if verdict.figures else ""
    colour = COLOURS[verdict.sanity]
    out.print(f"answers   are [{colour}]{verdict.sanity}[/]{figures}", soft_wrap=True)
    for text in filter(None, (verdict.reason, *(f"perhaps {one}" for one in verdict.advice))):
        out.print(f"          {escape(text)}", soft_wrap=True)


def answers_data(verdict: Answers) -> dict[str, Any]:
    """The same for programs."""
    return {
        "answers": str(verdict.sanity),
        "reason": verdict.reason,
        "causes": list(verdict.advice),
        "perplexity": verdict.perplexity,
        "reference_perplexity": verdict.reference,
        "checked": verdict.checked or None,
    }
