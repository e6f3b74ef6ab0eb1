"""`inv models`: the catalogue, what of it is on this disk, and what this machine can run."""

from typing import TYPE_CHECKING

from invoke import Context

from lifecycle.cmd.command import GPU_OR_BEST_HELP, command

if TYPE_CHECKING:
    from lifecycle.backend import Backend
    from lifecycle.host import Host
    from lifecycle.paths import Paths
    from lifecycle.planner.fit import Card, Plan, Wanted
    from lifecycle.tables.catalogue import CatalogueModel


@command(help={
    "gpu": GPU_OR_BEST_HELP,
    "vram": "reckon with a card of so much memory instead, e.g. 24GiB",
    "json": "print JSON for programs",
})  # fmt: skip
def models(context: Context, gpu: str = "auto", vram: str = "", *, json: bool = False) -> None:
    """Models worth running: size, licence, whether they are here, whether they fit."""
    del context
    from dataclasses import replace

    from lifecycle import facts, report
    from lifecycle.cmd import card, choose
    from lifecycle.machine import HURRY, Here
    from lifecycle.shell import Shell
    from lifecycle.tables.catalogue import catalogue

    machine, where = Here(Shell(), HURRY), choose.places()
    backend, why = choose.to_start(gpu, machine)
    host = facts.hardware(machine)
    host = replace(host, cpu=facts.cpu.look(machine), memory=facts.memory.look(machine))
    on, wanted = card.of(backend, host, vram), _wanted(backend, host)
    rows = [(row, _here(row, backend, where), _plan(row, on, wanted)) for row in catalogue()]
    if json:
        known = [_as_data(*one, suits=on.gpu in one[0].gpus) for one in rows]
        report.document({"backend": backend.name, "memory": on.total, "models": known})
        return
    if why:
        report.note(why)
    report.models(rows, on)


def _wanted(backend: "Backend", host: "Host") -> "Wanted":
    """What the backend asks of every model: without what is for its own."""
    from dataclasses import replace

    from lifecycle.steps import fit, serve_arguments

    asked = fit.wanted(backend, serve_arguments.version(backend, host))
    return replace(asked, length=0, dtype="", quantization="")


def _here(row: "CatalogueModel", backend: "Backend", where: "Paths") -> bool:
    """Whether all of it is on this disk."""
    from lifecycle.facts import weights

    return not weights.find(backend.with_setting("MODEL", row.model, "inv models"), where).problem


def _plan(row: "CatalogueModel", on: "Card", wanted: "Wanted") -> "Plan":
    from lifecycle.models import known
    from lifecycle.planner import fit

    return fit.plan(known.model(row), on, wanted)


def _as_data(
    row: "CatalogueModel",
    here: bool,  # noqa: FBT001 - one cell of a row
    plan: "Plan",
    *,
    suits: bool,
) -> dict[str, object]:
    return {
        "name": row.name,
        "model": row.model,
        "revision": row.revision,
        "about": row.about,
        "use": row.use,
        "bytes": row.size,
        "license": row.license,
        "gated": row.gated,
        "here": here,
        "suits": suits,
        "verdict": plan.verdict,
        "longest": plan.longest,
        "blocked": list(plan.blocked),
        "cautions": [*plan.cautions, *row.cautions.values()],
        "tool_parser": row.tool_parser,
        "reasoning_parser": row.reasoning_parser,
        "verified": row.verified,
    }
