"""The Docker Engine and Compose, as this user reaches them."""

from lifecycle import engine
from lifecycle.host import Docker
from lifecycle.shell import Shell


def look(shell: Shell) -> Docker:
    """Versions of both, the images here, and the first thing that is wrong."""
    version, problem = engine.version()
    compose, complaint = _compose(shell)
    return Docker(
        engine=version,
        compose=compose,
        problem=problem or complaint,
        images=engine.images() if version else frozenset(),
    )


_found: list[str] = []
"""Compose's version, once it was there: asking costs 0.15 s, and a start looks several times."""


def _compose(shell: Shell) -> tuple[str, str]:
    """Compose's version, and why there is none; one of the two is ""."""
    if not _found:
        answer = shell.read("docker", "compose", "version", "--short")
        if answer.code:
            return "", f"docker compose is missing: {first_line(answer.errors)}"
        _found.append(answer.text.strip())
    return _found[0], ""


def first_line(text: str) -> str:
    """The first line of what a program complained."""
    return text.strip().split("\n", 1)[0]
