"""What an env file may hold: one table that drives parsing, vLLM's flags and the docs."""

from lifecycle.keys.flags import RESERVED_FLAGS, abbreviates, extra_arguments, flags_in
from lifecycle.keys.key import GPUS, Key
from lifecycle.keys.table import KEYS, SHAPING, TABLE, WITH_MODEL, owned

__all__ = [
    "GPUS",
    "KEYS",
    "RESERVED_FLAGS",
    "SHAPING",
    "TABLE",
    "WITH_MODEL",
    "Key",
    "abbreviates",
    "extra_arguments",
    "flags_in",
    "owned",
]
