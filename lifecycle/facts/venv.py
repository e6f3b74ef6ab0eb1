"""Engine environments: complete ones carry a stamp of what they were made from."""

from lifecycle import tables
from lifecycle.backend import Backend
from lifecycle.errors import NotSupported
from lifecycle.host import Venv
from lifecycle.paths import Paths
from lifecycle.runtimes.venv import STAMP


def look(backend: Backend, paths: Paths) -> Venv:
    """The state of the engine this backend would use."""
    try:
        stamp = paths.engine(tables.serving.engine(backend.gpu).name) / STAMP
        return Venv(made_from=stamp.read_text().strip())
    except (OSError, NotSupported):
        return Venv()
