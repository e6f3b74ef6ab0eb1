"""Put Debian and the engine together with one `docker import`."""

from __future__ import annotations

import subprocess
import time
from typing import IO, TYPE_CHECKING

from tests.integration.image import engine as engines
from tests.integration.image import rootfs
from tests.integration.image.processes import ImageError, output, require, stop, stream

if TYPE_CHECKING:
    from pathlib import Path

LABEL = "engine.fingerprint"
COPY_SIZE = 1 << 20


class Phases:
    """One line for each phase, with its seconds."""

    def __init__(self) -> None:
        """Start the clock."""
        self.began = time.monotonic()

    def done(self, what: str) -> None:
        """Say what has just ended, and start the clock again."""
        now = time.monotonic()
        print(f"[image {now - self.began:5.1f} s] {what}", flush=True)
        self.began = now


def build(folder: Path, tag: str, cache: Path) -> bool:
    """Make the image; return False when the same one is already there."""
    phases = Phases()
    require_docker()
    engine = engines.inspect(folder)
    fingerprint = engines.fingerprint(engine)
    if label_of(tag) == fingerprint:
        phases.done(f"{tag} is already there, from the same engine")
        return False
    base, made = rootfs.cached(cache)
    phases.done(f"{'made' if made else 'found'} {base}")
    image = import_image(engine, base, fingerprint)
    output(["docker", "tag", image, tag])
    phases.done(f"imported {tag}, vLLM {engine.version}, Python {engine.python}")
    # An older image under this tag has just lost its name; only ours carry the label.
    output(["docker", "image", "prune", "--force", f"--filter=label={LABEL}"])
    return True


def require_docker() -> None:
    """Fail early, and say what to do."""
    require("docker", "docker.io")
    require("tar", "tar")
    try:
        output(["docker", "info", "--format={{.ServerVersion}}"])
    except ImageError as error:
        raise ImageError(
            f"no Docker Engine answers; type: bash .ci/docker-engine.sh start\n{error}"
        ) from error


def label_of(tag: str) -> str:
    """Read which engine an image was made from; empty when there is no such image."""
    form = f'{{{{index .Config.Labels "{LABEL}"}}}}'
    try:
        return output(["docker", "image", "inspect", f"--format={form}", tag])
    except ImageError:
        return ""


def changes(fingerprint: str) -> list[str]:
    """List the settings of the image: those of the official ones, where they matter."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return [
        'ENTRYPOINT ["vllm","serve"]',
        f"ENV PATH=/{engines.VENV}/bin:{path}",
        # libpython was built for another place.
        f"ENV LD_LIBRARY_PATH=/{engines.PYTHON}/lib",
        "ENV LC_ALL=C.UTF-8",
        "WORKDIR /",
        f"LABEL {LABEL}={fingerprint}",
    ]


def import_image(engine: engines.Engine, base: Path, fingerprint: str) -> str:
    """Send one tar stream to the engine; return the new image's id.

    The image gets its name later: a stream that breaks off must not leave a half image under it.
    """
    argv = ["docker", "import", *(f"--change={change}" for change in changes(fingerprint)), "-"]
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    if process.stdin is None or process.stdout is None:
        raise AssertionError
    try:
        send(engine, base, process.stdin)
        with process.stdout as answer:
            image = answer.read().decode().strip()
    except (ImageError, BrokenPipeError) as error:
        # When docker gives up first, the writer only sees a closed pipe; docker has said why.
        gave_up = process.poll() is not None
        stop(process)
        message = "docker import failed; its own words are above" if gave_up else str(error)
        raise ImageError(message) from error
    except BaseException:
        stop(process)
        raise
    if process.wait():
        raise ImageError("docker import failed; its own words are above")
    return image


def send(engine: engines.Engine, base: Path, into: IO[bytes]) -> None:
    """Write the whole tar stream: Debian, the image's own files, the engine."""
    with base.open("rb") as file:
        left = rootfs.length_without_end(base)
        while left:
            left -= into.write(file.read(min(left, COPY_SIZE)))
    into.write(engines.own_entries(engine))
    into.flush()
    stream(engines.tar_command(engine), into)
    into.close()
