"""Steps of a server in a container: the engine answers, the image is here, compose starts it."""

import shlex
from pathlib import Path

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.host import Host, Launch
from lifecycle.paths import Paths
from lifecycle.runtimes import compose, launch
from lifecycle.step import Action, Command, PullImage, Step, WriteFile
from lifecycle.steps import docker_engine, serve_arguments

OVERLAYS = {"cpu": "cpu.yml"}
"""The file beside `compose/vllm.yml` for each kind of hardware."""


def steps(backend: Backend, host: Host) -> list[Step]:
    """Docker can be used and has the image."""
    wanted = image(backend, host)
    return [
        docker_engine.answers(host),
        Step(
            name=f"the image {wanted} is here",
            missing=lambda now: _absent(wanted, now.docker.images),
            actions=(PullImage(wanted),),
            fix="Look at: docker images",
            phase="install",
        ),
    ]


def image(backend: Backend, host: Host) -> str:
    """The image a backend's container would be made of."""
    return backend.get("IMAGE") or tables.serving.image(backend.gpu, host.docker.images).pinned


def _absent(wanted: str, here: frozenset[str]) -> str:
    """Docker lists `name:tag` and `name@digest`, never both in one."""
    name, _, digest = wanted.partition("@")
    untagged = ":" not in name.rpartition("/")[2]
    bare = name if untagged else name.rpartition(":")[0]
    listed = f"{bare}@{digest}" if digest else f"{name}:latest" if untagged else name
    return "" if listed in here else "it is not on this machine"


def start(backend: Backend, paths: Paths, host: Host, wanted: Launch) -> tuple[Action, ...]:
    """Remember the launch, then have compose start the container."""
    run = paths.run(backend.name)
    return (
        # Makes the folder, and tells backup tools to pass it by: https://bford.info/cachedir/
        WriteFile(cache(paths) / "CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n"),
        WriteFile(run / launch.FILE, launch.text(wanted), 0o600),
        Command(up_command(backend, paths), env=environment(backend, paths, host), limit=300),
    )


def up_command(backend: Backend, paths: Paths) -> tuple[str, ...]:
    """`docker compose … up` with the overlay of this kind of hardware."""
    folder = paths.root / "compose"
    files = (str(folder / "vllm.yml"), str(folder / OVERLAYS[backend.gpu]))
    named = [word for file in files for word in ("--file", file)]
    return compose.command(backend.name, *named, "up", "--detach", "--remove-orphans")


def environment(backend: Backend, paths: Paths, host: Host) -> dict[str, str]:
    """Everything the compose files ask for; the key travels here and in no file."""
    arguments = (_inside(host), "--host", "0.0.0.0", "--port", "8000",  # noqa: S104 - in the container
                 *serve_arguments.flags(backend, host))  # fmt: skip
    root = host.weights.root
    return {
        **serve_arguments.environment(backend, host),
        "IMAGE": image(backend, host),
        "PORT": str(backend.port),
        "RUN_AS": host.os.user,
        "CACHE_SOURCE": str(cache(paths)),
        "MODEL_SOURCE": str(root),
        "MODEL_TARGET": f"/models/{root.name if root else ''}",
        "VLLM_ARGS": shlex.join(arguments),
        "VLLM_API_KEY": backend.api_key,
    }


def cache(paths: Paths) -> Path:
    """Where vLLM in a container keeps what it learned; survives the container."""
    return paths.home / "cache" / "vllm-docker"


def _inside(host: Host) -> str:
    """Where the model's folder is inside the container."""
    path, root = host.weights.path, host.weights.root
    if path is None or root is None:
        return "/models"
    return f"/models/{root.name}/{path.relative_to(root).as_posix()}".removesuffix("/.")
