"""What people type: the Invoke tasks. They talk; deciding and changing is done elsewhere."""

import sys
from types import TracebackType

from lifecycle.cmd import streams


def keep_bytecode() -> None:
    """Undo Invoke's default (--write-pyc): each command would compile us anew, for 0.15 s."""
    sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)


def quiet_interrupt(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Say nothing of Ctrl-C that came while modules were loaded; Python then ends by the signal."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


# Where Invoke's own program imports us, too.
keep_bytecode()
streams.mend()
sys.excepthook = quiet_interrupt
