"""Whether the model fits this machine: asked before anything large is fetched or started."""

from dataclasses import replace
from typing import Any

from lifecycle import tables
from lifecycle.arguments import Arguments, memory
from lifecycle.backend import Backend
from lifecycle.errors import ModelUnavailable
from lifecycle.host import GIB, Cpu, Gpu, Host
from lifecycle.model import Model
from lifecycle.models import figures
from lifecycle.models.figures import Loaded
from lifecycle.planner import fit, length
from lifecycle.planner.fit import Card, Plan, Wanted
from lifecycle.planner.lora import Lora, reckoned
from lifecycle.step import Step, not_read
from lifecycle.steps import cards, extra_arguments, serve_arguments


def steps(backend: Backend, *, measured: int | None = None) -> list[Step]:
    """The server can start with this model, as far as that can be reckoned.

    Args:
        measured: bytes of overhead an earlier start like this one took.
    """

    def missing(now: Host) -> str:
        found = plan(backend, now, measured)
        why = "" if found is None else shortage(backend, found)
        if why and backend.gpu == "cpu" and now.os.wsl:
            why += "\nWSL2 gives what memory= in %UserProfile%\\.wslconfig says"
        return why

    def told(now: Host) -> str:
        found = plan(backend, now, measured)
        return summary(found) if found else _unread(backend, now)

    return [
        Step(
            id="model.fits",
            name=f"{backend.model} fits",
            missing=missing,
            found=told,
            fix=f"The sum: inv plan --gpu {backend.name} --model {backend.model}; what fits here: "
            "inv models\nTo try all the same, add --force.",
            failure=ModelUnavailable,
            phase="plan",
            unread=not_read("backend"),
        )
    ]


def _unread(backend: Backend, now: Host) -> str:
    """That nothing was reckoned of a model that is there or on a card that answers, and why."""
    if why := now.weights.unread:
        return f"not reckoned, and the length is left to vLLM: {why}"
    used = card(backend, now)
    return f"not reckoned: {used.name} does not tell its memory" if used and not used.total else ""


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
        here = replace(here, free=_free_without(host) if here.gpu == "cpu" else None, ours=True)
    version = serve_arguments.version(backend, host)
    found = fit.plan(known, here, wanted(backend, version, host, known), measured=measured)
    return replace(found, cautions=(*found.cautions, *cautions(backend, host)))


def cautions(backend: Backend, host: Host) -> list[str]:
    """What to know of the cards that the planner's own cautions do not tell."""
    return list(filter(None, [cards.caution(backend, host)]))


def model(backend: Backend, host: Host) -> Model | None:
    """The figures of the backend's model, as far as anybody knows them without asking."""
    how = Loaded(backend.get("DTYPE"), backend.get("QUANTIZATION"))
    known = host.weights.model
    return known or figures.of_catalogue(backend.model, how, backend.get("REVISION"))


def shortage(backend: Backend, found: Plan) -> str:
    """Why a start would fail; "" when not, or not with settings that are ours to choose."""
    free = not backend.get("MAX_MODEL_LEN")
    ours = not any(backend.get(key) for key in found.settings)
    if found.verdict in {fit.FITS, fit.FITS_IF} or (found.verdict == fit.FITS_WITH and ours):
        return ""
    if found.blocked:
        return "\n".join(found.blocked)
    seats = found.settings.get("MAX_NUM_SEQS")
    if seats and "MAX_MODEL_LEN" not in found.settings:
        return f"MAX_NUM_SEQS={backend.get('MAX_NUM_SEQS')} is too many: {seats} requests fit"
    if found.shortage:
        return "\n".join((found.shortage, *_instead(found)))
    lacking = f"{found.missing / GIB:.1f} GiB are missing" if found.missing else "there is no room"
    longest = f"; up to {found.longest} tokens fit" if found.longest else ""
    # Without a wish the verdict is about the shortest context that is of any use.
    asked = f" for {backend.get('MAX_MODEL_LEN')} tokens" if not free else ""
    return "\n".join((f"{lacking}{asked}{longest}", *_instead(found)))


def _instead(found: Plan) -> list[str]:
    return [f"instead: {one.says}" for one in found.alternatives]


def summary(found: Plan) -> str:
    """A plan that goes well, in a line."""
    held = f"{found.weights / GIB:.1f} GiB of weights"
    cache = f"{found.kv_bytes / GIB:.1f} GiB of KV cache for {found.tokens} tokens"
    trusted = "".join(f"\nif {one}" for one in found.conditions)
    return f"{held}, {cache}, {found.length} a request{trusted}"


def with_length(backend: Backend, found: Plan | None) -> Backend:
    """The same backend with the context the plan chose, where nobody chose one, and as many
    requests at once as there is room for.

    vLLM would take the model's own length, and its own number of requests, and end at once where
    that does not fit.
    """
    if found is None or found.verdict == fit.DOES_NOT_FIT:
        return backend
    # Where the model's files name no length, ours would be a guess that looks like a fact.
    length = {"MAX_MODEL_LEN": str(found.length)} if found.derived else {}
    told = {**length, **found.settings}
    for key, value in told.items():
        if not backend.get(key):
            backend = backend.with_setting(key, value, "inv plan")
    return backend


def notes(backend: Backend, found: Plan | None) -> list[str]:
    """What a person should know before the start: the context we choose, and cautions."""
    if found is None:
        return []
    told, said = with_length(backend, found), []
    length, seats = (
        told.get(key) if told.get(key) != backend.get(key) else ""
        for key in ("MAX_MODEL_LEN", "MAX_NUM_SEQS")
    )
    if length:
        said.append(f"MAX_MODEL_LEN={length}: {_reason(found)} (inv plan shows the sum)")
    if seats:
        said.append(f"MAX_NUM_SEQS={seats}: as many requests at once as there is room for")
    if not found.derived and not backend.get("MAX_MODEL_LEN"):
        said.append(fit.UNNAMED)
    if found.unreckoned:
        said.append(f"not reckoned: {', '.join(found.unreckoned)}")
    return [*said, *(f"it starts if {one}" for one in found.conditions), *found.cautions]


def _reason(found: Plan) -> str:
    cut = "MAX_MODEL_LEN" in found.settings
    return "the longest context that fits" if cut else "all the model can do fits"


def wanted(
    backend: Backend, version: str, host: Host | None = None, model: Model | None = None
) -> Wanted:
    """What the backend's settings ask of the planner, those in `EXTRA_ARGS` too.

    Args:
        version: of vLLM; "" when unknown.
        host: knows the models that extra arguments name.
        model: what is planned; decides whether its adapters' room can be reckoned.
    """
    extra = extra_arguments.read(backend, version)
    said = memory.speculation(extra)
    draft = _draft(said, host)
    overrides = extra.held("--hf-overrides")
    return Wanted(
        length=int(backend.get("MAX_MODEL_LEN") or 0),
        utilization=float(backend.get("GPU_MEMORY_UTILIZATION") or 0),
        kv_gib=float(backend.get("KV_CACHE_GIB") or 0),
        kv_dtype=backend.get("KV_CACHE_DTYPE") or str(extra.get("--kv-cache-dtype", "")),
        dtype=backend.get("DTYPE"),
        quantization=backend.get("QUANTIZATION"),
        requests=int(backend.get("MAX_NUM_SEQS") or 0),
        batched=extra.number("--max-num-batched-tokens"),
        tensor=int(backend.get("TENSOR_PARALLEL") or extra.number("--tensor-parallel-size") or 1),
        pipeline=extra.number("--pipeline-parallel-size") or 1,
        data=_copies(extra),
        kv_bytes=extra.number("--kv-cache-memory-bytes"),
        version=version,
        eager=memory.eager(extra),
        speculated=int(float(said.get("num_speculative_tokens") or 0)),  # pydantic takes "2.0"
        method=memory.method(said),
        draft=draft,
        lora=_lora(extra),
        offload=int(extra.amount("--cpu-offload-gb") * GIB),
        blocks=extra.number("--num-gpu-blocks-override"),
        block=extra.number("--block-size"),
        blind=memory.blind(extra),
        overlap=extra.get("--async-scheduling", True),
        prefixes=extra.get("--enable-prefix-caching", True),
        state_dtype=str(extra.get("--mamba-ssm-cache-dtype", "")),
        overrides=overrides,
        unreckoned=_unreckoned(extra, model, draft),
        deprecated=bool(extra.get("--allow-deprecated-quantization")),
    )


def _copies(extra: Arguments) -> int:
    """Copies of the model on this machine."""
    return extra.number("--data-parallel-size-local") or extra.number("--data-parallel-size") or 1


def _draft(said: dict[str, Any], host: Host | None) -> Model | None:
    """The model that guesses ahead, as far as its figures are known."""
    seen = host.companions.get(str(said.get("model"))) if host else None
    return seen.model if seen else None


def _lora(extra: Arguments) -> Lora | None:
    if not extra.get("--enable-lora"):
        return None
    return Lora(
        extra.number("--max-loras") or 1,
        extra.number("--max-lora-rank") or Lora.rank,
        sharded=bool(extra.get("--fully-sharded-loras")),
    )


def _unreckoned(extra: Arguments, model: Model | None, draft: Model | None) -> tuple[str, ...]:
    """Flags that take or free memory, nobody knows how much."""
    found, said = memory.unreckoned(extra), memory.speculation(extra)
    if said and draft is None and memory.method(said) not in {memory.OWN, *memory.WITHOUT_WEIGHTS}:
        found.append("--speculative-config")
    overrides = extra.get("--hf-overrides")
    if overrides and not (isinstance(overrides, dict) and length.touches(overrides)):
        found.append("--hf-overrides")
    if _lora(extra) and model is not None and not reckoned(model.architecture):
        found.append("--enable-lora")
    return tuple(dict.fromkeys(found))


def card(backend: Backend, host: Host) -> Card | None:
    """The card a server of this backend computes on, and how many there are of no less memory;
    None without one.

    Of several that share the model the smallest counts, with the least of what any of them can.
    """
    if backend.gpu == "cpu":
        memory = host.memory
        return Card("cpu", memory.total, memory.available, kind(host.cpu), host.cpu.model)
    mine = cards.of(backend, host)
    used = [_read(backend, gpu) for gpu in mine.used]
    if not used:
        return None
    least = min(used, key=lambda gpu: gpu.total)
    free = min((gpu.free for gpu in used if gpu.free is not None), default=None)
    arch = min((gpu.arch for gpu in used), key=tables.versions.numbers)
    # What differs by little is as good: RTX A5000 and 3090 have 24564 and 24576 MiB.
    enough = (1 - cards.NEARLY) * least.total
    count = sum(_read(backend, gpu).total >= enough for gpu in mine.allowed)
    return Card(
        backend.gpu, least.total, free, arch, least.name, count, wsl=host.os.wsl,
        ram=host.memory.available,
    )  # fmt: skip


def _read(backend: Backend, gpu: Gpu) -> Gpu:
    """A card with what our table knows of it: under WSL no program tells the memory of AMD's."""
    row = tables.cards.card("nvidia" if backend.gpu == "cuda" else "amd", gpu.name, gpu.arch)
    if row is None:
        return gpu
    return replace(gpu, total=gpu.total or int(row.memory_gib * GIB), arch=gpu.arch or row.arch)


def kind(cpu: Cpu) -> str:
    """What vLLM's kernels ask of a CPU, in the words of `data/fit.toml`; "" if unknown."""
    kinds = {"amx_tile": "amx", "avx512f": "avx512", "avx2": "avx2", "asimd": "aarch64"}
    return next((found for flag, found in kinds.items() if flag in cpu.flags), "")


def _free_without(host: Host) -> int:
    """RAM that can be had once the running server is gone."""
    return host.memory.available + host.server.memory
