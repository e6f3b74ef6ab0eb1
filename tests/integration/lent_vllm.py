"""An image without vLLM, which comes along as a driver's libraries do: by mounts.

For engines of a test's own: the whole image (2.5 GB) would take them minutes, this one seconds.
And a server of it answers only where the engine did what the description of the card says.
"""

import io
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.integration.image import engine as engines
from tests.integration.image import rootfs
from tests.integration.image.__main__ import default_cache
from tests.integration.image.build import changes
from tests.integration.image.engine import PYTHON, VENV

PACKAGES = "opt/lent"
ONE_PROCESS = "VLLM_ENABLE_V1_MULTIPROCESSING=0"
"""With `--distributed-executor-backend uni` a start imports torch once, not three times."""

NO_COMPILER = "TORCH_COMPILE_DISABLE=1"
"""As `data/cpu_settings.toml` has it for the processor, which this is: there is no compiler."""


@dataclass(frozen=True)
class Lent:
    """What a container of the image has to get.

    Args:
        mounts: folders of this machine by their places in the container.
    """

    image: str
    mounts: dict[str, Path]


def build(folder: Path, tag: str, address: str) -> Lent:
    """Make the image.

    Args:
        folder: the engine's virtual environment.
        address: the Docker Engine that gets it.
    """
    engine = engines.inspect(folder)
    base, _ = rootfs.cached(default_cache())
    own = [f"ENV {ONE_PROCESS}", f"ENV {NO_COMPILER}"]
    settings = [*changes(engines.fingerprint(engine)), *own]
    told = [f"--change={setting}" for setting in settings]
    argv = ["docker", "--host", address, "import", *told, "-", tag]
    whole = base.read_bytes()[: rootfs.length_without_end(base)]
    whole += engines.own_entries(engine) + _pointer(engine)
    done = subprocess.run(argv, input=whole, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return Lent(tag, {f"/{PACKAGES}": engine.site_packages, f"/{PYTHON}": engine.base})


def _pointer(engine: engines.Engine) -> bytes:
    """The file by which Python finds packages in a folder of another place; the end of the tar."""
    text = f"/{PACKAGES}\n".encode()
    name = f"{VENV}/lib/python{engine.python}/site-packages/lent.pth"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(text), 0o644
        archive.addfile(entry, io.BytesIO(text))
    return buffer.getvalue()
