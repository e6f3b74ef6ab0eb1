"""Steps about the processor and the memory of a CPU server."""

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.host import GIB, Host
from lifecycle.step import Step
from lifecycle.steps import fit
from lifecycle.tables.serving import CpuSupport

VIRTUAL = "In a virtual machine set the CPU type to 'host', so that it passes them on."


def steps(backend: Backend) -> list[Step]:
    """The processor can run vLLM, and the RAM holds model and cache."""
    return [
        Step(
            id="cpu.required",
            name="the processor has the instruction sets vLLM needs",
            missing=lambda host: _lacks(host, _support(host).required),
            fix=f"vLLM cannot run here: any x86-64 since 2013 has AVX2. {VIRTUAL}",
            found=lambda host: host.cpu.model,
        ),
        Step(
            id="cpu.recommended",
            name="the processor has the instruction sets that make vLLM fast",
            missing=lambda host: _lacks(host, _support(host).recommended),
            fix=f"It works, slowly. {VIRTUAL}",
            advice=True,
            found=lambda host: ", ".join(_support(host).recommended),
        ),
        _bfloat16(backend),
        Step(
            id="cpu.memory",
            name="there is RAM for the model and its cache",
            missing=lambda host: _memory(backend, host),
            fix="Stop other programs, lower KV_CACHE_GIB, or take a smaller MODEL.",
            found=lambda host: (
                f"{host.memory.available / GIB:.1f} of {host.memory.total / GIB:.1f} GiB are free"
            ),
        ),
    ]


def _bfloat16(backend: Backend) -> Step:
    def missing(host: Host) -> str:
        known = fit.model(backend, host)
        dtype = backend.get("DTYPE") or "auto"
        computed = known.architecture.dtype if known and dtype == "auto" else dtype
        native = set(_support(host).bfloat16)
        if computed != "bfloat16" or not host.cpu.flags or native & host.cpu.flags:
            return ""
        return f"DTYPE={dtype} computes in bfloat16, which this processor emulates: it is slow"

    return Step(
        id="cpu.bfloat16",
        name="the processor computes the model's type itself",
        missing=missing,
        fix=f"If the RAM holds twice the weights, put DTYPE=float32 into {backend.model_file}. "
        f"inv tune --gpu {backend.name} measures both.",
        advice=True,
    )


def beside_gpu() -> Step:
    """The processor beside a card can run the images at all."""
    return Step(
        id="cpu.for_images",
        name="the processor has the instruction sets the GPU images need",
        missing=lambda host: _lacks(host, _support(host).beside_gpu),
        fix=VIRTUAL,
        found=lambda host: host.cpu.model if host.cpu.flags else "they could not be read",
    )


def memory_need(backend: Backend, host: Host) -> int:
    """Bytes: weights, KV cache, and what the processes take besides."""
    beside = int(tables.serving.engine("cpu").ram_gib * GIB)
    return host.weights.size + backend.kv_cache_bytes + beside


def _support(host: Host) -> CpuSupport:
    return tables.serving.cpu_support(host.os.machine)


def _lacks(host: Host, wanted: list[str]) -> str:
    if not host.cpu.flags:
        return ""  # Unreadable is not absent; vLLM itself says so at once.
    lacking = sorted(set(wanted) - host.cpu.flags)
    return f"the processor is missing {', '.join(lacking)}" if lacking else ""


def _memory(backend: Backend, host: Host) -> str:
    if fit.model(backend, host):
        return ""  # The planner knows better.
    need = memory_need(backend, host)
    if host.server.alive or not host.memory.total or host.memory.available >= need:
        return ""
    beside = tables.serving.engine("cpu").ram_gib
    model = f"model {host.weights.size / GIB:.1f}, " if host.weights.size else ""
    later = "" if model else ", without the model, whose size is not known yet"
    share = "\nWSL2 gives what memory= in %UserProfile%\\.wslconfig says" if host.os.wsl else ""
    return (
        f"{need / GIB:.1f} GiB of RAM are needed ({model}KV cache "
        f"{backend.kv_cache_bytes / GIB:.1f}, processes {beside:.1f}){later}; "
        f"{host.memory.available / GIB:.1f} of {host.memory.total / GIB:.1f} GiB are free{share}"
    )
