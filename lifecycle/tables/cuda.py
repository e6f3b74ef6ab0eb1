"""What NVIDIA's drivers, images and toolkits need of each other (`data/cuda.toml`)."""

from dataclasses import dataclass, field

from lifecycle.tables.rows import load_row, load_rows
from lifecycle.tables.versions import numbers


@dataclass(frozen=True)
class Cuda:
    """What a build for one version of CUDA needs.

    Args:
        driver: the lowest driver.
        arch: the lowest compute capability it has kernels for.
        newest_arch: the highest one.
        branches: older drivers that its images let through all the same, by their first number; not
            on GeForce and TITAN cards.
        verified: what that rests on, as for `Card`.
    """

    version: str
    driver: str
    arch: str
    newest_arch: str
    branches: list[str] = field(default_factory=list)
    verified: str = "reported"


@dataclass(frozen=True)
class CudaTag:
    """Which CUDA a tag of vLLM's images means, from one version of vLLM on."""

    suffix: str
    since: str
    cuda: str


@dataclass(frozen=True)
class AptRepository:
    """A vendor's repository, which apt checks against the vendor's key.

    Args:
        keyring: where the key goes.
        sources: the file that tells apt of it.
    """

    key: str
    keyring: str
    sources: str
    repository: str


@dataclass(frozen=True)
class ContainerToolkit(AptRepository):
    """The NVIDIA Container Toolkit: which one is installed, and which is just good enough.

    Args:
        cdi_since: the first version that keeps a description of the cards (CDI) fresh.
        cdi_fresh: that description.
        image: a small image to try it with.
        stamp: the file in our home that says with what a container last saw the cards.
    """

    version: str
    lowest: str
    why_lowest: str
    cdi_since: str
    cdi_fresh: str
    packages: list[str]
    image: str
    stamp: str


@dataclass(frozen=True)
class CudaOnWsl:
    """Where Windows' driver libraries are in WSL, and our file that tells the loader of them."""

    libraries: str
    loader: str


@dataclass(frozen=True)
class CudaToolkit:
    """The CUDA toolkit (nvcc) as a package."""

    version: str
    package: str


@dataclass(frozen=True)
class CudaToolkitRepository(AptRepository):
    """Where its packages are for one system: `wsl`, or ID and VERSION_ID of os-release."""

    system: str


@dataclass(frozen=True)
class SmiComplaint:
    """What nvidia-smi says when it fails, what that means, and what to do."""

    says: str
    means: str
    linux: str
    wsl: str


def of_image(reference: str) -> Cuda | None:
    """What an image of vLLM's own needs; None when its tag tells nothing."""
    name, _, tag = reference.partition("@")[0].rpartition(":")
    version = numbers(tag.removeprefix("v"))
    if not name.endswith("vllm/vllm-openai") or not version:
        return None
    for row in load_rows(CudaTag, "cuda.toml", "tag"):
        fits = tag.endswith(row.suffix) if row.suffix else "-cu" not in tag
        if fits and version >= numbers(row.since):
            return next(one for one in cudas() if one.version == row.cuda)
    return None


def cudas() -> list[Cuda]:
    """Every version of CUDA that images are built for, newest first."""
    return load_rows(Cuda, "cuda.toml", "cuda")


def container_toolkit() -> ContainerToolkit:
    """The container toolkit to install."""
    return load_row(ContainerToolkit, "cuda.toml", "container_toolkit")


def on_wsl() -> CudaOnWsl:
    """Where the driver's libraries are in WSL."""
    return load_row(CudaOnWsl, "cuda.toml", "wsl")


def toolkits() -> list[CudaToolkit]:
    """CUDA toolkits, newest first."""
    return load_rows(CudaToolkit, "cuda.toml", "toolkit")


def toolkit_repository(system: str) -> CudaToolkitRepository | None:
    """Where a system gets CUDA toolkits from; None when that is not known."""
    rows = load_rows(CudaToolkitRepository, "cuda.toml", "toolkit_repository")
    return next((row for row in rows if row.system == system), None)


def smi_complaint(text: str) -> SmiComplaint | None:
    """What a failure of nvidia-smi means."""
    rows = load_rows(SmiComplaint, "cuda.toml", "complaint")
    return next((row for row in rows if row.says.lower() in text.lower()), None)
