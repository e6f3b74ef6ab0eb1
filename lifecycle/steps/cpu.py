"""Steps about the processor and the memory of a CPU server."""

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.host import GIB, Host
from lifecycle.step import Step


def steps(backend: Backend) -> list[Step]:
    """The processor can run vLLM, and the RAM holds model and cache."""
    return [
        Step(
            name="the processor has the instruction sets vLLM needs",
            missing=_flags,
            fix="vLLM cannot run here: use another machine (any x86-64 since 2013 has AVX2); in "
            "a virtual machine set the CPU type to 'host'.",
        ),
        Step(
            name="there is RAM for the model and its cache",
            missing=lambda host: _memory(backend, host),
            fix="Stop other programs, lower KV_CACHE_GIB, or take a smaller MODEL. Under WSL2 "
            "raise memory= in %UserProfile%\\.wslconfig.",
        ),
    ]


def memory_need(backend: Backend, host: Host) -> int:
    """Bytes: weights, KV cache, and what the processes take besides."""
    beside = int(tables.engine("cpu").ram_gib * GIB)
    return host.weights.size + backend.kv_cache_bytes + beside


def _flags(host: Host) -> str:
    if not host.cpu.flags:
        return ""  # Unreadable is not absent; vLLM itself says so at once.
    lacking = set(tables.cpu_support(host.os.machine).required) - host.cpu.flags
    return f"the processor lacks {', '.join(sorted(lacking))}" if lacking else ""


def _memory(backend: Backend, host: Host) -> str:
    need = memory_need(backend, host)
    if host.server.alive or not host.memory.total or host.memory.available >= need:
        return ""
    return (
        f"{need / GIB:.1f} GiB of RAM are needed (model {host.weights.size / GIB:.1f}, KV cache "
        f"{backend.kv_cache_bytes / GIB:.1f}, processes {tables.engine('cpu').ram_gib:.1f}), "
        f"{host.memory.available / GIB:.1f} of {host.memory.total / GIB:.1f} GiB are free"
    )
