"""Whether the model fits this machine: asked before anything large is fetched or started."""

import shlex
from dataclasses import replace

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.errors import ModelUnavailable
from lifecycle.host import GIB, Gpu, Host
from lifecycle.model import Model
from lifecycle.models import figures, fit
from lifecycle.models.fit import Card, Plan, Wanted
from lifecycle.step import Step
from lifecycle.steps import amd, serve_arguments


def steps(backend: Backend, *, measured: int | None = None) -> list[Step]:
    """The server can start with this model, as far as that can be reckoned.

    Args:
        measured: bytes of overhead an earlier start like this one took.
    """

    def missing(now: Host) -> str:
        found = plan(backend, now, measured)
        return "" if found is None else shortage(backend, found)

    def told(now: Host) -> str:
        found = plan(backend, now, measured)
        return "" if found is None else summary(found)

    return [
        Step(
            name=f"{backend.model} fits",
            missing=missing,
            found=told,
            fix=f"See the sum and what would fit: inv plan --gpu {backend.name}\n"
            "To try all the same: inv up --force",
            failure=ModelUnavailable,
            phase="plan",
        )
    ]


def plan(backend: Backend, host: Host, measured: int | None = None) -> Plan | None:
    """The planner's answer; None where too little is known: the model's figures, or the card's.

    A running server of this backend holds memory that the next one will have: then only the whole
    card counts.
    """
    here = card(backend, host)
    known = model(backend, host)
    if known is None or here is None or not here.total:
        return None
    if host.server.alive:
        here = replace(here, free=_free_without(host) if here.gpu == "cpu" else None)
    version = serve_arguments.version(backend, host)
    return fit.plan(known, here, wanted(backend, version), measured=measured)


def model(backend: Backend, host: Host) -> Model | None:
    """The figures of the backend's model, as far as anybody knows them without asking."""
    return host.weights.model or figures.of_catalogue(backend.model, backend.get("REVISION"))


def shortage(backend: Backend, found: Plan) -> str:
    """Why a start would fail; "" when it would not, or not with a length that is ours to choose."""
    free = not backend.get("MAX_MODEL_LEN")
    if found.verdict == fit.FITS or (found.verdict == fit.FITS_WITH and free):
        return ""
    if found.blocked:
        return "\n".join(found.blocked)
    lacking = f"{found.missing / GIB:.1f} GiB are missing" if found.missing else "there is no room"
    longest = f"; up to {found.longest} tokens fit" if found.longest else ""
    # Without a wish the verdict is about the shortest context that is of any use.
    asked = f" for {backend.get('MAX_MODEL_LEN')} tokens" if not free else ""
    return "\n".join(
        (f"{lacking}{asked}{longest}", *(f"instead: {one.says}" for one in found.alternatives))
    )


def summary(found: Plan) -> str:
    """A plan that goes well, in a line."""
    held = f"{found.weights / GIB:.1f} GiB of weights"
    cache = f"{found.kv_bytes / GIB:.1f} GiB of KV cache for {found.tokens} tokens"
    return f"{held}, {cache}, {found.length} a request"


def with_length(backend: Backend, found: Plan | None) -> Backend:
    """The same backend with the context the plan chose, where nobody chose one.

    vLLM would take the model's own, and end at once where that does not fit.
    """
    if found is None or backend.get("MAX_MODEL_LEN") or found.verdict == fit.DOES_NOT_FIT:
        return backend
    return backend.with_setting("MAX_MODEL_LEN", str(found.length), "inv plan")


def notes(backend: Backend, found: Plan | None) -> list[str]:
    """What a person should know before the start: the context we choose, and cautions."""
    if found is None:
        return []
    chosen = with_length(backend, found).get("MAX_MODEL_LEN")
    said = [*found.cautions]
    if chosen and chosen != backend.get("MAX_MODEL_LEN"):
        said.insert(0, f"MAX_MODEL_LEN={chosen}: {_reason(found)} (inv plan shows the sum)")
    return said


def _reason(found: Plan) -> str:
    whole = found.verdict == fit.FITS
    return "all the model can do fits" if whole else "the longest context that fits"


def wanted(backend: Backend, version: str) -> Wanted:
    """What the backend's settings ask of the planner, those in `EXTRA_ARGS` too.

    Args:
        version: of vLLM; "" when unknown.
    """
    extra = _values(backend.get("EXTRA_ARGS"))
    return Wanted(
        length=int(backend.get("MAX_MODEL_LEN") or 0),
        utilization=float(backend.get("GPU_MEMORY_UTILIZATION") or 0),
        kv_gib=float(backend.get("KV_CACHE_GIB") or 0),
        kv_dtype=backend.get("KV_CACHE_DTYPE"),
        dtype=backend.get("DTYPE"),
        quantization=backend.get("QUANTIZATION"),
        requests=int(backend.get("MAX_NUM_SEQS") or 0),
        batched=_number(extra.get("--max-num-batched-tokens", "")),
        tensor=int(backend.get("TENSOR_PARALLEL") or 1),
        pipeline=_number(extra.get("--pipeline-parallel-size", extra.get("-pp", ""))) or 1,
        version=version,
        eager="--enforce-eager" in extra,
    )


def card(backend: Backend, host: Host) -> Card | None:
    """The card a server of this backend takes, and how many there are like it; None without one."""
    if backend.gpu == "cpu":
        return Card("cpu", host.memory.total, host.memory.available, name=host.cpu.model)
    some = cards(backend, host)
    if not some:
        return None
    best = max(some, key=lambda one: one.total)
    row = tables.cards.card("nvidia" if backend.gpu == "cuda" else "amd", best.name, best.arch)
    # Under WSL no program tells the memory of AMD cards; the table knows it.
    total = best.total or int((row.memory_gib if row else 0) * GIB)
    arch = best.arch or (row.arch if row else "")
    same = sum(one.name == best.name for one in some)
    return Card(backend.gpu, total, best.free or None, arch, best.name, same, wsl=host.os.wsl)


def cards(backend: Backend, host: Host) -> list[Gpu]:
    """The cards this backend may use: those of `DEVICES`, else all."""
    every = host.nvidia.gpus if backend.gpu == "cuda" else amd.cards(host)
    own = [one for one in every if not one.integrated]
    return [own[n] for n in backend.devices if n < len(own)] or own


def _free_without(host: Host) -> int:
    """RAM that can be had once the running server is gone."""
    return host.memory.available + host.server.memory


def _values(extra: str) -> dict[str, str]:
    """Flags and their values; "" for a flag without one."""
    found: dict[str, str] = {}
    flag = ""
    for word in shlex.split(extra):
        if word.startswith("-"):
            flag, _, value = word.partition("=")
            flag = flag.replace("_", "-")
            found[flag] = value
        elif flag:
            found[flag], flag = word, ""
    return found


def _number(text: str) -> int:
    """A count; 0 where vLLM will not understand it either."""
    return int(text) if text.isdecimal() else 0
