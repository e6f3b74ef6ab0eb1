"""Steps about NVIDIA cards: one that answers, and a driver that runs the image."""

import re
from dataclasses import replace

from lifecycle import tables
from lifecycle.host import GIB, Gpu, Host
from lifecycle.paths import Paths
from lifecycle.step import Step, not_read
from lifecycle.steps import chain, cuda_toolkit, docker_engine, nvidia_containers, system, wsl
from lifecycle.steps.nvidia_containers import BY
from lifecycle.steps.root import as_root
from lifecycle.tables.cards import Card
from lifecycle.tables.cuda import Cuda
from lifecycle.tables.serving import Image, by_tag

DRIVERS = "https://www.nvidia.com/drivers"
BFLOAT16 = "8.0"
"""Compute capability from which on cards calculate in bfloat16."""
LINUX_DRIVER = re.compile(
    r"nvidia-(driver|dkms|kernel|open|utils|compute-utils|firmware|headless)|cuda-drivers|"
    r"libnvidia-(?!container)|libcuda1"
)
"""Packages of a display driver; the container toolkit's own libraries are not."""
INSTALLER = "/usr/bin/nvidia-uninstall"
"""What NVIDIA's .run installer leaves, to undo itself."""
CONSUMER = re.compile(r"GeForce|TITAN", re.IGNORECASE)
TRUST = {
    "hardware": "we tried it",
    "documented": "by its maker's word, not tried by us",
    "reported": "read in the image by others, not tried by us",
}
"""What a floor of drivers rests on."""
VERIFIED = {
    "hardware": "we ran it",
    "documented": "works by its vendor's word, not tried by us",
    "reported": "others say it works, not tried by us",
}


def card(host: Host, image: str = "", utilization: float = 0) -> list[Step]:
    """A card that can run the image: asked before Docker, and before anything is fetched.

    Args:
        host: with the cards marked that the server uses (`cards.as_used`); of a machine as it is,
            the best card counts.
        image: the image that a person chose; "" for the one that suits the driver.
        utilization: part of the memory that the server takes; 0: what it takes by itself.
    """
    image = image or _suitable(host)
    plan = [*seen(host), _known(), *_wsl(host), _new_enough_card(host, image), _driver(host, image)]
    taken = utilization or tables.fit.utilization(wsl=host.os.wsl)
    return chain.known([*plan, _bfloat16(), _free_memory(taken)], host)


def seen(host: Host) -> list[Step]:
    """A card of NVIDIA's answers, whatever is to run on it."""
    plan = [*wsl.inside(host), _no_linux_driver(host)] if host.os.wsl else []
    cautions = [_healthy(host)] if host.nvidia.caution else []
    return chain.known([*plan, _answers(host), *cautions], host)


def suits(host: Host, image: Image) -> bool:
    """Whether the driver runs an image with kernels for the card, as far as that is known."""
    return runs(host, image.cuda)


def runs(host: Host, version: str) -> bool:
    """Whether driver and card run what is built for a version of CUDA, as far as that is known."""
    cuda = next((row for row in tables.cuda.cudas() if row.version == version), None)
    return not cuda or (_runs(host, cuda) and not _without_kernels(host, cuda))


def best(host: Host) -> Gpu:
    """The first card a server would use: of a machine as it is, the best one; else one without a
    name.
    """
    return next(iter(_counting(host)), Gpu(""))


def rank(gpu: Gpu) -> tuple[tuple[int, ...], int]:
    """What makes one card better to serve from than others: newer, then larger."""
    return (tables.versions.numbers(gpu.arch), gpu.total)


def _counting(host: Host) -> list[Gpu]:
    """The cards that must do: those a backend uses (`cards.as_used`), else the best one."""
    used = [gpu for gpu in host.nvidia.gpus if gpu.number is not None]
    return used or sorted(host.nvidia.gpus, key=rank, reverse=True)[:1]


def containers(host: Host, paths: Paths, image: str = "") -> list[Step]:
    """What lets a container see the card: the loader, the toolkit, the engine, and a trial.

    As far as it is known: nothing on a card that cannot serve or for an engine that is silent.
    """
    if chain.broken(card(host, image), host) or docker_engine.silent(host):
        return []
    return chain.known(_containers(host, paths), host)


def _containers(host: Host, paths: Paths) -> list[Step]:
    plan = nvidia_containers.steps(host, paths)
    return [_loader(host), *plan] if plan else []


def setup(host: Host, paths: Paths, *, toolkit: bool, image: str = "") -> list[Step]:
    """What `inv setup.cuda` does; never a display driver.

    Args:
        toolkit: also the CUDA toolkit (nvcc), without which servers start, too.
        image: the image that a person chose; "" for the one that suits the driver.
    """
    if host.os.system != "linux":
        return system.steps(host)
    needed = [step for step in card(host, image) if not step.advice]
    plan = chain.once([*needed, docker_engine.answers(host)])
    plan += _containers(host, paths)
    if toolkit:
        plan.append(cuda_toolkit.step(host, paths))
    return plan


def _no_linux_driver(host: Host) -> Step:
    return Step(
        id="nvidia.no_linux_driver",
        name="no Linux display driver shadows the Windows driver",
        missing=lambda now: ", ".join(_misplaced(now)),
        fix=_removal(host),
    )


def _misplaced(now: Host) -> list[str]:
    packages = sorted(name for name in now.packages if LINUX_DRIVER.match(name))
    return packages or list(now.nvidia.linux_driver)


def _removal(host: Host) -> str:
    return (
        "The driver of Windows is the only one WSL needs. It is yours to remove: "
        f"{_remover(_misplaced(host))} && sudo ldconfig; then in Windows: wsl --shutdown"
    )


def _remover(misplaced: list[str]) -> str:
    files = [one for one in misplaced if one.startswith("/")]
    if not files:
        return f"sudo apt-get purge {' '.join(misplaced)}"
    if INSTALLER in files:
        return f"sudo {INSTALLER}"
    return f"sudo apt-get purge $(dpkg -S {files[0]} | cut -d: -f1)"


def _answers(host: Host) -> Step:
    return Step(
        id="nvidia.answers",
        name="an NVIDIA card answers",
        unread=not_read("nvidia"),
        missing=_silent,
        fix=_way_to_a_card(host),
        found=lambda now: (
            f"{'; '.join(map(_described, now.nvidia.gpus))}; driver {now.nvidia.driver}"
            + (f" runs CUDA up to {now.nvidia.cuda}" if now.nvidia.cuda else "")
        ),
    )


def _healthy(host: Host) -> Step:
    def missing(now: Host) -> str:
        known = tables.cuda.smi_complaint(now.nvidia.caution)
        return "\n".join(filter(None, (known.means if known else "", now.nvidia.caution)))

    known = tables.cuda.smi_complaint(host.nvidia.caution)
    advised = "" if known is None else known.wsl if host.os.wsl else known.linux
    return Step(
        id="nvidia.healthy",
        name="nvidia-smi complains of nothing",
        missing=missing,
        fix=advised or "The cards above answer all the same. See what it means: nvidia-smi",
        advice=True,
    )


def _described(gpu: Gpu) -> str:
    arch = f", compute capability {gpu.arch}" if gpu.arch else ""
    free = "how much is free is not told" if gpu.free is None else f"{gpu.free / GIB:.1f} free"
    memory = f" {gpu.total / GIB:.1f} GiB ({free})" if gpu.total else ""
    return f"{gpu.name}{memory}{arch}"


def _silent(now: Host) -> str:
    if now.nvidia.gpus:
        return ""
    if now.nvidia.problem:
        known = tables.cuda.smi_complaint(now.nvidia.problem)
        return f"{known.means}\n{now.nvidia.problem}" if known else now.nvidia.problem
    if seen := _of_windows(now):
        return f"Windows has {seen}, WSL does not see it: there is no nvidia-smi here"
    return now.unread.get("nvidia", "no card and no driver of NVIDIA's was found")


def _of_windows(now: Host) -> str:
    names = (one.name for one in now.windows.adapters)
    return next((name for name in names if "nvidia" in name.lower()), "")


def _way_to_a_card(host: Host) -> str:
    known = tables.cuda.smi_complaint(host.nvidia.problem)
    if known:
        return known.wsl if host.os.wsl else known.linux
    if host.os.wsl and _of_windows(host):
        return (
            "In Windows: wsl --update; then: wsl --shutdown. If that does not help, install the "
            f"current driver there: {DRIVERS}"
        )
    if host.os.wsl or host.os.system == "win32":
        return f"Install NVIDIA's driver in Windows ({DRIVERS}), then: wsl --update; wsl --shutdown"
    if not host.nvidia.problem:
        return "Without an NVIDIA card: inv up --gpu cpu"
    if host.os.distro == "ubuntu":
        return "Install the driver: sudo ubuntu-drivers install; then restart the machine."
    return f"Install the driver from your distribution or {DRIVERS}, then restart the machine."


def _wsl(host: Host) -> list[Step]:
    """The card's generation may need a newer WSL than a server does."""
    gpu = best(host)
    row = tables.cards.card("nvidia", gpu.name, gpu.arch)
    if not host.os.wsl or not row or not row.wsl_from:
        return []

    def missing(now: Host) -> str:
        old = tables.versions.numbers(now.wsl.version) < tables.versions.numbers(row.wsl_from)
        why = f"{now.wsl.version}: CUDA graphs crash below {row.wsl_from} on {gpu.name}"
        return why if old and now.wsl.version else ""

    return [
        Step(
            id="nvidia.wsl",
            name=f"WSL is {row.wsl_from} or newer, which this card needs",
            missing=missing,
            fix="In PowerShell: wsl --update; then: wsl --shutdown",
            found=lambda now: now.wsl.version or "its version could not be read",
        )
    ]


def _new_enough_card(host: Host, image: str) -> Step:
    cuda = _cuda_of(image)

    def missing(now: Host) -> str:
        return _without_kernels(now, cuda, image) if cuda else ""

    return Step(
        id="nvidia.kernels",
        name="the image has kernels for the card",
        missing=missing,
        fix=_other_card(host, cuda) if cuda else "",
        found=lambda _: f"CUDA {cuda.version}" if cuda else f"not known of {by_tag(image)}",
    )


def _other_card(host: Host, cuda: Cuda) -> str:
    newer = tables.versions.numbers(best(host).arch) > tables.versions.numbers(cuda.newest_arch)
    if newer:
        return "Remove IMAGE= from .env: newer images know newer cards. Till then: inv up --gpu cpu"
    return "Serve from the processor: inv up --gpu cpu. No setting makes this card do."


def _without_kernels(now: Host, cuda: Cuda, image: str = "the image") -> str:
    found = (_unfit(gpu, cuda, image) for gpu in _counting(now))
    return next(filter(None, found), "")


def _unfit(gpu: Gpu, cuda: Cuda, image: str) -> str:
    arch = tables.versions.numbers(gpu.arch)
    if arch and arch < tables.versions.numbers(cuda.arch):
        return f"{gpu.name} has compute capability {gpu.arch}, the image needs {cuda.arch}"
    # Unreadable is not too old; vLLM itself says so.
    if arch and arch > tables.versions.numbers(cuda.newest_arch):
        return (
            f"{by_tag(image)} is built for CUDA {cuda.version}, which has no kernels for "
            f"{gpu.name} (compute capability {gpu.arch})"
        )
    return ""


def _cuda_of(image: str) -> Cuda | None:
    """What an image needs: by its row, which knows its digest too, else by its tag."""
    rows = (row for row in tables.serving.images("cuda") if row.named(image))
    row = next(rows, None)
    if row is None:
        return tables.cuda.of_image(image)
    return next((one for one in tables.cuda.cudas() if one.version == row.cuda), None)


def _driver(host: Host, image: str) -> Step:
    cuda = _cuda_of(image)
    return Step(
        id="nvidia.driver",
        name="the driver runs the image's CUDA",
        missing=lambda now: _too_old(now, cuda, image) if cuda else "",
        fix=_ways_out(host, cuda) if cuda else "",
        found=lambda now: (
            _enough(now, cuda) if cuda else f"the CUDA of {by_tag(image)} is not known"
        ),
    )


def _enough(now: Host, cuda: Cuda) -> str:
    if _let_through(now, cuda):
        return f"driver {now.nvidia.driver}; the image takes it on this card ({TRUST['reported']})"
    return f"driver {now.nvidia.driver}, needed: {cuda.driver}"


def _too_old(now: Host, cuda: Cuda, image: str) -> str:
    if _runs(now, cuda):
        return ""
    limit = f" (up to CUDA {now.nvidia.cuda})" if now.nvidia.cuda else ""
    return (
        f"driver {now.nvidia.driver}{limit}; {by_tag(image)} is built for CUDA {cuda.version} "
        f"and needs driver {cuda.driver} or newer"
    )


def _runs(now: Host, cuda: Cuda) -> bool:
    """By the driver's own word where it gives one: the container's start-up check asks that."""
    if _let_through(now, cuda):
        return True
    if now.nvidia.cuda:
        return tables.versions.numbers(now.nvidia.cuda) >= tables.versions.numbers(cuda.version)
    driver = tables.versions.numbers(now.nvidia.driver)
    return not driver or driver >= tables.versions.numbers(cuda.driver)


def _let_through(now: Host, cuda: Cuda) -> bool:
    """Whether the image names this older branch of drivers: never for a gamer's card."""
    older = now.nvidia.driver.partition(".")[0] in cuda.branches
    return older and not any(CONSUMER.search(gpu.name) for gpu in _counting(now))


def _ways_out(host: Host, cuda: Cuda) -> str:
    where = "in Windows" if host.os.wsl else "on this machine"
    newer = f"nstall driver {cuda.driver} or newer {where} ({DRIVERS})"
    newer += ", then wsl --shutdown." if host.os.wsl else " and restart."
    older = next((row.pinned for row in tables.serving.images("cuda") if suits(host, row)), "")
    if older:
        other = f"Or keep the driver and take an older build, untried by us: IMAGE={older} in .env."
        return f"Either i{newer} {other}"
    return f"I{newer} {_oldest(cuda)}"


def _suitable(host: Host) -> str:
    here = host.docker.images
    return tables.serving.choice("cuda", here, lambda row: suits(host, row))[0].pinned


def _oldest(cuda: Cuda) -> str:
    known = [tables.cuda.of_image(row.reference) for row in tables.serving.images("cuda")]
    rows = [cuda, *(one for one in known if one)]
    least = min(rows, key=lambda one: tables.versions.numbers(one.driver))
    return (
        f"There is no build for this driver: the oldest we know (CUDA {least.version}) asks this "
        f"card for {least.driver} or newer ({TRUST[least.verified]})."
    )


def _loader(host: Host) -> Step:
    place = tables.cuda.on_wsl()
    step = Step(
        id="nvidia.libcuda",
        name="programs find the driver's libcuda.so.1",
        missing=lambda now: "" if now.nvidia.libcuda else "the loader does not know its folder",
        found=lambda now: now.nvidia.libcuda,
        advice=not host.os.wsl,
        fix=f"In Windows: wsl --update, then wsl --shutdown; see ls {place.libraries}"
        if host.os.wsl
        else "Install the driver's compute part (Debian: libcuda1; Ubuntu: libnvidia-compute-NNN).",
    )
    if not host.os.wsl:
        return step
    # A file of our own: WSL's ld.wsl.conf is absent because somebody switched it off.
    put = as_root(host, "sh", "-c", f"echo {place.libraries} > {place.loader} && ldconfig")
    return replace(step, actions=(put,), by=BY, phase="install")


def _known() -> Step:
    def row(now: Host) -> Card | None:
        gpu = best(now)
        return tables.cards.card("nvidia", gpu.name, gpu.arch)

    def found(now: Host) -> str:
        known = row(now)
        return ". ".join(filter(None, (VERIFIED[known.verified], known.note))) if known else ""

    return Step(
        id="nvidia.known",
        name="the card is in our table",
        missing=lambda now: "" if row(now) else "this card has not been reported to us yet",
        fix="It may work all the same. Tell us: inv doctor --record DIR",
        found=found,
        advice=True,
    )


def _bfloat16() -> Step:
    def missing(now: Host) -> str:
        floor = tables.versions.numbers(BFLOAT16)
        arches = ((gpu, tables.versions.numbers(gpu.arch)) for gpu in _counting(now))
        old = next((gpu for gpu, arch in arches if arch and arch < floor), None)
        return f"{old.name} (compute capability {old.arch}) has no bfloat16" if old else ""

    return Step(
        id="nvidia.bfloat16",
        name="the card supports bfloat16",
        missing=missing,
        fix="Put DTYPE=float16 into the backend's env file.",
        advice=True,
    )


def _free_memory(utilization: float) -> Step:
    def taken(gpu: Gpu) -> str:
        if gpu.free is None or gpu.free >= utilization * gpu.total:
            return ""
        return (
            f"{(gpu.total - gpu.free) / GIB:.1f} of {gpu.total / GIB:.1f} GiB are taken by the "
            f"desktop and other programs; the server wants {utilization:.0%}"
        )

    def missing(now: Host) -> str:
        # A server of this backend holds what the next one will have.
        found = () if now.server.alive else map(taken, _counting(now))
        return next(filter(None, found), "")

    return Step(
        id="nvidia.memory_free",
        name="the card's memory is free for a server",
        missing=missing,
        fix="Close what uses the card (see nvidia-smi), or lower GPU_MEMORY_UTILIZATION in the "
        "backend's env file.",
        advice=True,
    )
