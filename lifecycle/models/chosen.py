"""The untracked file that says which model a backend serves instead of the one in its own file."""

import re
from collections.abc import Mapping
from datetime import datetime

from lifecycle.backend import LOCAL, Backend
from lifecycle.keys import KEYS, WITH_MODEL

PLAIN = re.compile(r"[\w./:@+,~-]+")
"""What every reader of env files takes as it stands, without quotes."""


def text(
    tracked: Backend,
    model: str,
    now: datetime,
    *,
    known: Mapping[str, str],
    given: Mapping[str, str],
) -> str:
    """The text of `env/local/<name>.env`; "" when the tracked file says all of it.

    For another model than the tracked one's it has every key that goes with a model, most of them
    without a value: a parser of tool calls, say, or a length that this model cannot do.

    Args:
        tracked: the backend without such a file.
        known: what goes with the model, by key.
        given: what a person asked for, by key; it comes first.
    """
    if model == tracked.model:
        if not given:
            return ""
        lines = {"MODEL": model, **given}
    else:
        said = {**known, **given, "MODEL": model}
        keys = [key for key in WITH_MODEL if tracked.gpu in KEYS[key].gpus]
        lines = {key: said.get(key, "") for key in keys}
    name = tracked.name
    return f"""\
# Written by `inv switch` on {now:%Y-%m-%d at %H:%M %Z}; git does not track {LOCAL}/.
# This stands above env/{name}.env. A key without a value takes the one there away: it is for
# another model.
# Back: inv switch {tracked.model} --gpu {name}   (or delete this file, then inv up)
""" + "".join(f"{key}={_quoted(value)}\n" for key, value in lines.items())


def _quoted(value: str) -> str:
    """As python-dotenv reads it back: a blank, a quote or a `#` would else cut it short."""
    if not value or PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
