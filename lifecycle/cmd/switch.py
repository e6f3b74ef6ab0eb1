"""`inv switch`: serve another model from now on; the old one is back if the new one fails."""

from typing import TYPE_CHECKING

from invoke import Context

from lifecycle.cmd.command import command, shell_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lifecycle.backend import Backend
    from lifecycle.cmd.exchange import Way
    from lifecycle.host import Server


@command(help={
    "model": "a name from the catalogue, a folder, or a repo id, as for MODEL=",
    "gpu": "a backend (a file in env/), cpu, cuda or rocm; unset: what runs, else as inv up",
    "max-model-len": "the longest prompt plus answer, in tokens; unset: what is known of the model",
    "now": "do not wait for requests that are being answered",
    "force": "also a model that does not fit by our reckoning",
})  # fmt: skip
def switch(  # noqa: PLR0913 - each is an option of the command
    context: Context,
    model: str,
    gpu: str = "auto",
    max_model_len: int = 0,
    *,
    now: bool = False,
    force: bool = False,
) -> None:
    """Serve another model; the old one is back if the new one does not answer."""
    from lifecycle.cmd.exchange import Way

    given = {"MAX_MODEL_LEN": str(max_model_len)} if max_model_len else {}
    to(context, model, _meant(gpu), given=given, way=Way(patient=not now, force=force))


def to(
    context: Context,
    model: str,
    backend: "Backend",
    *,
    given: "Mapping[str, str] | None" = None,
    way: "Way | None" = None,
) -> None:
    """Serve a model, and write it down as the backend's own when it has answered.

    Args:
        backend: whose model it is; with a RUNTIME of `--runtime` that one counts, else that of
            the running server.
        given: values that go with the model, by key; they come before those of the catalogue.
        way: how it is done; unset: patiently, and only what fits.

    Raises:
        ConfigError: MODEL stands where a switch cannot reach, or a value is none.
        ModelUnavailable: no model has such a name.
        LifecycleError: it did not work, and no server ran before.
        Exit: it did not work, which was said; the old server is what it was.
    """
    from lifecycle import facts, report
    from lifecycle.cmd import choose, gateway, start, wanted
    from lifecycle.cmd.exchange import Exchange, Way
    from lifecycle.machine import Here

    where, shell = choose.places(), shell_for(context)
    name, wished = backend.name, wanted.model(model, where)
    mine = where.run(name) / "up.lock"
    with start.alone_without_key(backend, where, shell), shell.lock(mine, report.note):
        wanted.check(given or {})
        text = wanted.override(name, wished, given or {}, where)
        candidate = choose.load(name, text)
        _refuse_in_vain(candidate)
        runs = facts.server.look(candidate, where)
        way = way or Way()
        start.refuse_strangers(candidate, runs, take_over=way.take_over)
        candidate = _in_runtime(candidate, backend, runs)
        is_so = runs.phase == "ready" and runs.launch.settings.get("MODEL") == wished
        same = text == wanted.overridden(name, where)
        if is_so and same and candidate.runtime == runs.launch.runtime:
            report.note(f"{name} serves {wished} already, at {candidate.url}/v1; nothing to do")
            return
        candidate, made = start.with_key(candidate)
        Exchange(candidate, where, Here(shell), runs, text, way).perform(made)
    if not shell.dry:
        gateway.tell(where, shell)
        report.endpoint(candidate)


def _meant(gpu: str) -> "Backend":
    """The backend a switch is about: what runs, else what `up` would start."""
    from lifecycle.cmd import choose

    where = choose.places()
    if gpu == "auto" and any(one.alive for _, one in choose.states(choose.readable(), where)):
        return choose.running(gpu, where)
    return choose.to_start(gpu)[0]


def _refuse_in_vain(candidate: "Backend") -> None:
    """Say what stands above a switch: it would change nothing, or not all.

    Raises:
        ConfigError: MODEL does.
    """
    from lifecycle import report
    from lifecycle.env_file import PROCESS
    from lifecycle.errors import ConfigError
    from lifecycle.keys import WITH_MODEL

    above = {
        key: candidate.settings[key]
        for key in WITH_MODEL
        if candidate.chosen(key) and candidate.settings[key].source.startswith((PROCESS, ".env:"))
    }
    if "MODEL" in above:
        one = above["MODEL"]
        raise ConfigError(
            f"MODEL={one.text} is set in {one.source}, which stands above every switch",
            why="a value there holds for all backends, and before their own files",
            fix="Take MODEL out of it, then run the same command again.",
        )
    for key, one in above.items():
        report.note(f"{key}={one.text} holds for this model, too: {one.source} says so")


def _in_runtime(candidate: "Backend", backend: "Backend", runs: "Server") -> "Backend":
    """The candidate in the runtime that was asked for, else in that of the running server.

    Raises:
        NotSupported: there is no such combination.
    """
    from lifecycle import tables

    asked = backend.settings.get("RUNTIME")
    if asked and asked.source == "--runtime":
        candidate = candidate.with_setting("RUNTIME", asked.text, asked.source)
    elif runs.alive and runs.launch.runtime not in {"", candidate.runtime}:
        candidate = candidate.with_setting("RUNTIME", runs.launch.runtime, "the running server")
    tables.serving.require_served(candidate.gpu, candidate.runtime)
    return candidate
