"""Who has a key, what the tailnet gets, and how to use it."""

import json

from rich.markup import escape
from rich.table import Table

from lifecycle.clients import Client
from lifecycle.host import Exposed, Probe
from lifecycle.report.progress import Progress
from lifecycle.report.terminal import out

MARKS = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]?[/]"}


class Listening(Progress):
    """A plan at work whose programs' words are kept: they tell why one did nothing."""

    def __init__(self, *, live: bool) -> None:
        super().__init__(live=live)
        self.heard: list[str] = []

    def progress(self, phase: str, detail: str) -> None:
        """Work goes on; both texts may be as before."""
        if detail:
            self.heard.append(detail)
        super().progress(phase, detail)


def clients(some: list[Client]) -> None:
    """One line per person with a key."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("name", "key since", "rate", "in flight"):
        table.add_column(name, overflow="fold")
    for client in some:
        rate = f"{client.rate} a minute" if client.rate else "no limit"
        at_once = f"{client.in_flight} at once" if client.in_flight else "no limit"
        table.add_row(escape(client.name), client.made, rate, at_once)
    out.print(table)


def exposed(one: Exposed, found: list[Probe]) -> None:
    """What the tailnet gets, and how it answered."""
    out.print(f"\n[bold]Endpoint[/]  {one.mount.url}")
    out.print(f"[bold]Leads to[/]  {escape(one.what)}, {one.target}")
    out.print(f"[bold]Through[/]   Tailscale on the {one.side.capitalize()} side\n")
    for probe in found:
        out.print(f"{MARKS[probe.good]} {escape(probe.question)}: {escape(probe.answer)}")


def how_to(one: Exposed) -> None:
    """How to use it, and who may."""
    url = one.mount.url
    out.print(
        f"""
[bold]curl[/]      curl {url}/models -H "Authorization: Bearer $OPENAI_API_KEY"

[bold]Python[/]    from openai import OpenAI  # the key is in OPENAI_API_KEY
          client = OpenAI(base_url="{url}")
          model = client.models.list().data\\[0].id
          answer = client.chat.completions.create(model=model,
              messages=[{{"role": "user", "content": "Hello!"}}])
          print(answer.choices\\[0].message.content)

[bold]Grants[/]    Who in the tailnet may try, for the policy file of its admin console
          (https://login.tailscale.com/admin/acls), once this machine has the tag:
""",
        soft_wrap=True,
    )
    grant = {"src": ["group:ai-users"], "dst": ["tag:inference"], "ip": [f"tcp:{one.port}"]}
    for text in (
        "{",
        '  "tagOwners": {"tag:inference": ["autogroup:admin"]},',
        f'  "grants": [{json.dumps(grant)}]',
        "}",
    ):
        out.print(f"          {escape(text)}", soft_wrap=True)
