"""What vLLM is told, whatever it runs in: flags and environment."""

import re

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.host import Host
from lifecycle.runtimes import drain
from lifecycle.steps import cards, extra_arguments, images, known_issues
from lifecycle.steps.known_issues import Applied
from lifecycle.tables.serving import CpuSettings


def flags(backend: Backend, host: Host) -> tuple[str, ...]:
    """Flags after model, host and port."""
    quiet = tables.gateway.quiet().flags(version(backend, host))
    name = ("--served-model-name", backend.served_name, *quiet, *_drain(backend, host))
    against = tuple(
        word for one in _met(backend, host) for pair in one.flags.items() for word in pair
    )
    extra = extra_arguments.told(backend, host, version(backend, host))
    own = (*backend.vllm_flags(), *extra)
    if backend.gpu != "cpu":
        return (*name, *against, *own)
    tuned = tuple(_cpu(backend, host).flags)
    # Always explicit: vLLM would otherwise take 92 % of the RAM.
    cache = ("--kv-cache-memory-bytes", str(backend.kv_cache_bytes))
    return (*name, *against, *own, *cache, *tuned)


def environment(backend: Backend, host: Host) -> dict[str, str]:
    """Variables of the server, without the key."""
    ours = {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }
    for one in _met(backend, host):
        ours |= one.environment
    return ours | (_cores(backend, host) if backend.gpu == "cpu" else _cards(backend, host))


def notes(backend: Backend, host: Host) -> list[str]:
    """The known issues this start meets, a line each; `up` prints them before it starts."""
    return known_issues.lines(backend, host, version(backend, host))


def version(backend: Backend, host: Host) -> str:
    """The version of vLLM that will run; "" when an image of the user's does not tell."""
    if backend.runtime == "venv":
        return tables.serving.engine(backend.gpu).version
    row = images.row(backend, host)
    if row:
        return row.vllm
    said = re.search(r"(?:vllm[_-]v?|:v)(\d+\.\d+\.\d+)", backend.get("IMAGE"))
    return said[1] if said else ""


def drains(backend: Backend, host: Host) -> str:
    """Seconds that the server will give requests in flight; "" when its vLLM cannot."""
    able = tables.serving.knows("--shutdown-timeout", version(backend, host))
    return backend.get(drain.KEY) if able else ""


def stop_seconds(backend: Backend, host: Host) -> int:
    """Within which it has ended once it is told to, whatever it is doing."""
    return drain.stop_seconds(int(drains(backend, host) or 0))


def _drain(backend: Backend, host: Host) -> tuple[str, ...]:
    seconds = drains(backend, host)
    return ("--shutdown-timeout", seconds) if seconds else ()


def _met(backend: Backend, host: Host) -> list[Applied]:
    return known_issues.applied(backend, host, version(backend, host))


def _cards(backend: Backend, host: Host) -> dict[str, str]:
    """The cards it may see, as the vendor's runtime is told of them."""
    numbers = ",".join(map(str, cards.visible(backend, host)))
    if not numbers:
        return {}
    if backend.gpu == "rocm":
        return {"HIP_VISIBLE_DEVICES": numbers}
    # In nvidia-smi's order: CUDA's own begins with the fastest card.
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": numbers}


def _cores(backend: Backend, host: Host) -> dict[str, str]:
    return dict(_cpu(backend, host).env)


def _cpu(backend: Backend, host: Host) -> CpuSettings:
    chosen, cores = backend.get("CPU_SETTINGS"), max(1, len(host.cpu.allowed))
    rows = tables.serving.cpu_settings()
    named = next((row for row in rows if row.name == chosen), None)
    if chosen == "default" or named:
        return named or CpuSettings(chosen, max_cores=0, env={}, flags=[], why="vLLM's own")
    return next(row for row in rows if cores <= row.max_cores)
