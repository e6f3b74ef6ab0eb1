"""`inv plan`: does a model fit, with the sum shown, before a byte of it is downloaded."""

from typing import TYPE_CHECKING

from invoke import Context, Exit

from lifecycle.cmd.command import GPU_OR_BEST_HELP, command

if TYPE_CHECKING:
    from lifecycle.backend import Backend
    from lifecycle.host import Weights
    from lifecycle.model import Model
    from lifecycle.paths import Paths


@command(help={
    "gpu": GPU_OR_BEST_HELP,
    "model": "a name from inv models, a folder, or a repo id; unset: MODEL= of the backend",
    "revision": "branch, tag or commit on the hub; unset: the catalogue's, else main",
    "max-model-len": "the longest prompt plus answer wanted, in tokens; unset or 0: MAX_MODEL_LEN=",
    "vram": "reckon with a card of so much memory instead of this machine's, e.g. 24GiB",
    "json": "print JSON for programs",
})  # fmt: skip
def plan(  # noqa: PLR0913, PLR0917 - each is an option of the command
    context: Context,
    gpu: str = "auto",
    model: str = "",
    revision: str = "",
    max_model_len: int = 0,
    vram: str = "",
    *,
    json: bool = False,
) -> None:
    """Does a model fit on this card? The sum, line by line, and what would fit instead.

    Exit code 9 when `inv up` would refuse to start it so.
    """
    del context
    import dataclasses

    from lifecycle import facts, report
    from lifecycle.cmd import card, choose, companions, measure, wanted
    from lifecycle.errors import ModelUnavailable
    from lifecycle.machine import HURRY, Here
    from lifecycle.planner import fit as planner
    from lifecycle.shell import Shell
    from lifecycle.steps import cards, extra_arguments, fit, serve_arguments

    where, machine = choose.places(), Here(Shell(), HURRY)
    given = {"REVISION": revision, "MAX_MODEL_LEN": str(max_model_len or "")}
    backend, why = wanted.backend(gpu, model, given, where, machine)
    if why:
        report.note(why)
    host = facts.with_backend(facts.survey(where, machine), backend, where, machine)
    if not vram:
        cards.require(backend, host)
    version = serve_arguments.version(backend, host)
    extra_arguments.require(backend, host, version)
    known = _figures(backend, host.weights, where)
    host = companions.learned(backend, host, where)
    on = card.of(backend, host, vram)
    asked = fit.wanted(backend, version, host, known)
    measured = None
    if not vram:
        each = planner.plan(known, on, asked).weights
        measured = measure.overhead(backend, where, host, total=on.total, weights=each)
    found = planner.plan(
        known, on, asked, measured=measured, candidates=_instead(backend.model, known, on.gpu)
    )
    refused = bool(fit.shortage(backend, found))
    differ = [] if vram else fit.cautions(backend, host)
    cautions = (*found.cautions, *differ, *_advice(backend, on.gpu))
    found = dataclasses.replace(found, cautions=cautions)
    if json:
        said = {"backend": backend.name, "card": dataclasses.asdict(on), "starts": not refused}
        report.document({**said, **dataclasses.asdict(found)})
    else:
        report.plan(found, on, backend)
    if refused:
        raise Exit(code=ModelUnavailable.exit_code)


def _figures(backend: "Backend", weights: "Weights", where: "Paths") -> "Model":
    """The model's figures: of its files, of the catalogue, or asked of the hub.

    Raises:
        ModelUnavailable: there is no such model, or one the planner cannot read.
        HostNotReady: the hub cannot be reached.
    """
    import os

    from lifecycle import report
    from lifecycle.errors import ModelUnavailable
    from lifecycle.hub import client
    from lifecycle.models import figures, source

    if weights.model:
        return weights.model
    how = figures.Loaded(backend.get("DTYPE"), backend.get("QUANTIZATION"))
    if weights.path and not weights.problem:
        return figures.of_folder(weights.path, backend.model, how)
    hub = source.of(backend)
    if hub is None:
        raise ModelUnavailable(f"{backend.model} cannot be planned", why=weights.problem,
                               fix="See what is known: inv models")  # fmt: skip
    if not weights.asked:
        report.note(f"asking the hub for the figures of {hub.repo} (kilobytes)")
        door = client.connect(where.root, os.environ, report.note)
        figures.learn(door, where, hub.repo, hub.revision)
    found = figures.of_hub(where, hub.repo, hub.revision, how)
    if found is None:
        raise ModelUnavailable(f"the figures of {hub.repo} cannot be read",
                               fix="Run the same command again: they are read anew.")  # fmt: skip
    return found


def _advice(backend: "Backend", gpu: str) -> list[str]:
    """What the catalogue has against a model on this hardware, where the planner has nothing."""
    from lifecycle.tables import catalogue

    row = catalogue.find(backend.model)
    if row is None or gpu in row.gpus:
        return []
    why = row.cautions.get(gpu)
    return [f"the catalogue does not recommend it for {gpu}" + (f": {why}" if why else "")]


def _instead(word: str, model: "Model", gpu: str) -> "list[Model]":
    """What to offer when it does not fit: siblings where the catalogue knows any, else lighter."""
    from lifecycle.models import known
    from lifecycle.tables import catalogue

    row = catalogue.find(word)
    rows = catalogue.alternatives(row) if row else catalogue.lighter(model.weights)
    return [known.model(one) for one in rows if gpu in one.gpus]
