"""What numbers say: Traefik's own of the backends, and a vLLM's of itself (Prometheus' text)."""

import re

from lifecycle import http

UP = re.compile(
    r'^traefik_service_server_up\{service="backend-([^"@]+)@file",[^}]*\} (\S+)$', re.MULTILINE
)
STARTED = re.compile(r"^process_start_time_seconds (\S+)$", re.MULTILINE)


def up(text: str) -> dict[str, bool]:
    """Whether each backend answered Traefik's last look at it; those not looked at yet are out."""
    return {name: float(value) == 1 for name, value in UP.findall(text)}


def started(text: str) -> float:
    """When a server's process began, seconds since the epoch; 0 when it does not tell."""
    found = STARTED.search(text)
    return float(found[1]) if found else 0.0


def load(text: str) -> int | None:
    """Requests a vLLM computes or keeps waiting; None when it does not tell."""
    counts = [float(count) for count in http.UNFINISHED.findall(text)]
    return round(sum(counts)) if counts else None
