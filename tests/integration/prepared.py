"""What tests share with their user: engine, model and image, made when they are not there yet."""

import os
from pathlib import Path

from lifecycle.paths import Paths, paths
from lifecycle.runtimes.venv import STAMP
from tests.integration.checkout import Checkout, free_port
from tests.integration.image.__main__ import default_cache
from tests.integration.image.build import build
from tests.integration.test_server_docker import IMAGE, engine_folder

MODEL = "smollm2-135m-instruct"


def places() -> Paths:
    """The folders of the user."""
    return paths({key: os.environ[key] for key in ("LIFECYCLE_HOME",) if key in os.environ})


def engine(folder: Path) -> Path:
    """The environment of vLLM for the processor; the model is there then, too.

    Args:
        folder: where a checkout may lie whose first server brings both.
    """
    there = engine_folder()
    if (there / STAMP).exists() and (places().models / MODEL).is_dir():
        return there
    first = Checkout.copy(folder, f"first-{os.getpid()}", free_port())
    try:
        done = first.up("--runtime", "venv")
        assert done.returncode == 0, done.stderr
    finally:
        first.inv("down", "--gpu", first.backend, limit=60)
    return there


def image(folder: Path) -> str:
    """The image made of that engine.

    Args:
        folder: see `engine`.
    """
    build(engine(folder), IMAGE, default_cache())
    return IMAGE
