"""Steps about the operating system: something vLLM runs on."""

from lifecycle.host import Host
from lifecycle.step import Step


def steps(host: Host) -> list[Step]:
    """Linux, or the way into it."""
    return [
        Step(
            id="system.linux",
            name="the system is Linux or WSL2",
            missing=lambda now: "" if now.os.system == "linux" else f"this is {now.os.name}",
            fix=_inside(host) if host.os.system == "win32" else "vLLM servers run on Linux only.",
            found=lambda now: f"{now.os.name}, Python {now.os.python}",
        ),
    ]


def _inside(host: Host) -> str:
    name = host.wsl.distribution
    if not name:
        return "Make a WSL2 distribution: inv setup.wsl. Then go on inside it."
    return f"Go on inside the distribution: wsl -d {name}, clone there, then ./inv onboard"
