"""After a start: what vLLM measured is shown, compared with the plan, and kept for the next one."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifecycle.backend import Backend
    from lifecycle.host import Host, Server
    from lifecycle.measured import Planned
    from lifecycle.models.measured import Subject
    from lifecycle.paths import Paths
    from lifecycle.shell import Shell

SHAPING = (
    "DTYPE",
    "QUANTIZATION",
    "KV_CACHE_DTYPE",
    "KV_CACHE_GIB",
    "ATTENTION_BACKEND",
    "TENSOR_PARALLEL",
    "MAX_NUM_SEQS",
    "MAX_MODEL_LEN",
    "GPU_MEMORY_UTILIZATION",
)
"""Keys that decide what a start takes, beside `EXTRA_ARGS`."""


def after_start(
    backend: "Backend",
    where: "Paths",
    host: "Host",
    shell: "Shell",
    planned: "Planned | None" = None,
) -> None:
    """Show and keep what a start took that has just succeeded; it may have told nothing.

    Args:
        backend: as the person set it: what the plan chose besides is chosen again the next time.
        planned: the estimate, to be compared; None when there is none.
    """
    from lifecycle import report
    from lifecycle.measured import Measured
    from lifecycle.models.measured import Notes, Start
    from lifecycle.runtimes import memory_log, runtime

    found = memory_log.read(runtime(backend.runtime).log(backend.name, where))
    if found == Measured():
        return
    report.memory(found, planned)
    try:
        notes = Notes(where.home, subject(backend, host))
        notes.keep(Start.now(settings(backend), found), shell, report.note)
    except OSError as error:
        # The server runs; that its figures cannot be kept must not look like a failed start.
        report.note(f"these figures could not be kept: {error}")


def running(backend: "Backend", server: "Server", where: "Paths") -> None:
    """Show what the start of a running server took, as long as its log still tells."""
    from lifecycle import report
    from lifecycle.runtimes import memory_log, runtime

    if server.alive:
        name = server.launch.runtime or backend.runtime
        report.memory(memory_log.read(runtime(name).log(backend.name, where)))


def earlier(backend: "Backend", where: "Paths", host: "Host") -> int | None:
    """What an earlier start like this one took beside weights and KV cache, on each card."""
    from lifecycle.steps import fit

    card, reckoned = fit.card(backend, host), fit.plan(backend, host)
    if card is None or reckoned is None:
        return None
    return overhead(backend, where, host, total=card.total, weights=reckoned.weights)


def overhead(
    backend: "Backend",
    where: "Paths",
    host: "Host",
    *,
    total: int | None = None,
    weights: int | None = None,
) -> int | None:
    """Bytes a card that an earlier start like this one took beside weights and KV cache.

    See `lifecycle.models.measured.Notes.overhead` for when it holds, and for the arguments.
    """
    from lifecycle.models.measured import Notes

    notes = Notes(where.home, subject(backend, host))
    return notes.overhead(settings(backend), total=total, weights=weights)


def subject(backend: "Backend", host: "Host") -> "Subject":
    """What starts of this backend on this machine are comparable by."""
    from lifecycle.models.measured import Subject
    from lifecycle.steps import serve

    started = serve.launched(backend, host).settings
    engine = started.get("IMAGE") or started.get("ENGINE", "")
    return Subject(backend.model, _card(backend, host), engine)


def settings(backend: "Backend") -> dict[str, str]:
    """The settings that decide what a start takes; free text only as a fingerprint."""
    from lifecycle.arguments import memory
    from lifecycle.runtimes import launch
    from lifecycle.steps import extra_arguments

    kept = {key: backend.get(key) for key in SHAPING}
    extra = backend.get("EXTRA_ARGS")
    if extra:
        kept["EXTRA_ARGS"] = launch.fingerprint(extra)
        kept["eager"] = "yes" if memory.eager(extra_arguments.read(backend, "")) else ""
    return {key: text for key, text in kept.items() if text}


def _card(backend: "Backend", host: "Host") -> str:
    from lifecycle.steps import cards

    if backend.gpu == "cpu":
        return host.cpu.model
    number = cards.ranks(backend)
    used = " + ".join(dict.fromkeys(gpu.name for gpu in cards.of(backend, host).used))
    return f"{number} x {used}" if number > 1 else used
