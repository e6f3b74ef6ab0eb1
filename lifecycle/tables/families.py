"""What is known of a kind of model by its `model_type`: other names of its keys, and what its class
assumes (`data/model_classes.toml`, which is generated; `[family]` and `[latent]` of `data/fit.toml`
correct it).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lifecycle.tables.rows import load_file

NOT_DEFAULTS = {"source", "checked", "renames", "text", "vision"}


@dataclass(frozen=True)
class Family:
    """One kind of model.

    Args:
        known: transformers, vLLM or we have a class for it.
        written: the first two have.
        renames: standard key to the name this family gives it; `a.b` is `b` inside of `a`.
        defaults: what its class assumes for keys a `config.json` leaves out.
        text: the family of its language part where that does not say.
        vision: the family of the part that sees, likewise.
    """

    known: bool = False
    written: bool = False
    renames: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    vision: str = ""


def family(name: str) -> Family:
    """What is known of a `model_type`; an empty row for one nobody knows."""
    written = load_file("model_classes.toml")["class"].get(name)
    own = load_file("fit.toml")["family"].get(name)
    if written is None and own is None:
        return Family()
    made, ours = written or {}, own or {}
    corrected = {k: v for k, v in ours.items() if k not in NOT_DEFAULTS}
    return Family(
        known=True,
        written=written is not None,
        renames={**made.get("renames", {}), **ours.get("renames", {})},
        defaults={**made.get("defaults", {}), **corrected},
        text=ours.get("text", made.get("text", "")),
        vision=ours.get("vision", made.get("vision", "")),
    )


def synonyms() -> Mapping[str, list[str]]:
    """Standard keys, and the names that files of any family give them."""
    found: dict[str, list[str]] = load_file("fit.toml")["synonyms"]
    return {key: names for key, names in found.items() if isinstance(names, list)}


def serves(architecture: str) -> bool:
    """Whether vLLM has a model of its own for a class that `architectures` names, or makes one of
    a class that differs only in what it is for.
    """
    served = load_file("model_classes.toml")["architectures"]
    start, end = _split(architecture)
    endings = [one for many in _endings().values() for one in many] if end else []
    return architecture in served or any(f"{start}{one}" in served for one in endings)


def pools(architecture: str) -> bool:
    """Whether vLLM serves a class for embeddings, scores or labels, and not for text."""
    return _split(architecture)[1] in _endings()["pooling"]


def _endings() -> Mapping[str, list[str]]:
    rows = load_file("fit.toml")["runners"]
    return {name: rows[name] for name in ("generate", "pooling")}


def _split(architecture: str) -> tuple[str, str]:
    """A class's name without the word for what it is for, and that word; "" when it has none."""
    for many in _endings().values():
        for ending in many:
            if architecture.endswith(ending):
                return architecture.removesuffix(ending), ending
    return architecture, ""


def dropped(architecture: str) -> str:
    """The last version of vLLM that had a model for a class; "" where it has, or never had."""
    return str(load_file("model_classes.toml")["dropped"].get(architecture, ""))


def plugin(architecture: str) -> str:
    """The address of the plugin vLLM wants for a class; "" where it wants none."""
    return str(load_file("model_classes.toml")["plugins"].get(architecture, ""))


def latent(name: str) -> bool:
    """Whether vLLM keeps one compressed vector a token for this family (MLA)."""
    return name in load_file("fit.toml")["latent"]["families"]


def decompressed(name: str) -> bool:
    """Whether it is known that vLLM keeps full heads of this family's latent attention."""
    return name in load_file("fit.toml")["latent"]["full_heads"]


def tied(name: str) -> bool:
    """Whether a family's outputs are its embedding when the file does not say."""
    return any(name.startswith(one) for one in load_file("fit.toml")["tied"]["families"])


def refuses_float16(name: str) -> bool:
    """Whether vLLM computes this family in bfloat16 and float32 only."""
    return name in load_file("fit.toml")["no_float16"]["families"]
