"""Steps that let a container see NVIDIA cards: the toolkit, the engine, and a container's word."""

from dataclasses import replace

from lifecycle import tables
from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.step import Action, Command, Step, WriteFile
from lifecycle.steps import chain, docker_engine
from lifecycle.steps.root import apt_install, apt_key, as_root, write
from lifecycle.tables.cuda import AptRepository

BY = "inv setup.cuda"
GUIDE = (
    "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html"
)
CDI_FILE = "/etc/cdi/nvidia.yaml"
KNOWS = "Docker knows NVIDIA's runtime"
ENGINES = {"docker.io", "docker-ce", "moby-engine"}
RUNTIME, CDI_DEVICE = "nvidia", "nvidia.com/gpu=all"
CDI_ENGINE = (28, 2)
"""The first Docker Engine with CDI switched on: https://docs.docker.com/engine/release-notes/28/."""
RELOAD = 'kill -HUP "$(cat /run/docker.pid)"'
SEE_RUNTIMES = (
    "See what Docker knows: docker info --format '{{json .Runtimes}}'; and what it reads: "
    "/etc/docker/daemon.json"
)
ROOTLESS = (
    "This engine is rootless: nvidia-ctk runtime configure --runtime=docker "
    "--config=$HOME/.config/docker/daemon.json && systemctl --user restart docker && sudo "
    "nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place"
)
"""As the section of NVIDIA's guide about rootless Docker says."""


def steps(host: Host, paths: Paths) -> list[Step]:
    """The container toolkit, an engine that uses it, and a container that saw the card."""
    if host.os.system != "linux" or not host.nvidia.gpus:
        return []
    podman = [_cdi(host)] if _podman(host) else []
    own = [] if host.docker.desktop or _foreign(host) else [_stays(host)]
    return [*_way(host, paths), *own, *map(_ours, [*podman, _seen(host, paths)])]


def passage(host: Host, paths: Paths) -> list[Step]:
    """The container toolkit, and an engine that uses it: without them Docker refuses the card.

    As far as it is known: nothing without a card or an engine that answers.
    """
    if not host.nvidia.gpus or docker_engine.silent(host):
        return []
    return chain.known(_way(host, paths), host)


def _way(host: Host, paths: Paths) -> list[Step]:
    if host.docker.desktop:
        return []  # It brings all of it along.
    if _foreign(host):
        return [_theirs()]
    return [_ours(_toolkit(host, paths)), _ours(_runtime(host))]


def _foreign(host: Host) -> bool:
    """Whether the engine that answers is somebody else's: Rancher Desktop's, a container's host's.

    The toolkit has to be where the engine is, and nobody here can start that one again
    (https://github.com/rancher-sandbox/rancher-desktop/issues/3968).
    """
    own = host.docker.dockerd or ENGINES & set(host.packages) or host.docker.rootless
    return bool(host.docker.engine) and not own


def _theirs() -> Step:
    return Step(
        id="nvidia.runtime",
        name=KNOWS,
        missing=lambda now: (
            "" if _knows(now) else f"the engine at {now.docker.address} is not this system's own"
        ),
        fix="No command from here can teach it. Take an engine of this system's own: keep the "
        "other out (Rancher Desktop: Preferences > WSL > Integrations), then: inv setup.docker",
        found=_known_by,
    )


def by_description(host: Host) -> bool:
    """Whether a container gets the card by its description (CDI), not from NVIDIA's runtime.

    Cards of a description are part of the container; what the runtime's hook puts in is gone after
    `systemctl daemon-reload`. But an old description is worse than a hook: it counts only where
    somebody keeps it fresh, or where there is no runtime at all, as on NixOS.
    """
    if host.docker.desktop or CDI_DEVICE not in host.docker.devices:
        return False
    return RUNTIME not in host.docker.runtimes or _kept_fresh(host)


def _kept_fresh(host: Host) -> bool:
    row = tables.cuda.container_toolkit()
    able = tables.versions.numbers(host.nvidia.toolkit) >= tables.versions.numbers(row.cdi_since)
    return able and host.os.systemd and row.cdi_fresh in host.nvidia.cdi


def _stays(host: Host) -> Step:
    """The card stays with a running container, whatever is upgraded beside it."""

    def missing(now: Host) -> str:
        hooked = now.os.systemd and RUNTIME in now.docker.runtimes and not by_description(now)
        return (
            "systemctl daemon-reload, which upgrades of packages run, takes the card from a "
            "container that NVIDIA's runtime gave it to: Failed to initialize NVML: Unknown Error"
            if hooked
            else ""
        )

    return Step(
        id="nvidia.survives_reload",
        name="a running server keeps the card when systemd reloads",
        missing=missing,
        fix=f"To have it by its description (CDI) instead: {_towards_cdi(host)}. Till then, if a "
        "server loses its card: inv restart",
        found=lambda now: "it has it by its description (CDI)" if by_description(now) else "",
        advice=True,
    )


def _towards_cdi(host: Host) -> str:
    """The first thing that keeps an engine from a fresh description."""
    row = tables.cuda.container_toolkit()
    if tables.versions.numbers(host.nvidia.toolkit) < tables.versions.numbers(row.cdi_since):
        return f"update the NVIDIA Container Toolkit to {row.cdi_since} or newer"
    if tables.versions.numbers(host.docker.engine) < CDI_ENGINE:
        return "update Docker Engine to 28.2 or newer, which reads descriptions by itself"
    return "sudo systemctl enable --now nvidia-cdi-refresh.path nvidia-cdi-refresh.service"


def _known_by(now: Host) -> str:
    return CDI_DEVICE if by_description(now) else RUNTIME


def _ours(step: Step) -> Step:
    return replace(step, by=BY) if step.actions else step


def in_use(host: Host, toolkit: str = "") -> str:
    """What a try with a container holds for; after any of it changed it is to be repeated.

    Args:
        toolkit: the version that is about to be installed.
    """
    toolkit = toolkit or host.nvidia.toolkit or "none"
    toolkit = "of Docker Desktop" if host.docker.desktop else toolkit
    return f"driver {host.nvidia.driver}, toolkit {toolkit}, engine {host.docker.engine}"


def _toolkit(host: Host, paths: Paths) -> Step:
    row = tables.cuda.container_toolkit()

    def missing(now: Host) -> str:
        if not now.nvidia.toolkit:
            # An engine that has the card as a CDI device needs nothing of it (NixOS).
            passed = CDI_DEVICE in now.docker.devices
            return "" if passed else "it is not installed: Docker cannot pass a card on"
        old = tables.versions.numbers(now.nvidia.toolkit) < tables.versions.numbers(row.lowest)
        return f"{now.nvidia.toolkit} is installed; {row.why_lowest}" if old else ""

    return Step(
        id="nvidia.toolkit",
        name=f"the NVIDIA Container Toolkit {row.lowest} or newer is installed",
        missing=missing,
        actions=_toolkit_installation(host, paths) if host.os.apt else (),
        fix=f"Install it as {GUIDE} says.",
        phase="install",
        found=lambda now: now.nvidia.toolkit,
    )


def _toolkit_installation(host: Host, paths: Paths) -> tuple[Action, ...]:
    row = tables.cuda.container_toolkit()
    pinned = [f"{package}={row.version}-1" for package in row.packages]
    # An engine that was started before its hook existed looks for it at its next start only.
    known = RUNTIME in host.docker.runtimes
    return (
        *repository(host, paths, row),
        *apt_install(host, *pinned),
        *(_restart(host) if known else ()),
    )


def repository(host: Host, paths: Paths, row: AptRepository) -> tuple[Action, ...]:
    """Tell apt of a vendor's repository and of the key it is checked against."""
    return (
        *apt_key(host, paths, row.key, row.keyring),
        *write(host, paths, row.sources, f"deb [signed-by={row.keyring}] {row.repository}\n"),
    )


def _runtime(host: Host) -> Step:
    restarted = "it does not yet; setup restarts it, and running containers stop for a moment"
    return Step(
        id="nvidia.runtime",
        name=KNOWS,
        missing=lambda now: "" if _knows(now) else restarted,
        actions=() if host.docker.rootless else _registration(host),
        fix=ROOTLESS if host.docker.rootless else SEE_RUNTIMES,
        phase="install",
        found=_known_by,
    )


def _knows(now: Host) -> bool:
    return RUNTIME in now.docker.runtimes or CDI_DEVICE in now.docker.devices


def _registration(host: Host) -> tuple[Action, ...]:
    return (
        as_root(host, "nvidia-ctk", "runtime", "configure", "--runtime=docker"),
        *_restart(host),
    )


def _restart(host: Host) -> tuple[Action, ...]:
    """Without systemd nobody is sure to start the engine again; but it reads runtimes anew when
    told so: https://docs.docker.com/reference/cli/dockerd/#configuration-reload-behavior.
    """
    if host.os.systemd:
        return (as_root(host, "systemctl", "restart", "docker.service"),)
    return (as_root(host, "sh", "-c", RELOAD),)


def _podman(host: Host) -> bool:
    return host.docker.podman or bool({"podman", "podman-docker"} & set(host.packages))


def _cdi(host: Host) -> Step:
    """https://github.com/NVIDIA/nvidia-container-toolkit/issues/63: "unresolvable CDI devices"."""
    return Step(
        id="nvidia.cdi",
        name="Podman can find the card (CDI)",
        missing=lambda now: "" if now.nvidia.cdi else "no file in /etc/cdi describes it",
        actions=(as_root(host, "nvidia-ctk", "cdi", "generate", f"--output={CDI_FILE}"),),
        fix="Podman 4.1 or newer reads /etc/cdi; only Docker's own engine is supported here.",
        phase="install",
        found=lambda now: ", ".join(now.nvidia.cdi),
        advice=True,
    )


def _seen(host: Host, paths: Paths) -> Step:
    row = tables.cuda.container_toolkit()
    enough = tables.versions.numbers(host.nvidia.toolkit) >= tables.versions.numbers(row.lowest)
    then = in_use(host, "" if enough else row.version)

    def missing(now: Host) -> str:
        if now.nvidia.verified == in_use(now):
            return ""
        tried = now.nvidia.verified
        return f"last tried with {tried}" if tried else "not tried on this machine yet"

    return Step(
        id="nvidia.in_container",
        name="a container sees the card",
        missing=missing,
        actions=(_trial(host), WriteFile(paths.home / row.stamp, f"{then}\n")),
        fix=_trial_fix(host),
        phase="check",
        found=lambda now: f"seen with {now.nvidia.verified}",
    )


def _trial(host: Host) -> Command:
    """NVIDIA's own sample: the toolkit brings nvidia-smi into any image."""
    gpus = ("--device", CDI_DEVICE) if by_description(host) else ("--gpus", "all")
    image = tables.cuda.container_toolkit().image
    return Command(("docker", "run", "--rm", *gpus, image, "nvidia-smi", "--list-gpus"), limit=900)


def _trial_fix(host: Host) -> str:
    if host.docker.desktop:
        return "Update Docker Desktop (4.31 or newer) and keep its WSL 2 engine switched on."
    return f"Run it by hand to see more: {_trial(host)}"
