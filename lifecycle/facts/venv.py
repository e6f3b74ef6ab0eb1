"""Engine environments: complete ones carry a stamp of what they were made from."""

import shutil
import sysconfig
from pathlib import Path

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.errors import NotSupported
from lifecycle.host import Venv
from lifecycle.paths import Paths
from lifecycle.runtimes.venv import STAMP

COMPILERS = ("cc", "gcc", "clang")


def look(backend: Backend, paths: Paths) -> Venv:
    """The state of the engine this backend would use, and what its programs compile with."""
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return Venv(
        made_from=_stamp(backend, paths),
        compiler=next(filter(None, map(shutil.which, COMPILERS)), ""),
        header=str(header) if header.is_file() else "",
    )


def _stamp(backend: Backend, paths: Paths) -> str:
    try:
        engine = tables.serving.engine_for(backend.gpu, backend.runtime)
        return (paths.engine(engine.name) / STAMP).read_text().strip()
    except (OSError, NotSupported):
        return ""
