"""Ways to install ROCm, and what fits together (`data/rocm.toml`)."""

import difflib
from dataclasses import dataclass

from lifecycle.errors import ConfigError
from lifecycle.tables.rows import load_file, load_row, load_rows
from lifecycle.tables.versions import between


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
        adrenalin_better: the one to have, and `why_better`; "" when any other does as well.
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
    adrenalin_better: str = ""
    why_better: str = ""

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
class AmdSmi:
    """AMD's amd-smi for WSL as a Debian package, and the folder and library it brings."""

    version: str
    url: str
    sha256: str
    folder: str
    library: str


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
    return [row for row in load_rows(Recipe, "rocm.toml", "recipe") if row.system == system]


def recipe(name: str) -> Recipe:
    """One way to install ROCm.

    Raises:
        ConfigError: there is none of this name.
    """
    rows = {row.name: row for row in load_rows(Recipe, "rocm.toml", "recipe")}
    if name in rows:
        return rows[name]
    near = difflib.get_close_matches(name, rows, 1, 0.4)
    raise ConfigError(
        f"there is no recipe {name}" + (f"; did you mean {near[0]}?" if near else ""),
        fix=f"Take one of: {', '.join(row.name for row in rows.values() if not row.refused)}.",
    )


def repository(recipe: str, codename: str) -> RocmRepository | None:
    """Where a recipe's packages come from on this release; None when there are none."""
    rows = load_rows(RocmRepository, "rocm.toml", "repository")
    return next((row for row in rows if (row.recipe, row.codename) == (recipe, codename)), None)


def releases(recipe: str) -> list[str]:
    """Code names of the releases a recipe has packages for."""
    rows = load_rows(RocmRepository, "rocm.toml", "repository")
    return [row.codename for row in rows if row.recipe == recipe]


def key() -> tuple[str, str, str]:
    """The key AMD's repositories are signed with: address, digest, and where it belongs."""
    row = load_file("rocm.toml")["key"]
    return row["url"], row["sha256"], row["path"]


def rocdxg(version: str) -> Rocdxg:
    """The package of one release of librocdxg."""
    return next(row for row in load_rows(Rocdxg, "rocm.toml", "rocdxg") if row.version == version)


def amd_smi() -> AmdSmi:
    """The amd-smi that works under WSL."""
    return load_row(AmdSmi, "rocm.toml", "amd_smi")


def paired(rocdxg: str, rocm: str) -> bool:
    """Whether this librocdxg is known to belong to this ROCm."""
    return any(
        between(rocdxg, row.rocdxg_from, row.rocdxg_below)
        and between(rocm, row.rocm_from, row.rocm_below)
        for row in load_rows(Pairing, "rocm.toml", "pairing")
    )


def shadowing() -> list[str]:
    """Packages of distributions that hide AMD's own libraries."""
    return list(load_file("rocm.toml")["shadowing"]["packages"])


def integrated(arch: str) -> bool:
    """Whether AMD graphics of this architecture are part of a processor."""
    return arch in load_file("rocm.toml")["integrated"]["archs"]


def complaint(said: str) -> Complaint | None:
    """What a failure of `rocminfo` means, as far as it is known."""
    rows = load_rows(Complaint, "rocm.toml", "complaint")
    return next((row for row in rows if row.says in said), None)
