"""The doctor's answer: every step, run dry."""

from collections.abc import Iterable
from dataclasses import dataclass

from lifecycle.errors import LifecycleError
from lifecycle.host import Host
from lifecycle.step import Step

OK, ADVICE, WORK, PERSON, UNREAD = "ok", "advice", "todo", "person", "unread"
"""What is so, what would be better, what a command of ours does, what needs a person, and what
could not be asked."""
ORDER = (PERSON, UNREAD, WORK, ADVICE, OK)
AGAIN = "Look again: inv doctor"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's table.

    Args:
        id: of the step.
        state: one of `OK`, `ADVICE`, `WORK`, `PERSON`, `UNREAD`.
        detail: what is there, or why the state is not reached.
        fix: the one thing to type or do next; "" when nothing is.
    """

    id: str
    name: str
    state: str
    detail: str
    fix: str = ""
    by: str = ""


def examine(steps: Iterable[Step], host: Host) -> list[Finding]:
    """Ask every step, in the order of the plan."""
    return [_examine(step, host) for step in steps]


def urgent_first(found: Iterable[Finding]) -> list[Finding]:
    """The most blocking first, otherwise in the order of the plan."""
    return sorted(found, key=lambda one: ORDER.index(one.state))


def ready(findings: Iterable[Finding]) -> bool:
    """Whether no person has to act, be it only to look again."""
    return not any(one.state in {PERSON, UNREAD} for one in findings)


def known(findings: Iterable[Finding]) -> bool:
    """Whether all of it could be asked."""
    return not any(one.state == UNREAD for one in findings)


def _examine(step: Step, host: Host) -> Finding:
    unread = step.unread(host)
    if unread:
        return Finding(step.id, step.name, UNREAD, unread, AGAIN)
    try:
        why = step.missing(host)
    except LifecycleError as error:  # A processor no table knows, for example.
        detail = f"{error.what}\n{error.why}".strip()
        return Finding(step.id, step.name, PERSON, detail, error.fix)
    if not why:
        return Finding(step.id, step.name, OK, step.found(host))
    if step.advice:
        by = step.by if step.actions else ""
        return Finding(step.id, step.name, ADVICE, why, by or step.fix, by)
    if step.actions and step.by:
        return Finding(step.id, step.name, WORK, why, step.by, step.by)
    return Finding(step.id, step.name, PERSON, why, step.fix, "")
