"""What tests share with their user: engine, model and image, made when they are not there yet."""

import os
import shutil
from pathlib import Path

from filelock import FileLock

from lifecycle import tables
from lifecycle.paths import Paths, paths
from lifecycle.runtimes.venv import STAMP
from tests.integration.checkout import Checkout, free_port
from tests.integration.image.__main__ import default_cache
from tests.integration.image.build import build

MODEL = "smollm2-135m-instruct"
IMAGE = "vllm-cpu-local:0.32.0"


def places() -> Paths:
    """The folders of the user."""
    return paths({key: os.environ[key] for key in ("LIFECYCLE_HOME",) if key in os.environ})


def engine(folder: Path) -> Path:
    """The environment of vLLM for the processor; the model is there then, too.

    Args:
        folder: where a checkout may lie whose first server brings both.
    """
    wanted = tables.serving.engine("cpu")
    there = places().engine(wanted.name)
    with _one_at_a_time():
        stamp = there / STAMP
        complete = stamp.exists() and stamp.read_text().strip() == wanted.fingerprint()
        if not complete or not (places().models / MODEL).is_dir():
            _start_once(Checkout.copy(folder, f"first-{os.getpid()}", free_port()))
    return there


def image(made_from: Path) -> str:
    """The image made of that engine."""
    with _one_at_a_time():
        build(made_from, IMAGE, default_cache())
    return IMAGE


def warm(cache: Path) -> None:
    """Bring what vLLM found out about the model's code into a container's new cache.

    To find it out anew, a start imports everything once more in another process: ten seconds.
    """
    known = places().home / "cache" / "vllm" / "modelinfos"
    if known.is_dir():
        shutil.copytree(known, cache / "vllm" / known.name, dirs_exist_ok=True)


def _start_once(first: Checkout) -> None:
    """A venv server's start installs the engine and makes the model."""
    try:
        done = first.up("--runtime", "venv")
        assert done.returncode == 0, done.stderr
    finally:
        first.inv("down", "--gpu", first.backend, limit=60)


def _one_at_a_time() -> FileLock:
    """Workers of one run start together, and each may find that nothing is there yet."""
    default_cache().mkdir(parents=True, exist_ok=True)
    return FileLock(default_cache() / "prepared.lock")
