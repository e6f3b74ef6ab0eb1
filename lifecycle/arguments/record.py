# mypy: disable-error-code="import-not-found"
"""Write down every flag of `vllm serve` of one version. Run by a Python that has vLLM, not by ours.

usage: record.py SOURCE > lifecycle/data/vllm_flags/<version>.toml

SOURCE is a sentence on where that vLLM came from. A wheel of another version runs in the CPU
engine's Python: unzip its Python files into a folder, set the version in its METADATA to
`<version>+cpu`, and put the folder first in PYTHONPATH.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

HEAD = """\
# Every flag of `vllm serve` {version}, written by lifecycle/arguments/record.py; what the
# fields mean: lifecycle/arguments/flags.py.
version = "{version}"
source = {source}
checked = {today}
"""
PLAIN = {"str": "text", "int": "int", "float": "float", "human_readable_int": "count",
         "human_readable_int_or_auto": "count or auto", "loads": "json",
         "union_dict_and_str": "text or json", "parse_dataclass": "object"}  # fmt: skip
"""Functions that convert a value, and our word for what they take."""


def main(source: str) -> None:
    """Print the table as TOML."""
    import vllm
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    parser = _parser(FlexibleArgumentParser())
    version = vllm.__version__.partition("+")[0]
    today = time.strftime("%Y-%m-%d", time.gmtime())
    spellings: dict[argparse.Action, list[str]] = {}
    for spelling, action in parser._option_string_actions.items():  # noqa: SLF001
        spellings.setdefault(action, []).append(spelling)
    rows = [_row(action, words) for action, words in spellings.items() if action.dest != "help"]
    names = [f"{name} = {json.dumps(sorted(known))}" for name, known in _names().items()]
    head = HEAD.format(version=version, source=json.dumps(source), today=today)
    table = ["[names]  # that values are looked up in", *names, "", "[flags]", *sorted(rows)]
    sys.stdout.write(head + "\n".join(table) + "\n")


def _parser(bare: argparse.ArgumentParser) -> Any:  # noqa: ANN401 - vLLM's own class
    """`make_arg_parser`, wherever this version keeps it."""
    from importlib import import_module

    for name in ("launchers", "common", "openai"):
        try:
            module = import_module(f"vllm.entrypoints.{name}.cli_args")
        except ModuleNotFoundError:
            continue
        return module.make_arg_parser(bare)
    raise SystemExit("this vLLM keeps make_arg_parser in a place that record.py does not know")


def _row(action: argparse.Action, spellings: list[str]) -> str:
    off = _negative(action, spellings)
    plain = [one for one in spellings if one not in off]
    name, *also = sorted(plain, key=lambda one: not one.startswith("--"))
    row: dict[str, Any] = {"also": also} if also else {}
    row |= {"off": off} if off else {}
    row |= _type(action)
    if action.nargs in {"+", "*"}:
        row["many"] = True
    if action.choices:
        row["choices"] = [one for one in action.choices if one is not None]
    return f"{json.dumps(name)} = {_inline(row)}"


def _negative(action: argparse.Action, spellings: list[str]) -> list[str]:
    """The spellings that switch it off."""
    if not isinstance(action, argparse.BooleanOptionalAction):
        return []
    told = getattr(action, "negative_option_strings", None)  # from 0.33 on
    return [
        one for one in spellings if (one in told if told is not None else one.startswith("--no-"))
    ]


def _type(action: argparse.Action) -> dict[str, Any]:
    kind = type(action).__name__
    if isinstance(action, argparse.BooleanOptionalAction) or action.nargs == 0:
        return {"type": "switch"}
    if kind == "LoRAParserAction":
        return {"type": "adapters"}
    if action.nargs == "?":
        return {"type": "text", "alone": True}
    convert, optional = _unwrapped(action.type)
    name = getattr(convert, "__name__", "")
    word = "word" if name == "<lambda>" and action.choices else PLAIN.get(name, "text")
    if word == "json" and isinstance(action.default, list):
        word = "json list"
    row: dict[str, Any] = {"type": word}
    if optional:
        row["optional"] = True
    if kind == "_AppendAction":
        row["each"] = True
    cls = _config_class(action, convert)
    return row | ({"fields": _fields(cls)} if cls else {})


def _unwrapped(convert: Any) -> tuple[Any, bool]:  # noqa: ANN401 - whatever converts
    """The function under `optional_type` and `parse_type`, and whether "None" is a value, too."""
    optional = False
    while getattr(convert, "__name__", "") in {"_optional_type", "_parse_type"}:
        optional = optional or convert.__name__ == "_optional_type"
        convert = convert.__closure__[0].cell_contents
    return convert, optional


def _config_class(action: argparse.Action, convert: Callable[..., Any] | None) -> Any:  # noqa: ANN401
    """The dataclass that a JSON value must fit; None for any object."""
    import vllm.config as configs

    if getattr(convert, "__name__", "") == "parse_dataclass" and convert is not None:
        return (convert.__defaults__ or (None,))[0]
    return {"speculative_config": configs.SpeculativeConfig}.get(action.dest)


def _fields(cls: Any) -> dict[str, str]:  # noqa: ANN401 - a dataclass
    """Names of the fields a person may set, and the type of each in a word."""
    if not is_dataclass(cls):
        return {}
    return {one.name: _field(one.type) for one in fields(cls) if one.init}


def _field(hint: Any) -> str:  # noqa: ANN401 - a type
    words = {"int": "int", "float": "float", "bool": "bool", "str": "text"}
    united = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    parts = [one for one in united if one is not type(None)]
    return words.get(getattr(parts[0], "__name__", ""), "any") if len(parts) == 1 else "any"


def _names() -> dict[str, Iterable[str]]:
    """Lists that vLLM looks values up in, where this version has them."""
    found: dict[str, Iterable[str]] = {}
    for name, read in (
        ("quantization", _quantization), ("attention", _attention), ("reasoning", _reasoning),
        ("tool", _tool),
    ):  # fmt: skip
        try:
            found[name] = read()
        except (ImportError, AttributeError) as error:
            sys.stderr.write(f"no list {name}: {error}\n")
    return found


def _quantization() -> Iterable[str]:
    from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS

    return list(QUANTIZATION_METHODS)


def _attention() -> Iterable[str]:
    from vllm.v1.attention.backends.registry import AttentionBackendEnum

    return [one.name for one in AttentionBackendEnum]


def _reasoning() -> Iterable[str]:
    from vllm.reasoning import ReasoningParserManager

    known = ReasoningParserManager
    return [*known.reasoning_parsers, *getattr(known, "lazy_parsers", {})]


def _tool() -> Iterable[str]:
    from importlib import import_module

    for place in ("vllm.tool_parsers", "vllm.entrypoints.openai.tool_parsers"):
        try:
            known = import_module(place).ToolParserManager
        except ModuleNotFoundError:
            continue
        return [*known.tool_parsers, *getattr(known, "lazy_parsers", {})]
    raise ImportError("tool parsers")


def _inline(row: dict[str, Any]) -> str:
    """A table of TOML in one line; JSON spells strings, lists and booleans the same."""
    return "{ " + ", ".join(f"{key} = {_value(value)}" for key, value in row.items()) + " }"


def _value(value: Any) -> str:  # noqa: ANN401 - whatever the table holds
    return _inline(value) if isinstance(value, dict) else json.dumps(value)


if __name__ == "__main__":
    main(sys.argv[1])
