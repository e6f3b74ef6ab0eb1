"""Models: which there are, and whether one fits."""

from rich.markup import escape
from rich.table import Table

from lifecycle.backend import Backend
from lifecycle.host import GIB
from lifecycle.planner import fit
from lifecycle.report.terminal import gib, line, note, out
from lifecycle.tables.catalogue import CatalogueModel

COLOURS = {fit.FITS: "green", fit.FITS_IF: "yellow", fit.FITS_WITH: "yellow"}


def models(rows: list[tuple[CatalogueModel, bool, fit.Plan]], on: fit.Card) -> None:
    """The catalogue, and what of it a card can run.

    Args:
        rows: a model, whether it is on this disk, and the plan for it.
    """
    unread = ", if nothing else uses much of it: nobody could read how much is free"
    free = unread if on.free is None else f", {gib(on.free)} GiB of it free"
    line(f"For {on.name or on.gpu}: {gib(on.total)} GiB{free}")
    suited = [one for one in rows if _suits(one[0], one[2], on)]
    running = [one for one in suited if one[2].verdict != fit.DOES_NOT_FIT]
    out.print(_table(running))
    _names("does not fit", [one for one in suited if one not in running])
    _names("not for this hardware", [one for one in rows if one not in suited])
    line("\nThe sum, and what would fit instead: inv plan --model NAME")
    if any(row.gated for row, *_ in running):
        note("*: accept it on the model's page first, and set HF_TOKEN= in .env")


def _table(rows: list[tuple[CatalogueModel, bool, fit.Plan]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    for name in ("here", "licence"):
        table.add_column(name, no_wrap=True)
    table.add_column("longest context", justify="right", no_wrap=True)
    table.add_column("for")
    for row, here, plan in rows:
        cells = (f"{row.size / 1e9:.1f} GB", "yes" if here else "", row.license + "*" * row.gated)
        longest = f"[green]{'' if plan.exact else 'about '}{plan.longest:,}[/]"
        table.add_row(escape(row.name), *cells, longest, escape(row.about))
    return table


def _names(why: str, rows: list[tuple[CatalogueModel, bool, fit.Plan]]) -> None:
    if rows:
        line(f"\n{why}: {', '.join(row.name for row, *_ in rows)}")


def _suits(row: CatalogueModel, plan: fit.Plan, on: fit.Card) -> bool:
    return not plan.blocked and on.gpu in row.gpus


def plan(found: fit.Plan, on: fit.Card, backend: Backend) -> None:
    """The sum, the verdict, and what would fit instead."""
    named = f", backend {backend.name}" if on.gpu == backend.gpu else ""
    place = (on.name or f"a card of {gib(on.total)} GiB") + named
    out.print(f"[bold]{escape(found.model)}[/] on {escape(place)}\n")
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_column(style="dim", overflow="fold")
    for one in found.lines:
        table.add_row(f"{one.bytes / GIB:.2f} GiB", one.label, escape(one.note))
    out.print(table)
    out.print(f"\n{_tokens(found)}")
    colour = COLOURS.get(found.verdict, "red")
    out.print(f"\n[bold {colour}]{found.verdict}[/]{escape(_verdict(found))}", soft_wrap=True)
    for text in found.conditions:
        out.print(f"  [yellow]if[/] {escape(text)}", soft_wrap=True)
    for text in (*found.blocked, *filter(None, [found.shortage])):
        out.print(f"  [red]{escape(text)}[/]", soft_wrap=True)
    for other in found.alternatives:
        out.print(f"  [green]→[/] {escape(other.says)}", soft_wrap=True)
    for text in (*found.cautions, *found.notes):
        out.print(f"  [dim]{escape(text)}[/]", soft_wrap=True)


def _tokens(found: fit.Plan) -> str:
    """What a token takes, and how many fit: exactly, or from here to there."""
    low, high = found.tokens_range
    each = f"{found.token_bytes / 1024:.0f} KiB of KV cache a token"
    if not found.tokens:
        return f"{each}: none fit"
    range_ = f" ({low:,} to {high:,})" if low != high else ""
    return f"{each}: room for {found.tokens:,} tokens{range_}"


def _verdict(found: fit.Plan) -> str:
    if found.verdict == fit.DOES_NOT_FIT:
        return f": {gib(found.missing)} GiB are missing" if found.missing else ""
    said = " ".join(f"{key}={value}" for key, value in found.settings.items())
    many = "request" if found.requests == 1 else "requests"
    how = f"{found.length:,} tokens a request, {found.requests} such {many} at once"
    longest = f"; the longest that fits: {found.longest:,}" if found.longest > found.length else ""
    short = f"; as wanted {gib(found.missing)} GiB are missing" if found.missing else ""
    trust = " what follows holds" if found.verdict == fit.FITS_IF else ""
    return trust + (f" ({said})" if said else "") + f": {how}{longest}{short}"
