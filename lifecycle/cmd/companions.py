"""What `EXTRA_ARGS` names beside the model: its figures are learned, and it is fetched."""

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.backend import Backend
    from lifecycle.host import Host
    from lifecycle.models.source import Source
    from lifecycle.paths import Paths


def learned(backend: "Backend", host: "Host", where: "Paths") -> "Host":
    """The machine with the figures of every draft model, asked of the hub where nobody knows them.

    Raises:
        ModelUnavailable: there is no such model.
        HostNotReady: the hub cannot be reached.
    """
    import os

    from lifecycle import facts, report
    from lifecycle.hub import client
    from lifecycle.models import companion, figures
    from lifecycle.steps import extra_arguments

    for place in extra_arguments.companions(backend):
        seen, hub = host.companions.get(place.word), companion.source_of(place)
        if place.holds != "model" or hub is None or (seen and (seen.model or seen.asked)):
            continue
        report.note(f"asking the hub for the figures of {hub.repo} (kilobytes)")
        door = client.connect(where.root, os.environ, report.note)
        figures.learn(door, where, hub.repo, hub.revision)
    return replace(host, companions=facts.weights.companions(backend, where))


def missing(backend: "Backend", where: "Paths") -> "list[tuple[Source, str]]":
    """Repos that must still be fetched, and what each holds."""
    from lifecycle import facts
    from lifecycle.models import companion
    from lifecycle.steps import extra_arguments

    seen = facts.weights.companions(backend, where)
    wanted = [one for one in extra_arguments.companions(backend) if seen[one.word].problem]
    found = [(companion.source_of(one), one.holds) for one in wanted]
    return [(hub, holds) for hub, holds in found if hub and holds in {"model", "adapter"}]
