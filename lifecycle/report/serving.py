"""Servers: how to use one, how they are, what one was given and took."""

import json
import time
from collections.abc import Mapping

from rich.markup import escape
from rich.table import Table

from lifecycle.backend import Backend
from lifecycle.env_file import PROCESS
from lifecycle.host import GIB, Server
from lifecycle.keys import KEYS
from lifecycle.measured import Measured, Planned
from lifecycle.report.answers import COLOURS as SANITY_COLOURS
from lifecycle.report.terminal import duration, gib, line, out

COLOURS = {
    "ready": "green", "failed": "red", "unanswering": "red", "unknown": "red", "stopped": "dim",
}  # fmt: skip


def endpoint(backend: Backend) -> None:
    """How to use a server that is ready; the key is named, never shown."""
    url, model = f"{backend.url}/v1", backend.served_name
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello!"}]})
    out.print(
        f"""
[bold]Endpoint[/]  {url}
[bold]Model[/]     {escape(model)}
[bold]Key[/]       VLLM_API_KEY in {_place_of_key(backend)}

[bold]Try it[/]    ./inv chat "What is the capital of France?"

[bold]curl[/]      {_export_key(backend)}curl {url}/chat/completions \\
            -H "Authorization: Bearer $VLLM_API_KEY" \\
            -H "Content-Type: application/json" -d '{escape(body)}'

[bold]Python[/]    from openai import OpenAI; import os
          client = OpenAI(base_url="{url}", api_key=os.environ["VLLM_API_KEY"])
          answer = client.chat.completions.create(model="{escape(model)}",
              messages=[{{"role": "user", "content": "Hello!"}}])
          print(answer.choices[0].message.content)
""",
        soft_wrap=True,
    )


def _place_of_key(backend: Backend) -> str:
    return "the environment" if backend.settings["VLLM_API_KEY"].source == PROCESS else ".env"


def _export_key(backend: Backend) -> str:
    if backend.settings["VLLM_API_KEY"].source == PROCESS:
        return ""
    return "export VLLM_API_KEY=$(sed -n 's/^VLLM_API_KEY=//p' .env)\n          "


def servers(
    rows: list[tuple[Backend, Server]], vram: Mapping[str, tuple[int, int]] | None = None
) -> None:
    """One line per backend.

    Args:
        vram: bytes in use and in all, of the cards of each kind of hardware.
    """
    shown = vram or {}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (
        "backend",
        "phase",
        "model",
        "endpoint",
        "runtime",
        "pid",
        "RAM",
        "up",
        "answers",
        *(["VRAM"] if shown else []),
    ):
        table.add_column(name, overflow="fold")
    for backend, server in rows:
        cells = _cells(backend, server)
        if shown:
            cells.append(_vram(shown.get(backend.gpu)) if server.alive else "")
        table.add_row(*cells)
    out.print(table)
    for backend, server in rows:
        if server.owner:
            text = f"{backend.name} belongs to the checkout {server.owner}"
            out.print(f"\n{escape(text)}; to replace it: inv up --take-over", soft_wrap=True)
        if server.answers.reason:
            out.print(
                f"\n{backend.name}: answers are {server.answers.sanity}: "
                f"{escape(server.answers.reason)}",
                soft_wrap=True,
            )
        if server.detail:
            out.print(f"\n{backend.name}: {escape(server.detail)}", soft_wrap=True)
            if server.log:
                out.print(f"[dim]log: {escape(server.log)}[/]", soft_wrap=True)


def _vram(card: tuple[int, int] | None) -> str:
    return f"{card[0] / GIB:.1f} of {card[1] / GIB:.1f} GiB" if card else "unknown"


def _cells(backend: Backend, server: Server) -> list[str]:
    phase = f"[{COLOURS.get(server.phase, 'yellow')}]{server.phase}[/]"
    again = f" ({server.restarts}x)" if server.restarts else ""
    runtime = server.launch.runtime or backend.runtime
    port = server.launch.settings.get("PORT", backend.port) if server.owner else backend.port
    known = [escape(", ".join(server.models) or backend.served_name), f"127.0.0.1:{port}"]
    if not server.alive:
        return [backend.name, phase, *known, runtime, "", "", "", ""]
    memory = f"{server.memory / GIB:.1f} GiB" if server.memory else ""
    age = duration(time.time() - server.since)
    sanity = server.answers.sanity
    verdict = f"[{SANITY_COLOURS[sanity]}]{sanity}[/]" if server.phase == "ready" else ""
    pid = str(server.pid or "")
    return [backend.name, phase + again, *known, runtime, pid, memory, age, verdict]


def memory(found: Measured, planned: Planned | None = None) -> None:
    """What a start took, in vLLM's own figures, and how far an estimate was off."""
    sizes = []
    if found.weights is not None:
        told = f" (planned {gib(planned.weights)})" if planned and planned.weights else ""
        sizes.append(f"weights {gib(found.weights)} GiB{told}")
    if found.overhead is not None:
        sizes.append(f"everything else {gib(found.overhead)} GiB")
    if found.budget is not None:
        sizes.append(f"of {gib(found.budget)} GiB in all")
    each = f"on each of {found.cards} cards: " if found.cards > 1 else ""
    if sizes:
        line(f"memory    {each}{', '.join(sizes)}")
    if found.kv_tokens is not None:
        size = "" if found.kv_available is None else f"{gib(found.kv_available)} GiB = "
        line(f"KV cache  {size}{found.kv_tokens:,} tokens{_off(found.kv_tokens, planned)}")
    if found.concurrency is not None and found.at_length is not None:
        line(
            f"          {found.concurrency:.1f} requests of full length "
            f"({found.at_length:,} tokens) at once"
        )


def _off(tokens: int, planned: Planned | None) -> str:
    if planned is None or planned.kv_tokens is None:
        return ""
    off = f", {100 * (planned.kv_tokens - tokens) / tokens:+.1f} %" if tokens else ""
    return f" (planned {planned.kv_tokens:,}{off.replace('-', '−')})"  # noqa: RUF001


def settings(backend: Backend) -> None:
    """Every value and where it came from."""
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for name in ("key", "value", "from"):
        table.add_column(name, overflow="fold")
    for name, value in visible(backend).items():
        table.add_row(name, escape(value["value"]), value["source"])
    out.print(f"\n[bold]{backend.name}[/]")
    out.print(table)


def visible(backend: Backend) -> dict[str, dict[str, str]]:
    """A backend's settings with secrets hidden."""
    return {
        name: {
            "value": "(set, hidden)" if KEYS[name].secret else setting.text,
            "source": setting.source,
        }
        for name, setting in sorted(backend.settings.items())
    }
