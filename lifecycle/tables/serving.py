"""What `up` starts: engines, images, models, and what they need of the processor."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lifecycle.errors import NotSupported
from lifecycle.tables.locked import Locked
from lifecycle.tables.pinned import pinned
from lifecycle.tables.rows import load_file, load_rows
from lifecycle.tables.versions import between


@dataclass(frozen=True)
class Engine(Locked):
    """vLLM as a Python environment; sizes in GiB.

    Args:
        command: arguments of its Python; the model's folder comes next.
        torch_backend: the index PyTorch comes from; "" for the default one.
        cuda: the version of CUDA its driver must run; "" without an NVIDIA card.
    """

    gpu: str
    distribution: str
    version: str
    command: list[str]
    python: list[str]
    torch_backend: str
    torch: str
    cuda: str
    disk_gib: float
    ram_gib: float

    @property
    def name(self) -> str:
        """The folder's name, e.g. `cpu-0.32.0`."""
        return f"{self.gpu}-{self.version}"


@dataclass(frozen=True)
class Image:
    """A container image that holds vLLM; size in GiB.

    Args:
        entrypoint: what it starts by itself: `vllm-serve` or `shell`.
        cuda: the CUDA it is built with; "" when unknown, or for other cards.
        rocm: likewise.
        arches: the AMD cards it has kernels for; for NVIDIA's see `data/cuda.toml`.
        recipes: the ways to ROCm it works with (`data/rocm.toml`).
        seen: who had this very tag; "" when nobody we know of did.
        verified: as for `Card`.
        note: what else a person should know before it is pulled.
    """

    gpu: str
    reference: str
    vllm: str
    digest: str
    entrypoint: str
    disk_gib: float
    seen: str = ""
    cuda: str = ""
    rocm: str = ""
    arches: list[str] = field(default_factory=list)
    recipes: list[str] = field(default_factory=list)
    verified: str = "reported"
    note: str = ""

    @property
    def pinned(self) -> str:
        """The reference to pull: by digest where one is known."""
        return pinned(self.reference, self.digest)

    @property
    def repository(self) -> str:
        """The reference without its tag."""
        return repository(self.reference)

    def named(self, reference: str) -> bool:
        """Whether a person means this image: by its tag, its digest, or both."""
        by_digest = f"{self.repository}@{self.digest}"
        return reference in {self.reference, self.pinned, by_digest}

    @property
    def fetchable(self) -> bool:
        """Whether a registry may have it: not when it is built on the machine itself."""
        return self.digest != "local"

    def among(self, names: Iterable[str]) -> bool:
        """Whether it is one of the images of a machine, which are `name:tag` and `name@digest`."""
        known = self.pinned != self.reference
        return (f"{self.repository}@{self.digest}" if known else self.reference) in set(names)


@dataclass(frozen=True)
class CpuSupport:
    """Instruction sets that vLLM needs on the CPU, those that make it fast, those of which one
    computes bfloat16, and those that the images for graphics cards need of the processor beside
    the card.
    """

    machine: str
    required: list[str]
    recommended: list[str]
    bfloat16: list[str]
    beside_gpu: list[str]


@dataclass(frozen=True)
class Library:
    """A shared library vLLM loads and no wheel brings, and the package that has it."""

    gpu: str
    file: str
    apt: str


@dataclass(frozen=True)
class CpuSettings:
    """How a CPU server uses its cores."""

    name: str
    max_cores: int
    env: dict[str, str]
    flags: list[str]
    why: str


@dataclass(frozen=True)
class PackagedModel:
    """A model whose weights come inside a Python package.

    Args:
        sampling: for clients that name no temperature.
        chat_format: its chat template, in Jinja; it takes the place of the file's own.
    """

    name: str
    about: str
    distribution: str
    version: str
    wheel_sha256: str
    file: str
    file_sha256: str
    size: int
    sampling: dict[str, float]
    chat_format: str

    @property
    def defaults(self) -> str:
        """What clients get that ask for nothing else, as `models/convert_gguf.py` takes it."""
        return json.dumps({"sampling": self.sampling, "chat_template": self.chat_format})

    @property
    def made_from(self) -> str:
        """What the manifest of its converted folder must say."""
        return f"{self.file_sha256} {self.defaults}"


def engine(gpu: str) -> Engine:
    """The engine for a kind of hardware."""
    for row in load_rows(Engine, "engines.toml", "engine"):
        if row.gpu == gpu:
            return row
    raise NotSupported(
        f"no vLLM engine is known for GPU={gpu} in a venv", fix="In a container: --runtime docker"
    )


def engine_for(gpu: str, runtime: str) -> Engine:
    """The engine a backend works with: its server's, or, for a container, what converts models."""
    return engine(gpu if runtime == "venv" else "cpu")


def choice(
    gpu: str, here: Iterable[str] = (), suits: Callable[[Image], bool] = lambda _: True
) -> list[Image]:
    """The images for a kind of hardware that suit, the one to take first; never empty.

    Those that are here come before the others. If none suits, it is the first row alone: the steps
    about the card and its driver say why it cannot run.

    Args:
        here: images that are on the machine.

    Raises:
        NotSupported: there is no image for this hardware.
    """
    rows = images(gpu)
    if not rows:
        raise NotSupported(f"no container image is known for GPU={gpu}")
    present = set(here)
    fitting = [row for row in rows if suits(row)] or rows[:1]
    return sorted(fitting, key=lambda row: not row.among(present))


def images(gpu: str) -> list[Image]:
    """Every image for a kind of hardware, the wanted one first."""
    return [row for row in load_rows(Image, "images.toml", "image") if row.gpu == gpu]


def repository(reference: str) -> str:
    """An image's name without tag and digest; a colon before a slash is a port."""
    name = reference.partition("@")[0]
    return name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name


def by_tag(reference: str) -> str:
    """An image as people call it: without its digest, where it has a tag."""
    name = reference.partition("@")[0]
    return name if ":" in name.rpartition("/")[2] else reference


def require_served(gpu: str, runtime: str) -> None:
    """Refuse a combination that `up` cannot start.

    Raises:
        NotSupported: and says what can be started instead.
    """
    if served(gpu, runtime):
        return
    rows = load_file("support.toml")["serve"]
    other = next((row["runtime"] for row in rows if row["gpu"] == gpu), "")
    able = ", ".join(sorted({row["gpu"] for row in rows}))
    raise NotSupported(
        f"GPU={gpu} with RUNTIME={runtime} cannot be started by this version",
        fix=f"Take --runtime {other}." if other else f"What can be started: --gpu {able}.",
    )


def served(gpu: str, runtime: str) -> bool:
    """Whether `up` can start this hardware in this runtime."""
    return {"gpu": gpu, "runtime": runtime} in load_file("support.toml")["serve"]


def cpu_support(machine: str) -> CpuSupport:
    """What a processor of this architecture must have."""
    rows = load_rows(CpuSupport, "support.toml", "cpu")
    for row in rows:
        if row.machine == machine:
            return row
    known = ", ".join(row.machine for row in rows)
    raise NotSupported(f"vLLM on {machine} processors is not known", why=f"known: {known}")


def knows(flag: str, version: str) -> bool:
    """Whether a version of vLLM has a flag that older ones do not; not when it is unknown, ""."""
    rows = load_file("support.toml")["flag"]
    since = next(str(row["since"]) for row in rows if row["flag"] == flag)
    return bool(version) and between(version, since, "")


def libraries(gpu: str) -> list[Library]:
    """System libraries an engine needs."""
    return [row for row in load_rows(Library, "support.toml", "library") if row.gpu == gpu]


def cpu_settings() -> list[CpuSettings]:
    """Every way for a server to use its cores, the leanest first."""
    return load_rows(CpuSettings, "cpu_settings.toml", "settings")


def packaged_models() -> dict[str, PackagedModel]:
    """Models that need no hub, by name."""
    return {row.name: row for row in load_rows(PackagedModel, "models.toml", "model")}
