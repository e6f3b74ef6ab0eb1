"""vLLM's command line, read as vLLM reads it: from a recorded table of its flags.

vLLM's own parser is not asked, though an engine may be installed: importing it takes 13 s on two
cores (measured with 0.32.0), every command reads the arguments, and what runs in a container is not
here at all. `tests/integration/test_vllm_arguments.py` holds the two against each other.
"""

from lifecycle.arguments import memory, value
from lifecycle.arguments.flags import NEWEST, RECORDED, Flag, Table, table
from lifecycle.arguments.parser import Arguments, Refused, parse
from lifecycle.arguments.places import Place, places, with_places, words

__all__ = [
    "NEWEST",
    "RECORDED",
    "Arguments",
    "Flag",
    "Place",
    "Refused",
    "Table",
    "memory",
    "parse",
    "places",
    "table",
    "value",
    "with_places",
    "words",
]
