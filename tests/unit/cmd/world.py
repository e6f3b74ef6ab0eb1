"""One server on a machine that is only told of: what a switch does to it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from invoke import Config, Context, Exit

from lifecycle.backend import Backend, override
from lifecycle.cmd import switch
from lifecycle.errors import ServerDied
from lifecycle.host import GIB, Answers, Host, Memory, Sanity, Server, Weights
from lifecycle.runtimes import launch, venv
from lifecycle.runtimes.drain import Patience
from lifecycle.shell import Shell
from lifecycle.step import AwaitReady, CheckAnswers, Command
from tests.unit import given
from tests.unit.given import Checkout

DRY = Context(Config(overrides={"run": {"dry": True}}))
OLD, NEW = "smollm2-135m-instruct", "/models/new"
TRACKED = f"GPU=cpu\nPORT=8000\nMODEL={OLD}\nMAX_MODEL_LEN=4096\nTOOL_PARSER=hermes\n"


class World:
    """One server, started and stopped by real steps and a told machine; and what happened to it."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout = checkout
        self.events: list[str] = []
        self.server = Server()
        self.starts = 0
        self.absent: set[str] = set()
        self.fails: dict[str, list[BaseException | None]] = {}
        """What the next starts of a model end with."""
        self.answers: dict[str, Answers] = {}
        """What a check finds of the answers of a model; sane, where it is not named."""
        self.patience: list[Patience] = []
        """How the server was stopped, each time."""
        self.port_owner = ""
        self.memory = Memory(16 * GIB, 12 * GIB)

    @property
    def run(self) -> Path:
        return self.checkout.paths.run("cpu")

    @property
    def override(self) -> Path:
        return override("cpu", self.checkout.root)

    def look(self, *_: object) -> Server:
        return self.server

    def gather(self, backend: Backend, *_: object) -> Host:
        problem = "it is not here" if backend.model in self.absent else ""
        folder = Path("/models") / Path(backend.model).name
        weights = Weights(folder, folder, 300_000_000, problem)
        return given.host(
            server=self.server, weights=weights, port_owner=self.port_owner, memory=self.memory
        )

    def begin(self, shell: Shell, command: Command, *_: object) -> None:
        assert not shell.dry
        started = launch.read(self.run)
        self.starts += 1
        self.events.append(f"start {started.settings['MODEL']}")
        self.server = Server(
            "ready", started, pid=42, since=self.starts, models=(started.settings["SERVED_NAME"],)
        )
        assert command.argv[0].endswith("supervisord")

    def wait(self, action: AwaitReady, *_: object) -> None:
        model = self.server.launch.settings["MODEL"]
        left = self.fails.get(model, [])
        fate = left.pop(0) if left else None
        if fate is not None:
            (self.run / venv.LOG).write_text(f"the log of {action.model}\n")
            raise fate

    def check(self, action: CheckAnswers) -> Answers:
        sane = Answers(Sanity.SANE, checked=self.starts)
        verdict = self.answers.get(action.circumstances.model, sane)
        self.server = replace(self.server, answers=verdict)
        return verdict

    def down(self, *given: object) -> None:
        self.patience += [one for one in given if isinstance(one, Patience)]
        if self.server.alive:
            self.events.append(f"stop {self.server.launch.settings['MODEL']}")
        self.server = Server()
        (self.run / launch.FILE).unlink(missing_ok=True)


def stopped(world: World) -> World:
    world.down()
    world.events.clear()
    world.patience.clear()
    return world


def dies(why: str = "ValueError: no such shape") -> ServerDied:
    return ServerDied("the server died", why=why, fix="The whole log: inv logs --gpu cpu")


def ends(code: int, run: Callable[[], object]) -> Exit:
    with pytest.raises(Exit) as caught:
        run()
    assert caught.value.code == code
    return caught.value


def to(model: str, context: Context | None = None, **options: object) -> Callable[[], object]:
    return lambda: switch.switch(context or Context(), model, **options)
