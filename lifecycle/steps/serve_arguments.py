"""What vLLM is told, whatever it runs in: flags and environment."""

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.host import Host
from lifecycle.tables.serving import CpuSettings


def flags(backend: Backend, host: Host) -> tuple[str, ...]:
    """Flags after model, host and port."""
    ours = ("--served-model-name", backend.served_name, *backend.vllm_flags())
    if backend.gpu != "cpu":
        return ours
    tuned = tuple(_cpu(backend, host).flags)
    # Always explicit: vLLM would otherwise take 92 % of the RAM.
    return (*ours, "--kv-cache-memory-bytes", str(backend.kv_cache_bytes), *tuned)


def environment(backend: Backend, host: Host) -> dict[str, str]:
    """Variables of the server, without the key."""
    ours = {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }
    if backend.gpu != "cpu":
        return ours
    first = str(host.cpu.allowed[0] if host.cpu.allowed else 0)
    return {
        **ours,
        **{k: v.replace("{first}", first) for k, v in _cpu(backend, host).env.items()},
    }


def _cpu(backend: Backend, host: Host) -> CpuSettings:
    if backend.get("CPU_SETTINGS") == "default":
        return CpuSettings(max_cores=0, env={}, flags=[], why="vLLM's own")
    return tables.serving.cpu_settings(max(1, len(host.cpu.allowed)))
