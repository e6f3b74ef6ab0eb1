"""The Docker Engine and Compose, as this user reaches them."""

from lifecycle import engine
from lifecycle.host import Docker
from lifecycle.shell import Shell


def look(shell: Shell) -> Docker:
    """Versions of both, the images here, and the first thing that is wrong."""
    compose = shell.read("docker", "compose", "version", "--short")
    version, problem = engine.version()
    if not problem and compose.code:
        problem = f"docker compose is missing: {first_line(compose.errors)}"
    return Docker(
        engine=version,
        compose=compose.text.strip() if not compose.code else "",
        problem=problem,
        images=engine.images() if version else frozenset(),
    )


def first_line(text: str) -> str:
    """The first line of what a program complained."""
    return text.strip().split("\n", 1)[0]
