"""The server's answers are sane: asked after each start, and by `inv verify`."""

from lifecycle.backend import Backend
from lifecycle.errors import ServerUnhealthy
from lifecycle.host import Answers, Host, Sanity
from lifecycle.step import CheckAnswers, Step
from lifecycle.steps import known_issues
from lifecycle.verification.circumstances import Circumstances


def check(backend: Backend, host: Host) -> CheckAnswers:
    """The questions to ask, and all that is known of whoever answers."""
    return CheckAnswers(
        backend.name,
        backend.url,
        backend.served_name,
        backend.api_key,
        circumstances(backend, host),
    )


def circumstances(backend: Backend, host: Host) -> Circumstances:
    """What a server of this backend computes with on this machine."""
    known = host.weights.model
    stored = known.architecture.quantization.method if known else ""
    return Circumstances(
        model=backend.model,
        gpu=backend.gpu,
        dtype=backend.get("DTYPE"),
        quantization=backend.get("QUANTIZATION") or stored,
        kv_cache_dtype=backend.get("KV_CACHE_DTYPE"),
        archs=tuple(sorted(known_issues.archs(backend, host))) if backend.gpu != "cpu" else (),
    )


def step(backend: Backend, host: Host, *, again: bool = False) -> Step:
    """The state that the server's answers are sane.

    Args:
        again: asked anew, whatever the last check said.
    """
    before = host.server.answers.checked
    return Step(
        id="server.answers_sane",
        name=f"{backend.served_name} gives sane answers",
        missing=lambda now: (
            "asked for" if again and now.server.answers.checked == before
            else _missing(now.server.answers)
        ),
        actions=(check(backend, host),),
        fix=f"Ask again: inv verify --gpu {backend.name}",
        phase="verify",
        found=lambda now: summary(now.server.answers),
    )  # fmt: skip


def summary(answers: Answers) -> str:
    """The verdict in a clause: `sane (perplexity 14.2, reference 14.0)`."""
    figures = f" ({answers.figures})" if answers.figures else ""
    return f"{answers.sanity}{figures}" + (f": {answers.reason}" if answers.reason else "")


def failure(backend: str, answers: Answers) -> ServerUnhealthy:
    """The error for a server whose answers are broken."""
    causes = [f"perhaps {line}" for line in answers.advice]
    return ServerUnhealthy(
        f"the server of {backend} runs, but its answers are broken",
        why=answers.reason,
        fix="\n".join([*causes, f"Ask again: inv verify --gpu {backend}. It is left running."]),
    )


def _missing(answers: Answers) -> str:
    if not answers.checked:
        return "not asked since it started"
    return answers.reason if answers.sanity == Sanity.BROKEN else ""
