"""`inv up` against the same server by hand, in one runtime: start, second `up`, memory."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from lifecycle.backend import Backend
from tests.bench import by_hand
from tests.bench.by_hand import Started
from tests.bench.results import Rows, Skipped
from tests.bench.workplace import Workplace

IMAGE = "vllm-cpu-local:0.32.0"
SECOND_UPS = 3
"""In each round; they are short."""

Reference = Callable[[Workplace, Backend], AbstractContextManager[Started]]


def in_venv(place: Workplace, rows: Rows) -> None:
    _rounds(place, rows, "venv", by_hand.in_venv)


def in_docker(place: Workplace, rows: Rows) -> None:
    # The same image on both sides, whatever other images this machine has.
    place.checkout.env["IMAGE"] = IMAGE
    docker = place.look(place.backend(RUNTIME="docker")).docker
    if docker.problem:
        raise Skipped(docker.problem)
    if IMAGE not in docker.images:
        raise Skipped(f"the image {IMAGE} is not here: nox -s local-image")
    _rounds(place, rows, "docker", by_hand.in_docker)


def _rounds(place: Workplace, rows: Rows, runtime: str, reference: Reference) -> None:
    place.prepare(runtime)
    for number in range(1, place.rounds + 1):
        label = f"round {number}/{place.rounds}"
        _ours(place, rows, runtime, label)
        if f"up-{runtime}" in rows or f"memory-{runtime}" in rows:
            _by_hand(place, rows, runtime, reference, label)


def _ours(place: Workplace, rows: Rows, runtime: str, label: str) -> None:
    place.say(f"{label}: inv up, {runtime}")
    seconds = place.up(runtime)
    if f"up-{runtime}" in rows:
        rows[f"up-{runtime}"].ours.append(seconds)
    if f"memory-{runtime}" in rows:
        _settle()
        memory = place.checkout.status()["memory_bytes"]
        rows[f"memory-{runtime}"].ours.append(memory)
    if f"second-up-{runtime}" in rows:
        place.say(f"{label}: second inv up, {runtime}")
        rows[f"second-up-{runtime}"].ours += [place.up(runtime) for _ in range(SECOND_UPS)]
    place.down()


def _by_hand(place: Workplace, rows: Rows, runtime: str, reference: Reference, label: str) -> None:
    place.say(f"{label}: the same server by hand, {runtime}")
    with reference(place, place.backend(RUNTIME=runtime)) as started:
        if f"up-{runtime}" in rows:
            rows[f"up-{runtime}"].reference.append(started.seconds)
        if f"memory-{runtime}" in rows:
            _settle()
            rows[f"memory-{runtime}"].reference.append(started.memory)


def _settle() -> None:
    """Both sides are looked at equally long after their first answer."""
    time.sleep(1)
