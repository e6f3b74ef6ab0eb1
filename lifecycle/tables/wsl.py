"""What WSL must be, and what its error codes mean (`data/wsl.toml`)."""

from dataclasses import dataclass

from lifecycle.tables.rows import load_rows


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


def distributions() -> list[WslDistribution]:
    """Distributions we take, best first."""
    return load_rows(WslDistribution, "wsl.toml", "distribution")


def floor(what: str) -> WslFloor:
    """The oldest `windows`, `kernel` or `wsl` that does."""
    return next(row for row in load_rows(WslFloor, "wsl.toml", "floor") if row.what == what)


def settings() -> list[WslSetting]:
    """What `.wslconfig` must say."""
    return load_rows(WslSetting, "wsl.toml", "setting")


def memory() -> WslMemory:
    """How much RAM the virtual machine gets."""
    return load_rows(WslMemory, "wsl.toml", "memory")[0]


def error(text: str) -> tuple[str, WslError] | None:
    """The first known code in what a Windows program said, and what it means."""
    said = text.lower()
    rows = load_rows(WslError, "wsl.toml", "error")
    known = ((code, row) for row in rows for code in row.codes)
    return next(((code, row) for code, row in known if code.lower() in said), None)
