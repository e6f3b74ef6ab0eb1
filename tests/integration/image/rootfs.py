"""A small Debian, as one tar file, kept in a cache folder."""

from __future__ import annotations

import hashlib
import os
import platform
import tarfile
import tempfile
from pathlib import Path

from tests.integration.image import debian_source
from tests.integration.image.processes import ImageError, require, stream

# python3 is there for the libraries it brings (OpenSSL, SQLite, libffi…), which the engine's own
# Python is linked to. The rest is what torch and vLLM open at run time.
PACKAGES = ("ca-certificates", "libgomp1", "libnuma1", "libstdc++6", "python3", "usr-is-merged")
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/man/*")
MERGED_USR = Path("/usr/share/mmdebstrap/hooks/maybe-merged-usr")
BLOCK = tarfile.BLOCKSIZE


def own_source(codename: str) -> str:
    """Where this machine gets its own suite from, as deb822 text."""
    source = debian_source.find(Path("/etc/apt"), codename)
    if source is None:
        raise ImageError(f"no source under /etc/apt offers {codename!r} with component main")
    return debian_source.for_suite(source, codename)


def recipe(codename: str) -> list[str]:
    """Spell the command that writes a root file system to its output."""
    return [
        "mmdebstrap",
        "--quiet",
        "--variant=essential",
        f"--hook-dir={MERGED_USR}",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT),
        codename,
        "-",
        "-",
    ]


def make(target: Path, codename: str) -> None:
    """Write the tar file whole, or not at all."""
    require("mmdebstrap", "mmdebstrap")
    source = own_source(codename)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            stream(recipe(codename), file, text_in=source)
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


def cached(cache: Path) -> tuple[Path, bool]:
    """Return the tar file, and whether it had to be made now."""
    # The same suite as this machine: the engine's libraries were chosen to run on it.
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    digest = hashlib.sha256(" ".join(recipe(codename)).encode()).hexdigest()[:12]
    target = cache / f"rootfs-{codename}-{digest}.tar"
    if target.exists():
        return target, False
    cache.mkdir(parents=True, exist_ok=True)
    make(target, codename)
    return target, True


def length_without_end(path: Path) -> int:
    """Where the last entry ends: what follows would end a longer tar stream too early."""
    with tarfile.open(path) as archive:
        last = archive.getmembers()[-1]
    return last.offset_data + (last.size + BLOCK - 1) // BLOCK * BLOCK
