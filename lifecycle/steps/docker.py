"""Steps of a server in a container: the engine answers, the image is here, compose starts it."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lifecycle.backend import Backend
from lifecycle.host import Host, Launch
from lifecycle.paths import Paths
from lifecycle.runtimes import compose, launch
from lifecycle.step import Action, Command, Step, WriteFile
from lifecycle.steps import (
    amd,
    cards,
    chain,
    docker_engine,
    extra_arguments,
    images,
    nvidia,
    nvidia_containers,
    overlays,
    pull,
    serve_arguments,
)
from lifecycle.steps.extra_arguments import Mount
from lifecycle.tables.serving import Image


def steps(backend: Backend, host: Host, paths: Paths) -> list[Step]:
    """The card can be passed on, Docker can be used, and has the image."""
    return [*way(backend, host, paths), *fetch(backend, host)]


def way(backend: Backend, host: Host, paths: Paths) -> list[Step]:
    """From the card to a container; a person's business, up to the first thing that is missing."""
    plan = [
        *_card(backend, host, paths),
        docker_engine.answers(host),
        *_passage(backend, host, paths),
        *overlays.steps(backend, host),
    ]
    return chain.known(plan, host)


def fetch(backend: Backend, host: Host) -> list[Step]:
    """There is room for the image, and it is here."""
    known = image_row(backend, host)
    room = known.disk_gib if known else 0
    return pull.steps(image(backend, host), room, images.instead(backend, host))


def image(backend: Backend, host: Host) -> str:
    """The image a backend's container would be made of."""
    return images.reference(backend, host)


def image_row(backend: Backend, host: Host) -> Image | None:
    """What is known of that image; None when IMAGE= names one that no row is about."""
    return images.row(backend, host)


def notes(backend: Backend, host: Host) -> list[str]:
    """What nobody has tried yet, in lines for the one who is about to try it."""
    return [*images.notes(backend, host), *overlays.notes(backend, host)]


def _card(backend: Backend, host: Host, paths: Paths) -> list[Step]:
    """A card, and the driver or ROCm to reach it by."""
    if backend.gpu == "cpu":
        return []
    mine = cards.as_used(backend, host)
    if backend.gpu == "cuda":
        utilization = float(backend.get("GPU_MEMORY_UTILIZATION") or 0)
        plan = nvidia.card(mine, image(backend, host), utilization)
    else:
        plan = _asked(amd.steps(mine, paths))
    return [*cards.steps(backend), *cards.asked_of(backend, plan)]


def _passage(backend: Backend, host: Host, paths: Paths) -> list[Step]:
    """What lets the engine pass a card on. No container tries it: the server is the next one."""
    return _asked(nvidia_containers.passage(host, paths)) if backend.gpu == "cuda" else []


def _asked(plan: list[Step]) -> list[Step]:
    """The same questions without the actions: those need root, and `up` never asks for that."""
    return [replace(one, actions=(), fix=one.by) if one.actions else one for one in plan]


def start(backend: Backend, paths: Paths, host: Host, wanted: Launch) -> tuple[Action, ...]:
    """Remember the launch, then have compose start the container."""
    run = paths.run(backend.name)
    tag = cache(backend, paths, host) / "CACHEDIR.TAG"
    command = up_command(backend, paths, host)
    return (
        # Makes the folder, and tells backup tools to pass it by: https://bford.info/cachedir/
        WriteFile(tag, "Signature: 8a477f597d28d172789f06886806bc55\n"),
        WriteFile(run / launch.FILE, launch.text(wanted), 0o600),
        WriteFile(
            run / compose.ENVIRONMENT,
            environment_file(backend, host, compose.labels(backend.name, paths, wanted)),
        ),
        Command(command, env=environment(backend, paths, host), limit=300),
    )


def up_command(backend: Backend, paths: Paths, host: Host) -> tuple[str, ...]:
    """`docker compose … up` with all that this backend needs on this machine."""
    named = files(backend, paths, host, paths.run(backend.name) / compose.ENVIRONMENT)
    return compose.command(backend.name, paths, *named, "up", "--detach", "--remove-orphans")


def files(backend: Backend, paths: Paths, host: Host, names: Path) -> list[str]:
    """The compose files of a server, as arguments.

    Args:
        names: the file with the text of `environment_file`.
    """
    folder = paths.root / "compose"
    all_of_them = [*(folder / file for file in overlays.files(backend, host)), names]
    return [word for file in all_of_them for word in ("--file", str(file))]


def environment_file(backend: Backend, host: Host, labels: Mapping[str, str] | None = None) -> str:
    """A compose file that passes each variable of the server through, by its name alone, and mounts
    what `EXTRA_ARGS` names.

    Args:
        labels: what the container carries besides: whose it is.
    """
    names = sorted(serve_arguments.environment(backend, host) | overlays.environment(backend, host))
    # Compose would take a dollar for a variable of its own.
    told = {name: text.replace("$", "$$") for name, text in (labels or {}).items()}
    service: dict[str, Any] = {"environment": names, **({"labels": told} if told else {})}
    seen = extra_arguments.mounts(backend, host, serve_arguments.version(backend, host))
    if seen:
        service["volumes"] = [_bind(one) for one in seen]
    return json.dumps({"services": {"vllm": service}}, indent=1) + "\n"


def _bind(mount: Mount) -> dict[str, Any]:
    """As `compose/chat-template.yml` mounts a file; how many there are only EXTRA_ARGS says."""
    return {
        "type": "bind", "source": str(mount.source), "target": mount.target, "read_only": True,
        "bind": {"create_host_path": False},
    }  # fmt: skip


def environment(backend: Backend, paths: Paths, host: Host) -> dict[str, str]:
    """Everything the compose files ask for; the key travels here and in no file."""
    arguments = (_inside(host), "--host", "0.0.0.0", "--port", "8000",  # noqa: S104 - in the container
                 *serve_arguments.flags(backend, host))  # fmt: skip
    root = host.weights.root
    return {
        **serve_arguments.environment(backend, host),
        **overlays.values(backend, host),
        "STOP_SECONDS": str(serve_arguments.stop_seconds(backend, host)),
        "IMAGE": image(backend, host),
        "PORT": str(backend.port),
        "RUN_AS": overlays.run_as(host),
        "CACHE_SOURCE": str(cache(backend, paths, host)),
        "MODEL_SOURCE": str(root),
        "MODEL_TARGET": f"/models/{root.name if root else ''}",
        "VLLM_ARGS": shlex.join(arguments),
        "VLLM_API_KEY": backend.api_key,
    }


def cache(backend: Backend, paths: Paths, host: Host) -> Path:
    """Where vLLM in a container keeps what it compiled for one image on one card."""
    of_image = _as_name(image(backend, host))
    return paths.home / "cache" / "vllm-docker" / of_image / _as_name(_of_card(backend, host))


def _of_card(backend: Backend, host: Host) -> str:
    return images.card(backend, host) or backend.gpu


def _as_name(text: str) -> str:
    """A name for a folder; of a digest the beginning is enough."""
    short = re.sub(r"(?<=sha256:\w{12})\w+", "", text)
    return re.sub(r"[^\w.]+", "-", short.lower()).strip("-")


def _inside(host: Host) -> str:
    """Where the model's folder is inside the container."""
    path, root = host.weights.path, host.weights.root
    if path is None or root is None:
        return "/models"
    return f"/models/{root.name}/{path.relative_to(root).as_posix()}".removesuffix("/.")
