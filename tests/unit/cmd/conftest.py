"""A machine on which the tracked model is served."""

import pytest
from invoke import Context

from lifecycle import facts
from lifecycle.cmd import choose, server
from lifecycle.cmd import tools as engine_tools
from lifecycle.host import Host
from lifecycle.runtimes import known_answers, ready, venv
from lifecycle.shell import Shell
from lifecycle.step import Command
from lifecycle.steps.venv import Tools
from tests.unit.cmd.world import TRACKED, World
from tests.unit.given import KEY, TOOLS, Checkout


@pytest.fixture
def world(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> World:
    """The tracked model is served."""
    checkout.env("cpu", TRACKED).secrets(f"VLLM_API_KEY={KEY}\n")
    checkout.paths.secrets.chmod(0o600)
    made = World(checkout)

    def tools(*_: object) -> Tools:
        return TOOLS

    def run(shell: Shell, command: Command, *rest: object) -> None:
        if shell.dry:
            return shell.say(str(command))
        return made.begin(shell, command, *rest)

    monkeypatch.setattr(choose, "ROOT", checkout.root)
    monkeypatch.setattr(choose, "places", lambda: checkout.paths)
    monkeypatch.setattr(facts, "hardware", lambda _: Host())
    monkeypatch.setattr(facts, "gather", made.gather)
    monkeypatch.setattr(facts.server, "look", made.look)
    monkeypatch.setattr(engine_tools, "tools", tools)
    monkeypatch.setattr(Shell, "run", run)
    monkeypatch.setattr(venv, "down", made.down)
    monkeypatch.setattr(ready, "wait", made.wait)
    monkeypatch.setattr(known_answers, "check", made.check)
    server.up(Context(), gpu="cpu")
    made.events.clear()
    made.patience.clear()
    return made
