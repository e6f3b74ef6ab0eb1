"""Knowledge that ages, as typed rows: one module a subject, one look-up a question."""

from lifecycle.tables import (
    cards,
    cuda,
    docker,
    issues,
    pull,
    rocm,
    serving,
    tailscale,
    versions,
    wsl,
)

__all__ = [
    "cards",
    "cuda",
    "docker",
    "issues",
    "pull",
    "rocm",
    "serving",
    "tailscale",
    "versions",
    "wsl",
]
