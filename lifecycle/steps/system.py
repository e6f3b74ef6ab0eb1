"""Steps about the operating system: something vLLM runs on."""

from lifecycle.host import Host
from lifecycle.step import Step


def steps(host: Host) -> list[Step]:
    """Linux, on a processor somebody builds vLLM for."""
    del host
    return [
        Step(
            name="the system is Linux or WSL2",
            missing=lambda now: (
                "" if now.os.system == "linux" else f"vLLM does not run on {now.os.system} itself"
            ),
            fix="On Windows: inv setup.wsl makes a WSL2 distribution; go on inside it.",
            found=lambda now: f"{now.os.name}, Python {now.os.python}",
        ),
    ]
