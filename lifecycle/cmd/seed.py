"""`inv seed-models`: the weights of a model, fetched and verified before they are needed."""

from typing import TYPE_CHECKING

from invoke import Context

from lifecycle.cmd.command import GPU_OR_BEST_HELP, command, dry

if TYPE_CHECKING:
    from lifecycle.backend import Backend
    from lifecycle.host import Weights
    from lifecycle.models.source import Source
    from lifecycle.paths import Paths


@command(name="seed-models", help={
    "gpu": GPU_OR_BEST_HELP,
    "model": "a name from inv models, or a repo id; unset: MODEL= of the backend",
    "revision": "branch, tag or commit; unset: the catalogue's, else main",
    "dry-run": "list the files and their sizes, fetch nothing (so does inv --dry)",
    "verify": "hash every file that is here, and fetch again what is damaged",
    "from": "copy from another machine's cache over ssh instead: USER@HOST or USER@HOST:FOLDER",
})  # fmt: skip
def seed_models(  # noqa: PLR0913 - each is an option of the command
    context: Context,
    gpu: str = "auto",
    model: str = "",
    revision: str = "",
    from_: str = "",
    *,
    dry_run: bool = False,
    verify: bool = False,
) -> None:
    """Fetch a model's weights, verified; run again it goes on where it was stopped."""
    from lifecycle import facts, report
    from lifecycle.cmd import choose, copy, damage, wanted
    from lifecycle.errors import ModelUnavailable
    from lifecycle.machine import HURRY, Here
    from lifecycle.models import source as sources
    from lifecycle.models.source import Source
    from lifecycle.shell import Shell

    where, show = choose.places(), dry_run or dry(context)
    backend, why = wanted.backend(gpu, model, {"REVISION": revision}, where, Here(Shell(), HURRY))
    if why and not model:
        report.note(why)
    here, source = facts.weights.look(backend, where), sources.of(backend)
    if verify and here.path and (source is None or here.path == here.root):
        damage.without_hub(backend, here, where, show=show)
        return
    if source is None:
        if here.problem:
            raise ModelUnavailable(f"{backend.model} is not on the hub", why=here.problem,
                                   fix="See what is known: inv models")  # fmt: skip
        report.note(f"{backend.model} is here already, in {here.path}; it needs no hub")
        _beside(backend, where, show=show)
        return
    if from_:
        copy.over_ssh(from_, source, where, show=show)
        return
    if not verify or here.path is None:
        _bring(source, here, where, show=show)
    elif damage.snapshot(here.path, show=show):
        # The same commit: what a branch means by now is not asked.
        _from_hub(Source(source.repo, (here.path.name,)), where, show=show)
    _beside(backend, where, show=show)


def _bring(source: "Source", here: "Weights", where: "Paths", *, show: bool) -> None:
    """What of it is not here; nobody is asked where all of it is."""
    from lifecycle import report
    from lifecycle.models import cache, seed

    repo, revision = source.repo, source.revision
    touched = None if show else cache.settled(where, repo, revision, lambda _: None)
    complete = touched or seed.here(where, repo, revision)
    if complete or (not here.problem and _offline()):
        report.note(f"{repo} is here already, in {complete or here.path}; nothing to do")
        return
    _from_hub(source, where, show=show)


def _beside(backend: "Backend", where: "Paths", *, show: bool) -> None:
    """What `EXTRA_ARGS` names of the hub: servers ask it for nothing."""
    from lifecycle.cmd import companions

    for hub, holds in companions.missing(backend, where):
        _from_hub(hub, where, show=show, holds=holds)


def _offline() -> bool:
    # The hub's library costs 0.7 s: only where the answer matters.
    from lifecycle.hub import client

    return client.offline()


def _from_hub(source: "Source", where: "Paths", *, show: bool, holds: str = "model") -> None:
    import os

    from lifecycle import report
    from lifecycle.cmd import arrival
    from lifecycle.hub import client
    from lifecycle.models import seed

    hub = client.connect(where.root, os.environ, report.note)
    order = seed.order(hub, source.repo, source.revision, where, holds)
    if show:
        report.order(order)
        return
    if order.complete:
        report.note(f"{order.repo.id} is here already, in {order.place.snapshot}; nothing to do")
        return
    seed.prepare(order, where)
    with arrival.shown(order) as on_progress:
        seed.fetch(hub, order, on_progress)
