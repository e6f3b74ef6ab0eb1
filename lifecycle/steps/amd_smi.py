"""The step about AMD's amd-smi for WSL: vLLM asks it for the card's name."""

from lifecycle import tables
from lifecycle.step import Download, Step
from lifecycle.steps.rocm import TRUST, Plan
from lifecycle.steps.root import apt_install, staging


def steps(plan: Plan) -> list[Step]:
    """What tells vLLM the card's name under WSL, where the image's own amd-smi finds no card."""
    if not plan.recipe.rocdxg or not plan.host.os.apt:
        return []
    package = tables.rocm.amd_smi()
    file = staging(plan.paths) / package.url.rpartition("/")[2]
    return [
        Step(
            id="amd.smi",
            name="AMD's amd-smi for WSL is installed",
            missing=lambda now: (
                ""
                if now.amd.smi
                else "without it vLLM cannot learn the card's name, as mixtures of experts need"
            ),
            actions=(
                Download(package.url, file, package.sha256),
                *apt_install(plan.host, str(file)),
            ),
            fix=f"Install it by hand: {package.url}",
            phase="install",
            by=plan.by,
            found=lambda _: f"{package.folder}; {TRUST['reported']}",
            advice=True,
        )
    ]
