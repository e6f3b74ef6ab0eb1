"""What people type: the Invoke tasks. They talk; deciding and changing is done elsewhere."""

import sys


def keep_bytecode() -> None:
    """Undo Invoke's default (--write-pyc): each command would compile us anew, for 0.15 s."""
    sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)


keep_bytecode()  # where Invoke's own program imports us
