"""Typed rows of `data/*.toml`, and the look-ups on them."""

import difflib
import hashlib
import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from lifecycle.errors import ConfigError, NotSupported
from lifecycle.paths import DATA

Row = TypeVar("Row")


@dataclass(frozen=True)
class Engine:
    """vLLM as a Python environment; sizes in GiB."""

    gpu: str
    distribution: str
    version: str
    lock: str
    command: list[str]
    python: list[str]
    torch_backend: str
    torch: str
    disk_gib: float
    ram_gib: float

    @property
    def name(self) -> str:
        """The folder's name, e.g. `cpu-0.32.0`."""
        return f"{self.gpu}-{self.version}"

    @property
    def lock_file(self) -> Path:
        """The resolved, hash-checked requirements."""
        return DATA / self.lock

    def fingerprint(self) -> str:
        """What a complete installation must have been made from."""
        return hashlib.sha256(self.lock_file.read_bytes()).hexdigest()[:16]


@dataclass(frozen=True)
class Image:
    """A container image that holds vLLM; size in GiB."""

    gpu: str
    reference: str
    vllm: str
    digest: str
    entrypoint: str
    disk_gib: float

    @property
    def pinned(self) -> str:
        """The reference to pull: by digest where one is known."""
        known = self.digest.startswith("sha256:")
        return f"{self.reference}@{self.digest}" if known else self.reference


@dataclass(frozen=True)
class CpuSupport:
    """Instruction sets that vLLM needs on the CPU, those that make it fast, and those that the
    images for graphics cards need of the processor beside the card.
    """

    machine: str
    required: list[str]
    recommended: list[str]
    beside_gpu: list[str]


@dataclass(frozen=True)
class Card:
    """A graphics card (or, without names, every card of one architecture).

    Args:
        names: parts of the names that drivers and Windows give it.
        arch: compute capability (`8.9`) or gfx name (`gfx1100`).
        memory_gib: as sold.
        wsl: whether it can be used from WSL2.
        driver_windows: lowest driver there: NVIDIA's number, or AMD's Adrenalin number.
        driver_linux: lowest NVIDIA driver on native Linux; "" when the kernel's own is meant.
        recipes: names of the ways to install ROCm for it, best first (`data/rocm.toml`).
        images: the family of images that has kernels for it.
        verified: `hardware` (we ran it), `documented` (its vendor says so), `reported` (others do).
    """

    vendor: str
    names: list[str]
    arch: str
    memory_gib: float
    wsl: bool
    driver_windows: str
    driver_linux: str
    recipes: list[str]
    images: str
    verified: str
    note: str = ""


@dataclass(frozen=True)
class Library:
    """A shared library vLLM loads and no wheel brings, and the package that has it."""

    gpu: str
    file: str
    apt: str


@dataclass(frozen=True)
class CpuSettings:
    """How a CPU server uses its cores."""

    max_cores: int
    env: dict[str, str]
    flags: list[str]
    why: str


@dataclass(frozen=True)
class PackagedModel:
    """A model whose weights come inside a Python package."""

    name: str
    about: str
    distribution: str
    version: str
    wheel_sha256: str
    file: str
    file_sha256: str
    size: int
    sampling: dict[str, float]

    @property
    def made_from(self) -> str:
        """What the manifest of its converted folder must say."""
        return f"{self.file_sha256} {json.dumps(self.sampling)}"


@cache
def _load(file: str) -> dict[str, Any]:
    return tomllib.loads((DATA / file).read_text(encoding="utf-8"))


def _rows(kind: type[Row], file: str, table: str) -> list[Row]:
    # Rows carry more than the program reads: source, checked, why. People read those.
    wanted = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    rows = _load(file)[table]
    return [kind(**{k: v for k, v in row.items() if k in wanted}) for row in rows]


def engine(gpu: str) -> Engine:
    """The engine for a kind of hardware."""
    for row in _rows(Engine, "engines.toml", "engine"):
        if row.gpu == gpu:
            return row
    raise NotSupported(f"no vLLM engine is known for GPU={gpu} in a venv", fix=_planned(gpu))


def image(gpu: str, here: Iterable[str] = ()) -> Image:
    """The image for a kind of hardware: the first one that is here, else the first row."""
    rows = [row for row in _rows(Image, "images.toml", "image") if row.gpu == gpu]
    if not rows:
        raise NotSupported(f"no container image is known for GPU={gpu}", fix=_planned(gpu))
    present = set(here)
    return next((row for row in rows if row.reference in present), rows[0])


def require_served(gpu: str, runtime: str) -> None:
    """Refuse a combination that `up` cannot start.

    Raises:
        NotSupported: and says what is missing for it.
    """
    if served(gpu, runtime):
        return
    able = sorted({row["gpu"] for row in _load("support.toml")["serve"]})
    raise NotSupported(
        f"GPU={gpu} with RUNTIME={runtime} cannot be started by this version",
        why=f"it still lacks {_planned(gpu) or 'a row in data/support.toml'}",
        fix=f"What can be started today: --gpu {', '.join(able)}.",
    )


def served(gpu: str, runtime: str) -> bool:
    """Whether `up` can start this hardware in this runtime."""
    return {"gpu": gpu, "runtime": runtime} in _load("support.toml")["serve"]


def servable(gpu: str) -> bool:
    """Whether any runtime can start this kind of hardware."""
    return any(row["gpu"] == gpu for row in _load("support.toml")["serve"])


def _planned(gpu: str) -> str:
    rows = _load("support.toml")["planned"]
    return next((str(row["missing"]) for row in rows if row["gpu"] == gpu), "")


def cpu_support(machine: str) -> CpuSupport:
    """What a processor of this architecture must have."""
    rows = _rows(CpuSupport, "support.toml", "cpu")
    for row in rows:
        if row.machine == machine:
            return row
    known = ", ".join(row.machine for row in rows)
    raise NotSupported(f"vLLM on {machine} processors is not known", why=f"known: {known}")


def cards(vendor: str) -> list[Card]:
    """Every row about `nvidia` or `amd` cards."""
    return [row for row in _rows(Card, "support.toml", "card") if row.vendor == vendor]


def card(vendor: str, name: str, arch: str) -> Card | None:
    """The row for a card: the longest name that is part of its own, else its architecture's."""
    rows = cards(vendor)
    named = [(part, row) for row in rows for part in row.names if part.lower() in name.lower()]
    if named:
        return max(named, key=lambda one: len(one[0]))[1]
    return next((row for row in rows if not row.names and row.arch == arch), None)


def libraries(gpu: str) -> list[Library]:
    """System libraries an engine needs."""
    return [row for row in _rows(Library, "support.toml", "library") if row.gpu == gpu]


def cpu_settings(cores: int) -> CpuSettings:
    """How a server should use so many cores."""
    rows = _rows(CpuSettings, "cpu_settings.toml", "settings")
    return next(row for row in rows if cores <= row.max_cores)


def packaged_models() -> dict[str, PackagedModel]:
    """Models that need no hub, by name."""
    return {row.name: row for row in _rows(PackagedModel, "models.toml", "model")}


# --- Tailscale


@dataclass(frozen=True)
class TailscalePackages:
    """Tailscale's signed repository for one release of a distribution."""

    distro: str
    codename: str
    repository: str
    key: str
    key_sha256: str
    verified: str


def tailscale_packages(distro: str, codename: str) -> TailscalePackages | None:
    """The repository for this release; None when its makers name none."""
    rows = _rows(TailscalePackages, "tailscale.toml", "tailscale")
    return next((row for row in rows if (row.distro, row.codename) == (distro, codename)), None)


# --- ROCm (rocm.toml) ---


@dataclass(frozen=True)
class Recipe:
    """A way to install ROCm.

    Args:
        system: `wsl` or `native`.
        rocm_from: the first version of ROCm it is right for.
        rocm_below: the first version it is not right for any more; "" for no end.
        installs: the version it installs.
        packages: what is installed, without AMD's installer.
        runtime: the package that makes this ROCm one for WSL; "" when librocdxg does.
        usecases: what AMD's installer is asked for, where it is there already.
        rocdxg: the version of librocdxg it installs; "" when it needs none.
        adrenalin: the lowest AMD driver suite in Windows; "" when Windows is not involved.
        environment: what programs that use the card need in theirs.
        refused: why it cannot be used at all; "" when it can.
        verified: as for `Card`.
    """

    name: str
    system: str
    rocm_from: str
    rocm_below: str
    installs: str
    packages: list[str]
    runtime: str
    usecases: list[str]
    rocdxg: str
    groups: list[str]
    adrenalin: str
    environment: dict[str, str]
    refused: str
    verified: str

    def right_for(self, rocm: str) -> bool:
        """Whether an installed ROCm of this version can be used this way."""
        return between(rocm, self.rocm_from, self.rocm_below)


@dataclass(frozen=True)
class RocmRepository:
    """Signed package lists of one release of a distribution: file name to the list's line."""

    recipe: str
    codename: str
    lists: dict[str, str]


@dataclass(frozen=True)
class Rocdxg:
    """A release of librocdxg as a Debian package."""

    version: str
    url: str
    sha256: str


@dataclass(frozen=True)
class Pairing:
    """Versions of librocdxg and ROCm that share the same structures in memory."""

    rocdxg_from: str
    rocdxg_below: str
    rocm_from: str
    rocm_below: str


@dataclass(frozen=True)
class Complaint:
    """A text of `rocminfo` when it fails, what it means, and what to do."""

    says: str
    why: str
    fix: str


def recipes(system: str) -> list[Recipe]:
    """Every way to install ROCm on `wsl` or `native` Linux."""
    return [row for row in _rows(Recipe, "rocm.toml", "recipe") if row.system == system]


def recipe(name: str) -> Recipe:
    """One way to install ROCm.

    Raises:
        ConfigError: there is none of this name.
    """
    rows = {row.name: row for row in _rows(Recipe, "rocm.toml", "recipe")}
    if name in rows:
        return rows[name]
    near = difflib.get_close_matches(name, rows, 1, 0.4)
    raise ConfigError(
        f"there is no recipe {name}" + (f"; did you mean {near[0]}?" if near else ""),
        fix=f"Take one of: {', '.join(row.name for row in rows.values() if not row.refused)}.",
    )


def rocm_repository(recipe: str, codename: str) -> RocmRepository | None:
    """Where a recipe's packages come from on this release; None when there are none."""
    rows = _rows(RocmRepository, "rocm.toml", "repository")
    return next((row for row in rows if (row.recipe, row.codename) == (recipe, codename)), None)


def rocm_releases(recipe: str) -> list[str]:
    """Code names of the releases a recipe has packages for."""
    rows = _rows(RocmRepository, "rocm.toml", "repository")
    return [row.codename for row in rows if row.recipe == recipe]


def rocm_key() -> tuple[str, str, str]:
    """The key AMD's repositories are signed with: address, digest, and where it belongs."""
    row = _load("rocm.toml")["key"]
    return row["url"], row["sha256"], row["path"]


def rocdxg(version: str) -> Rocdxg:
    """The package of one release of librocdxg."""
    return next(row for row in _rows(Rocdxg, "rocm.toml", "rocdxg") if row.version == version)


def paired(rocdxg: str, rocm: str) -> bool:
    """Whether this librocdxg is known to belong to this ROCm."""
    return any(
        between(rocdxg, row.rocdxg_from, row.rocdxg_below)
        and between(rocm, row.rocm_from, row.rocm_below)
        for row in _rows(Pairing, "rocm.toml", "pairing")
    )


def shadowing() -> list[str]:
    """Packages of distributions that hide AMD's own libraries."""
    return list(_load("rocm.toml")["shadowing"]["packages"])


def integrated(arch: str) -> bool:
    """Whether AMD graphics of this architecture are part of a processor."""
    return arch in _load("rocm.toml")["integrated"]["archs"]


def complaint(said: str) -> Complaint | None:
    """What a failure of `rocminfo` means, as far as it is known."""
    rows = _rows(Complaint, "rocm.toml", "complaint")
    return next((row for row in rows if row.says in said), None)


def numbers(version: str) -> tuple[int, ...]:
    """A version as numbers that compare: `7.2.1-81` is (7, 2, 1)."""
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdecimal())


def between(version: str, first: str, below: str) -> bool:
    """Whether first <= version < below; a `below` of "" is no end."""
    return numbers(first) <= numbers(version) and (not below or numbers(version) < numbers(below))


# What data/cuda.toml knows of NVIDIA.


@dataclass(frozen=True)
class Cuda:
    """What a build for one version of CUDA needs.

    Args:
        driver: the lowest driver.
        arch: the lowest compute capability it has kernels for.
        newest_arch: the highest one.
    """

    version: str
    driver: str
    arch: str
    newest_arch: str


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
        image: a small image to try it with.
        stamp: the file in our home that says with what a container last saw the cards.
    """

    version: str
    lowest: str
    why_lowest: str
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


def cuda(reference: str) -> Cuda | None:
    """What an image of vLLM's own needs; None when its tag tells nothing."""
    name, _, tag = reference.partition("@")[0].rpartition(":")
    version = numbers(tag.removeprefix("v"))
    if not name.endswith("vllm/vllm-openai") or not version:
        return None
    for row in _rows(CudaTag, "cuda.toml", "tag"):
        fits = tag.endswith(row.suffix) if row.suffix else "-cu" not in tag
        if fits and version >= numbers(row.since):
            return next(one for one in cudas() if one.version == row.cuda)
    return None


def images(gpu: str) -> list[str]:
    """Every image for a kind of hardware, the wanted one first."""
    return [row.reference for row in _rows(Image, "images.toml", "image") if row.gpu == gpu]


def cudas() -> list[Cuda]:
    """Every version of CUDA that images are built for, newest first."""
    return _rows(Cuda, "cuda.toml", "cuda")


def container_toolkit() -> ContainerToolkit:
    """The container toolkit to install."""
    return _row(ContainerToolkit, "cuda.toml", "container_toolkit")


def cuda_on_wsl() -> CudaOnWsl:
    """Where the driver's libraries are in WSL."""
    return _row(CudaOnWsl, "cuda.toml", "wsl")


def cuda_toolkits() -> list[CudaToolkit]:
    """CUDA toolkits, newest first."""
    return _rows(CudaToolkit, "cuda.toml", "toolkit")


def cuda_toolkit_repository(system: str) -> CudaToolkitRepository | None:
    """Where a system gets CUDA toolkits from; None when that is not known."""
    rows = _rows(CudaToolkitRepository, "cuda.toml", "toolkit_repository")
    return next((row for row in rows if row.system == system), None)


def smi_complaint(text: str) -> SmiComplaint | None:
    """What a failure of nvidia-smi means."""
    rows = _rows(SmiComplaint, "cuda.toml", "complaint")
    return next((row for row in rows if row.says.lower() in text.lower()), None)


def _row(kind: type[Row], file: str, table: str) -> Row:
    wanted = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{k: v for k, v in _load(file)[table].items() if k in wanted})


# Docker: where its packages come from.
@dataclass(frozen=True)
class DockerPackages:
    """Packages that bring Docker Engine and Compose v2 to some versions of one distribution.

    Args:
        versions: `VERSION_ID` of os-release.
        provider: `distribution` or `vendor`.
        engine: the package of the engine itself; the others come with it.
        conflicts: packages that cannot stand beside these.
        repository: the vendor's; "" where apt knows the packages already.
        key: address of the key that signs it.
    """

    distro: str
    versions: list[str]
    provider: str
    engine: str
    packages: list[str]
    conflicts: list[str]
    repository: str = ""
    key: str = ""
    key_sha256: str = ""


def docker_packages(distro: str, version: str) -> list[DockerPackages]:
    """Ways to install Docker on a distribution, the best first; [] where none is known."""
    rows = _rows(DockerPackages, "docker.toml", "docker")
    return [row for row in rows if row.distro == distro and version in row.versions]


# WSL (`data/wsl.toml`)


@dataclass(frozen=True)
class WslDistribution:
    """A distribution `inv setup.wsl` installs, and what Windows' registry says is in it."""

    name: str
    release: str


@dataclass(frozen=True)
class WslFloor:
    """The oldest version that does: of `windows`, of the `kernel`, of `wsl` itself."""

    what: str
    version: str
    why: str


@dataclass(frozen=True)
class WslSetting:
    """What `.wslconfig` must say, by `section.key`; `why` is what happens otherwise."""

    key: str
    value: str
    default: str
    why: str


@dataclass(frozen=True)
class WslMemory:
    """RAM of the virtual machine: shares of Windows' RAM, and what is left to Windows in GiB."""

    default_share: float
    share: float
    windows_gib: int


@dataclass(frozen=True)
class WslError:
    """What Windows' codes mean: numbers, their names, or the page a translated text links to."""

    codes: list[str]
    meaning: str
    fix: str


def wsl_distributions() -> list[WslDistribution]:
    """Distributions we take, best first."""
    return _rows(WslDistribution, "wsl.toml", "distribution")


def wsl_floor(what: str) -> WslFloor:
    """The oldest `windows`, `kernel` or `wsl` that does."""
    return next(row for row in _rows(WslFloor, "wsl.toml", "floor") if row.what == what)


def wsl_settings() -> list[WslSetting]:
    """What `.wslconfig` must say."""
    return _rows(WslSetting, "wsl.toml", "setting")


def wsl_memory() -> WslMemory:
    """How much RAM the virtual machine gets."""
    return _rows(WslMemory, "wsl.toml", "memory")[0]


def wsl_error(text: str) -> tuple[str, WslError] | None:
    """The first known code in what a Windows program said, and what it means."""
    said = text.lower()
    rows = _rows(WslError, "wsl.toml", "error")
    known = ((code, row) for row in rows for code in row.codes)
    return next(((code, row) for code, row in known if code.lower() in said), None)
