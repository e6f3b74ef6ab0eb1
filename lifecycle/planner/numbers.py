"""Values out of a `config.json` that anybody may have written."""

from collections.abc import Mapping
from typing import Any, NoReturn

from lifecycle.errors import ModelUnavailable, UnknownKind

MOST = 1 << 40
"""No count in a model is larger; what is, is a mistake or an attack on our arithmetic."""


AUTO = "auto"
"""What some write for a number that follows from others."""


class Config:
    """A mapping that is read with care: a wrong value is said by its name.

    Args:
        defaults: what the family's own class assumes for keys the file leaves out. A null in the
            file is no such key: the class gets it, and takes it for "none".
    """

    def __init__(self, values: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
        assumed = {k: v for k, v in defaults.items() if k not in values}
        self._values = {**assumed, **{k: v for k, v in values.items() if v is not None}}

    def has(self, key: str) -> bool:
        """Whether it is there, and not null."""
        return key in self._values

    def raw(self, key: str) -> Any:  # noqa: ANN401 - JSON of anybody's making
        """The value as it is; None when it is missing."""
        return self._values.get(key)

    def count(self, *keys: str, default: int | None = None) -> int:
        """The first of these keys that is there, as a whole number.

        Raises:
            ModelUnavailable: it is no whole number.
            UnknownKind: there is none, and no default.
        """
        for key in keys:
            value = self.raw(key)
            if isinstance(value, list) and value:
                value = value[0]  # some give one value a layer, all the same
            if value is None or value == AUTO:
                continue
            if not _whole(value):
                broken(f"{key} is {value!r}, which is no whole number")
            if not 0 <= value <= MOST:
                broken(f"{key} is {value!r}")
            return int(value)
        if default is None:
            unknown(f"it has no {keys[0]}, nor another name of it that we know")
        return default

    def mapping(self, key: str) -> Mapping[str, Any]:
        """A nested object; an empty one when there is none.

        Raises:
            ModelUnavailable: it is something else.
        """
        value = self.raw(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            broken(f"{key} is no object")
        return value

    def words(self, key: str) -> tuple[str, ...]:
        """A list of words; none when there is no list."""
        value = self.raw(key)
        return tuple(map(str, value)) if isinstance(value, list) else ()

    def text(self, key: str) -> str:
        """A word; "" when there is none."""
        value = self.raw(key)
        return value if isinstance(value, str) else ""


def _whole(value: object) -> bool:
    """Python's JSON reader takes Infinity and NaN: `is_integer` is false for both."""
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)


def broken(why: str) -> NoReturn:
    """Say that the file cannot be used.

    Raises:
        ModelUnavailable: always.
    """
    raise ModelUnavailable(
        "the model's config.json cannot be used",
        why=why,
        fix="Fetch it anew if it was cut off or changed; else take another model: inv models",
    )


def unknown(why: str) -> NoReturn:
    """Say that the file may well be good, and that the planner cannot read it.

    Raises:
        UnknownKind: always.
    """
    raise UnknownKind(
        "a kind of model that the planner does not know",
        why=f"{why}; so nothing is said about whether it fits",
        fix="inv up starts it all the same and leaves the length to vLLM. If vLLM then has no "
        "room, set MAX_MODEL_LEN to what you need.",
    )
