"""The Docker Engine and Compose, as this user reaches them."""

from lifecycle import engine
from lifecycle.host import Docker
from lifecycle.machine import Machine


def look(machine: Machine) -> Docker:
    """Versions of both, the images here, and the first thing that is wrong."""
    version, problem = machine.ask("docker.version", ("", ""), engine.version)
    compose, complaint = _compose(machine)
    return Docker(
        engine=version,
        compose=compose,
        problem=problem or complaint,
        images=machine.ask("docker.images", frozenset[str](), engine.images)
        if version
        else frozenset(),
    )


def _compose(machine: Machine) -> tuple[str, str]:
    """Compose's version, and why there is none; one of the two is ""."""
    # Kept: asking costs 0.15 s, and a start looks several times.
    answer = machine.run("docker", "compose", "version", "--short", keep=True)
    if answer.code:
        return "", f"docker compose is missing: {first_line(answer.errors)}"
    return answer.text.strip(), ""


def first_line(text: str) -> str:
    """The first line of what a program complained."""
    return text.strip().split("\n", 1)[0]
