"""The rows of the benchmark and what each should reach: the one table of goals."""

from collections.abc import Callable
from dataclasses import dataclass

MIB = 1024**2


@dataclass(frozen=True)
class Goal:
    """One row.

    Args:
        unit: of both numbers; times are kept in seconds, memory in bytes.
        compare: makes the number of the column "ratio" out of ours and the reference.
        sign: how that number should stand to `bound`.
        bound: None for a row that only informs.
    """

    what: str
    unit: str
    compare: Callable[[float, float], float]
    sign: str = ""
    bound: float | None = None

    def met(self, number: float) -> bool:
        """Whether a number is as good as it should be."""
        assert self.bound is not None
        return number >= self.bound if self.sign == "≥" else number <= self.bound


def over(ours: float, reference: float) -> float:
    return ours / reference


def under(ours: float, reference: float) -> float:
    return reference / ours


def added(ours: float, reference: float) -> float:
    return ours - reference


def alone(ours: float, _reference: float = 0) -> float:
    return ours


GOALS = {
    "list": Goal("inv --list : Invoke, empty tasks file", "ms", over, "≤", 1.15),
    "wrapper": Goal("./inv --list - .venv/bin/inv --list", "ms", added, "≤", 0.060),
    "seeding": Goal("seeding, verified : huggingface_hub", "MB/s", over, "≥", 0.95),
    "seeding-memory": Goal("peak memory, seeding : huggingface_hub", "MiB", over),
    "seeding-flat": Goal("peak memory, 1.2 GB file : 0.1 GB", "MiB", over, "≤", 1.15),
    "seeding-again": Goal("requests of a second transfer", "", alone, "≤", 0),
    "up-venv": Goal("inv up : the server by hand, venv", "s", over, "≤", 1.10),
    "second-up-venv": Goal("second inv up, venv", "s", alone, "<", 1.5),
    "memory-venv": Goal("memory, inv up : by hand, venv", "MiB", over),
    "up-docker": Goal("inv up : docker run by hand", "s", over, "≤", 1.10),
    "second-up-docker": Goal("second inv up, docker", "s", alone, "<", 1.5),
    "memory-docker": Goal("memory, inv up : by hand, docker", "MiB", over),
    "tuned-start": Goal("start, vLLM's defaults : tuned", "s", under, "≥", 1.2),
    "tuned-speed": Goal("8 streams, tuned : vLLM's defaults", "tok/s", over, "≥", 1.2),
    "tuned-start-eager": Goal("start, defaults + --enforce-eager : tuned", "s", under, "≥", 1.2),
    "tuned-speed-eager": Goal("8 streams, tuned : defaults + eager", "tok/s", over, "≥", 1.2),
    "gateway-first": Goal("first token, gateway - direct", "µs", added, "≤", 0.001),
    "gateway-elsewhere": Goal("first token, ENDPOINT - here", "µs", added),
    "gateway-1": Goal("1 client, gateway : direct", "req/s", over),
    "gateway-16": Goal("16 clients, gateway : direct", "req/s", over),
    "gateway-64": Goal("64 clients, gateway : direct", "req/s", over),
    "gateway-cpu": Goal("gateway's CPU time a request", "µs", alone),
    "gateway-gap": Goal("gap in a stream, gateway : direct", "ms", over),
    "gateway-widest": Goal("widest gap, gateway : direct", "ms", over),
    "planner-bytes": Goal("plan: KV bytes a token, worst error", "%", alone, "≤", 0.01),
    "planner-weights": Goal("plan: weights, worst error", "%", alone, "≤", 0.03),
    "planner-tokens": Goal("plan: KV tokens, median error", "%", alone, "≤", 0.05),
    "planner-worst": Goal("plan: KV tokens, worst error", "%", alone, "≤", 0.15),
    "planner-false-fits": Goal('plan: "fits" for a failed start', "", alone, "≤", 0),
}

SCALES = {
    "µs": 1e6, "ms": 1000.0, "s": 1.0, "MiB": 1 / MIB, "tok/s": 1.0, "req/s": 1.0, "%": 100.0,
    "": 1.0, "MB/s": 1e-6,
}  # fmt: skip
