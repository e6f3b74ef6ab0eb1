"""Knowledge that ages, as typed rows: one module a subject, one look-up a question."""

from lifecycle.tables import (
    cards,
    catalogue,
    cuda,
    docker,
    families,
    fit,
    gateway,
    issues,
    known_answers,
    pull,
    quantizations,
    rocm,
    serving,
    tailscale,
    versions,
    wsl,
)

__all__ = [
    "cards",
    "catalogue",
    "cuda",
    "docker",
    "families",
    "fit",
    "gateway",
    "issues",
    "known_answers",
    "pull",
    "quantizations",
    "rocm",
    "serving",
    "tailscale",
    "versions",
    "wsl",
]
