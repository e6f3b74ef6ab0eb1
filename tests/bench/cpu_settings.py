"""The CPU settings we ship against vLLM's own: time to ready, and tokens a second."""

from lifecycle.backend import Backend
from tests.bench import by_hand, load
from tests.bench.results import Rows
from tests.bench.workplace import Workplace

EAGER = {"CPU_SETTINGS": "default", "EXTRA_ARGS": "--enforce-eager"}
"""vLLM's own but for torch.compile, whose start alone takes longer than all the rest."""


def measure(place: Workplace, rows: Rows) -> None:
    place.prepare("venv")
    for number in range(1, place.rounds + 1):
        label = f"round {number}/{place.rounds}"
        place.say(f"{label}: CPU_SETTINGS=tuned, then {load.STREAMS} streams")
        seconds, speed = _one(place, place.backend(RUNTIME="venv", CPU_SETTINGS="tuned"))
        for name in rows:
            rows[name].ours.append(seconds if "start" in name else speed)
        if {"tuned-start", "tuned-speed"} & rows.keys():
            place.say(f"{label}: CPU_SETTINGS=default (compiles), then {load.STREAMS} streams")
            backend = place.backend(RUNTIME="venv", CPU_SETTINGS="default")
            _reference(rows, "", *_one(place, backend))
        if {"tuned-start-eager", "tuned-speed-eager"} & rows.keys():
            place.say(f"{label}: default with --enforce-eager, then {load.STREAMS} streams")
            _reference(rows, "-eager", *_one(place, place.backend(RUNTIME="venv", **EAGER)))


def _one(place: Workplace, backend: Backend) -> tuple[float, float]:
    with by_hand.in_venv(place, backend) as started:
        return started.seconds, load.tokens_per_second(backend)


def _reference(rows: Rows, suffix: str, seconds: float, speed: float) -> None:
    for name, sample in ((f"tuned-start{suffix}", seconds), (f"tuned-speed{suffix}", speed)):
        if name in rows:
            rows[name].reference.append(sample)
