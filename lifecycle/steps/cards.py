"""Which graphics cards a backend uses: one answer for planner, image, checks, notes and server.

CUDA by itself begins with the fastest card "by a simple heuristic", while vLLM asks the driver in
the order of the slots (https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/environment-variables.html,
`log_warnings` in vllm/platforms/cuda.py of 0.32). So where cards differ the server is always told
which ones, and in which order: what is planned for one card must not start on another.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from lifecycle import env_file, tables
from lifecycle.backend import Backend
from lifecycle.errors import ConfigError
from lifecycle.host import GIB, Gpu, Host
from lifecycle.keys import KEYS
from lifecycle.step import Step
from lifecycle.steps import amd, extra_arguments, nvidia

NEARLY = 0.05
"""Cards of one kind differ by less of their memory: some of it drives a desktop, or ECC."""
OTHERS = "Name cards of the list, or remove DEVICES: then the best one is used."


@dataclass(frozen=True)
class Cards:
    """The cards of a machine, as one backend may use them.

    Args:
        listed: every card by its number, as DEVICES counts them.
        numbers: those the server may use, in the order it takes them.
        ranks: how many it computes on.
    """

    listed: dict[int, Gpu]
    numbers: tuple[int, ...]
    ranks: int

    @property
    def allowed(self) -> list[Gpu]:
        """The cards the server may use."""
        return [replace(self.listed[number], number=number) for number in self.numbers]

    @property
    def used(self) -> list[Gpu]:
        """The cards the server computes on."""
        return self.allowed[: self.ranks]


def of(backend: Backend, host: Host) -> Cards:
    """The cards of one backend on one machine; none for the processor, or where none is known.

    A number in DEVICES that no card has is left out here; see `problem`.
    """
    if backend.gpu == "cpu":
        return Cards({}, (), 0)
    listed = _listed(backend.gpu, host)
    numbers = tuple(number for number in backend.devices if number in listed)
    if not backend.devices:
        own = [number for number, gpu in listed.items() if not gpu.integrated]
        numbers = tuple(_best_first(backend.gpu, own, listed))
    return Cards(listed, numbers, ranks(backend))


def ranks(backend: Backend) -> int:
    """How many cards the server computes on: tensor, pipeline and data parallel."""
    extra = extra_arguments.read(backend, "")
    tensor = int(backend.get("TENSOR_PARALLEL") or extra.number("--tensor-parallel-size") or 1)
    pipeline = extra.number("--pipeline-parallel-size") or 1
    copies = extra.number("--data-parallel-size-local") or extra.number("--data-parallel-size") or 1
    return tensor * pipeline * copies


def visible(backend: Backend, host: Host) -> tuple[int, ...]:
    """Numbers of the cards that the server is told of; () where it may see all as they come."""
    if backend.devices:
        return backend.devices
    cards = of(backend, host)
    return () if _one_kind(cards.allowed) or not _counted(backend, host) else cards.numbers


def as_used(backend: Backend, host: Host) -> Host:
    """The same machine with the cards marked that the backend computes on: whoever asks about "the
    card" of it gets one of those. Of AMD's, where DEVICES choose, the others are left out.

    Where no card is known it is the machine as it is.
    """
    used = tuple(of(backend, host).used)
    if not used:
        return host
    if backend.gpu == "cuda":
        marked = {gpu.number: gpu for gpu in used}
        gpus = tuple(marked.get(place, gpu) for place, gpu in enumerate(host.nvidia.gpus))
        return replace(host, nvidia=replace(host.nvidia, gpus=gpus))
    if not backend.devices:
        return host
    archs = tuple(gpu.arch for gpu in used if gpu.arch) if host.amd.agents else ()
    return replace(host, amd=replace(host.amd, gpus=used, agents=archs))


def asked_of(backend: Backend, steps: Iterable[Step]) -> list[Step]:
    """The same steps, asked of the cards that the backend uses."""

    def asked(step: Step) -> Step:
        return replace(
            step,
            missing=lambda now: step.missing(as_used(backend, now)),
            found=lambda now: step.found(as_used(backend, now)),
        )

    return [asked(step) for step in steps]


def problem(backend: Backend, host: Host) -> str:
    """Why DEVICES cannot be used on this machine; "" when it can, or no card is known."""
    cards = of(backend, host)
    if not backend.devices or not cards.listed:
        return ""
    if any(number not in cards.listed for number in backend.devices):
        return f"this machine has cards {min(cards.listed)} to {max(cards.listed)}"
    if cards.ranks > len(cards.numbers):
        return f"the server needs {cards.ranks} cards, and this names {len(cards.numbers)}"
    return ""


def require(backend: Backend, host: Host) -> None:
    """Refuse a DEVICES that names what is not there, before anything is fetched.

    Raises:
        ConfigError: it tells where DEVICES stands, and which cards there are.
    """
    why = problem(backend, host)
    if why:
        setting = backend.settings["DEVICES"]
        told = "\n".join((why, _told(of(backend, host)), OTHERS))
        raise env_file.refused(KEYS["DEVICES"], setting.text, setting.source, told)


def steps(backend: Backend) -> list[Step]:
    """What the doctor says of DEVICES, and of cards that share a model."""
    named = [_named(backend)] if backend.devices else []
    return [*named, *([_sharing(backend)] if ranks(backend) > 1 else [])]


def caution(backend: Backend, host: Host) -> str:
    """What to know of cards that share a model and differ; "" when they are alike."""
    used = of(backend, host).used
    if _one_kind(used):
        return ""
    names = " and ".join(f"{gpu.name} ({gpu.total / GIB:.1f} GiB)" for gpu in used)
    return f"the cards differ: {names}; the smallest decides how much fits, the slowest how fast"


def _one_kind(cards: list[Gpu]) -> bool:
    """Whether they are the same card several times; one without a name is like the others."""
    return alike(cards) and len({_name(gpu) for gpu in cards} - {""}) < 2


def alike(cards: Iterable[Gpu]) -> bool:
    """Whether it makes no difference to the sum which of the cards is taken."""
    some = list(cards)
    sizes = [gpu.total for gpu in some]
    same_size = not sizes or max(sizes) - min(sizes) <= NEARLY * max(sizes)
    return same_size and len({gpu.arch for gpu in some}) < 2


def _named(backend: Backend) -> Step:
    def missing(now: Host) -> str:
        try:
            require(backend, now)
        except ConfigError as error:
            return f"{error.what}\n{error.why}"
        return ""

    return Step(
        id="cards.named",
        name="DEVICES names cards of this machine",
        missing=missing,
        fix=OTHERS,
        failure=ConfigError,
        found=lambda now: ", ".join(gpu.name for gpu in of(backend, now).allowed),
    )


def _sharing(backend: Backend) -> Step:
    return Step(
        id="cards.alike",
        name="the cards that share the model are alike",
        missing=lambda now: caution(backend, now),
        fix="It works all the same. To leave one out: DEVICES in the backend's env file.",
        advice=True,
        found=lambda now: ", ".join(gpu.name for gpu in of(backend, now).used),
    )


def _told(cards: Cards) -> str:
    return "; ".join(f"{number}: {gpu.name}" for number, gpu in sorted(cards.listed.items()))


def _listed(gpu: str, host: Host) -> dict[int, Gpu]:
    cards = host.nvidia.gpus if gpu == "cuda" else _as_rocm_counts(host)
    return {place if card.number is None else card.number: card for place, card in enumerate(cards)}


def _as_rocm_counts(host: Host) -> list[Gpu]:
    """In rocminfo's order, with what the kernel or Windows knows of each; its own where ROCm is not
    there yet.
    """
    known = amd.cards(host)
    found = []
    for arch in host.amd.agents:
        integrated = tables.rocm.integrated(arch)
        same = [gpu for gpu in known if gpu.arch == arch]
        same += [gpu for gpu in known if not gpu.arch and gpu.integrated == integrated]
        card = next(iter(same), Gpu(arch, arch=arch, integrated=integrated))
        known = [gpu for gpu in known if gpu is not card]
        found.append(card)
    return found or known


def _counted(backend: Backend, host: Host) -> bool:
    """Whether the numbers are those the server will count by."""
    return backend.gpu == "cuda" or bool(host.amd.agents)


def _best_first(gpu: str, numbers: list[int], listed: dict[int, Gpu]) -> list[int]:
    if alike(listed[number] for number in numbers):
        return numbers
    rank = nvidia.rank if gpu == "cuda" else amd.rank
    return sorted(numbers, key=lambda number: rank(listed[number]), reverse=True)


def _name(gpu: Gpu) -> str:
    """A card's name; "" where it is only that of its architecture."""
    return "" if gpu.name == gpu.arch else gpu.name
