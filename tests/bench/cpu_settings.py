"""The CPU settings we ship against vLLM's own: time to ready, and tokens a second."""

from tests.bench import by_hand, load
from tests.bench.results import Rows
from tests.bench.workplace import Workplace

Lists = list[list[float]]

DEFAULT = {"CPU_SETTINGS": "default"}
EAGER = {"CPU_SETTINGS": "default", "EXTRA_ARGS": "--enforce-eager"}
"""vLLM's own but for torch.compile, whose start alone takes longer than all the rest."""


def measure(place: Workplace, rows: Rows) -> None:
    place.prepare("venv")
    for number in range(1, place.rounds + 1):
        label = f"round {number}/{place.rounds}"
        ours = _samples(rows, "tuned-start"), _samples(rows, "tuned-speed")
        _one(place, f"{label}: CPU_SETTINGS=tuned", {"CPU_SETTINGS": "tuned"}, *ours)
        if "tuned-start" in rows or "tuned-speed" in rows:
            what = f"{label}: CPU_SETTINGS=default (compiles for minutes)"
            _one(place, what, DEFAULT, *_references(rows, ""))
        if "tuned-start-eager" in rows or "tuned-speed-eager" in rows:
            what = f"{label}: default with --enforce-eager"
            _one(place, what, EAGER, *_references(rows, "-eager"))


def _one(
    place: Workplace, what: str, settings: dict[str, str], starts: Lists, speeds: Lists
) -> None:
    place.say(f"{what}, then {load.STREAMS} streams")
    backend = place.backend(RUNTIME="venv", **settings)
    with by_hand.in_venv(place, backend) as started:
        for samples in starts:
            samples.append(started.seconds)
        if speeds:
            speed = load.tokens_per_second(backend)
            for samples in speeds:
                samples.append(speed)


def _samples(rows: Rows, prefix: str) -> Lists:
    """Ours is the same in the rows of both references."""
    return [row.ours for name, row in rows.items() if name.startswith(prefix)]


def _references(rows: Rows, suffix: str) -> tuple[Lists, Lists]:
    starts, speeds = (
        [rows[name].reference] if name in rows else []
        for name in (f"tuned-start{suffix}", f"tuned-speed{suffix}")
    )
    return starts, speeds
