"""A `config.json` of any family in standard words: its names for keys, its class's assumptions."""

from collections.abc import Mapping
from typing import Any

from lifecycle import tables
from lifecycle.planner.numbers import Config
from lifecycle.tables.families import Family

TEXT = ("text_config", "llm_config", "language_config", "thinker_config", "lm_config")
"""Where models that also see or hear keep what the language part is."""


def language_part(config: Mapping[str, Any]) -> tuple[Mapping[str, Any], Family, str]:
    """What a config says of its language part, its family, and the name of that or ""."""
    kind = _kind(config)
    for key in TEXT:
        inner = config.get(key)
        if isinstance(inner, Mapping):
            outer = tables.families.family(kind)
            named = inner if _kind(inner) else {**inner, "model_type": outer.text or kind}
            return language_part(named)
    # A whole that names its language part nowhere is flat: the keys are the language part's.
    family = tables.families.family(kind)
    if family.text and "num_hidden_layers" not in _renamed(family.defaults, family):
        return config, tables.families.family(family.text), family.text
    return config, family, kind


def standard(values: Mapping[str, Any], family: Family) -> Config:
    """The same values under standard names, over what the family's class assumes."""
    return Config(_renamed(values, family), _renamed(family.defaults, family))


def _renamed(values: Mapping[str, Any], family: Family) -> dict[str, Any]:
    found = dict(values)
    names = {key: list(others) for key, others in tables.families.synonyms().items()}
    for key, name in family.renames.items():
        names[key] = [name, *names.get(key, [])]
    for key, others in names.items():
        given = (_reach(values, other) for other in others)
        value = next((one for one in given if one is not None), None)
        if found.get(key) is None and value is not None:
            found[key] = value
    return found


def _reach(values: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - JSON of anybody's making
    """The value at `a.b`; None when there is none."""
    reached: Any = values
    for key in path.split("."):
        reached = reached.get(key) if isinstance(reached, Mapping) else None
    return reached


def _kind(config: Mapping[str, Any]) -> str:
    kind = config.get("model_type")
    return kind if isinstance(kind, str) else ""
