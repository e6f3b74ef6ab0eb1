"""What was measured, row by row."""

import statistics
from dataclasses import dataclass, field

from tests.bench.goals import Goal, alone


class NotMeasured(Exception):
    """Something that should have been measured could not be."""


class Skipped(Exception):
    """This machine lacks what a row needs; the reason is for a person."""


@dataclass
class Row:
    """The samples of one row, in the order they were taken."""

    ours: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)
    skipped: str = ""
    failed: str = ""

    def number(self, goal: Goal) -> float | None:
        """The medians compared; None while a side is missing."""
        if not self.ours:
            return None
        ours = statistics.median(self.ours)
        if goal.compare is alone:
            return ours
        return goal.compare(ours, statistics.median(self.reference)) if self.reference else None

    def verdict(self, goal: Goal) -> str:
        """`met`, `missed`, `info`, or why there is none."""
        if self.failed:
            return f"not measured: {self.failed}"
        if self.skipped:
            return f"skipped: {self.skipped}"
        number = self.number(goal)
        if number is None:
            return "not finished"
        if goal.bound is None:
            return "info"
        return "met" if goal.met(number) else "missed"


Rows = dict[str, Row]
