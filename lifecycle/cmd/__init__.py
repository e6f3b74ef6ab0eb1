"""What people type: the Invoke tasks. They talk; deciding and changing is done elsewhere."""

import sys

# Invoke turns bytecode off (--write-pyc): every command would compile all of us anew, for 0.15 s.
sys.dont_write_bytecode = bool(sys.flags.dont_write_bytecode)
