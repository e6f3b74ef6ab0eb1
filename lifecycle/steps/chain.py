"""States that stand on each other: of those the doctor tells no more than it knows."""

from collections.abc import Sequence

from lifecycle.host import Host
from lifecycle.step import Step


def known(plan: Sequence[Step], host: Host) -> list[Step]:
    """A chain up to the first state that is missing.

    What stands on that one would repeat its fix, blame another cause, or be called fine although
    nobody could ask. Advice stops nothing.
    """
    end = next((number for number, step in enumerate(plan, 1) if _stops(step, host)), len(plan))
    return list(plan[:end])


def once(plan: Sequence[Step]) -> list[Step]:
    """Each state once, where it stands first."""
    first: dict[str, Step] = {}
    for step in plan:
        first.setdefault(step.id, step)
    return list(first.values())


def broken(plan: Sequence[Step], host: Host) -> bool:
    """Whether a state of the chain is missing."""
    return any(_stops(step, host) for step in plan)


def _stops(step: Step, host: Host) -> bool:
    return not step.advice and bool(step.missing(host))
