"""Models worth running, packaged or on the hub (`data/models.toml`): look-ups, and what is near."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lifecycle.tables.rows import load_rows

OTHER_FAMILY, LICENCE, OTHER_USE = 1.0, 1.0, 2.0
"""How far apart two models are, in doublings of size, for what they do not share."""


@dataclass(frozen=True)
class CatalogueModel:
    """A model that is known before anything of it is on disk.

    Args:
        name: what people type.
        about: what it is good for, in a clause.
        license: its licence, as short as people say it.
        family: models of one maker and generation, in several sizes.
        base: the same model in other numbers (bfloat16, AWQ, FP8) has the same.
        parameters: in thousand millions.
        use: `chat`, `code`, `reasoning` or `embedding`.
        weights: bytes of the tensors in its files, by safetensors' names of types. vLLM may hold
            less: not a second copy of tied embeddings, not layers that predict more tokens.
        config: what memory depends on, as its `config.json` has it.
        gpus: kinds of hardware it suits.
        repo: its id on the hub; "" when it comes in a Python package.
        revision: a commit, or `main` where no commit is known.
        gated: its licence must be accepted on the hub, with an account and a token.
        quantization: vLLM's word for it; "" for plain numbers.
        tool_parser: vLLM's name; "" when it calls no tools.
        reasoning_parser: vLLM's name; "" when it does not think aloud.
        chat_template: what is to be known about it; "" when it brings its own.
        vllm: the first version that loads it; "" for all this project knows.
        cautions: why a kind of hardware is not in `gpus`, or what to expect on it.
        recommended: False for what is here only because guides name it.
        verified: `hardware` (we ran it), `documented`, `reported` or `reckoned`.
    """

    name: str
    about: str
    license: str
    family: str
    base: str
    parameters: float
    use: str
    weights: Mapping[str, int]
    config: Mapping[str, Any]
    gpus: list[str]
    repo: str = ""
    revision: str = ""
    gated: bool = False
    quantization: str = ""
    tool_parser: str = ""
    reasoning_parser: str = ""
    chat_template: str = ""
    vllm: str = ""
    cautions: Mapping[str, str] = field(default_factory=dict)
    recommended: bool = True
    verified: str = "reckoned"

    @property
    def packaged(self) -> bool:
        """It comes in a Python package; no hub is needed."""
        return not self.repo

    @property
    def model(self) -> str:
        """What `MODEL=` takes."""
        return self.repo or self.name

    @property
    def size(self) -> int:
        """Bytes of its weight files, less their headers."""
        return sum(self.weights.values())


def catalogue() -> list[CatalogueModel]:
    """Every model: the packaged ones, then those of the hub, in the order of the file."""
    packaged = load_rows(CatalogueModel, "models.toml", "model")
    return [*packaged, *load_rows(CatalogueModel, "models.toml", "hub")]


def repos() -> list[str]:
    """The ids on the hub of all that come from there."""
    return [row.repo for row in catalogue() if row.repo]


def find(word: str) -> CatalogueModel | None:
    """A model by its short name or its id on the hub, in capitals or not; None when unknown."""
    wanted = word.strip().lower()
    return next((row for row in catalogue() if wanted in _names(row)), None)


def nearest(word: str, most: int = 3) -> list[str]:
    """Short names of the models a mistyped word may mean, the likeliest first."""
    known = {name: row.name for row in catalogue() for name in _names(row)}
    # A person types the name, not whose it is: `Qwen3-8B` means `Qwen/Qwen3-8B`.
    known |= {name.partition("/")[2]: row for name, row in known.items() if "/" in name}
    wanted = word.strip().lower()
    looked = {wanted, wanted.partition("/")[2] or wanted}
    scored = sorted(((_likeness(one, name), row) for name, row in known.items() for one in looked),
                    reverse=True)  # fmt: skip
    # What is far behind the best was not meant.
    least = max([0.6, *(likeness - 0.15 for likeness, _ in scored[:1])])
    rows = dict.fromkeys(row for likeness, row in scored if likeness >= least)
    return list(rows)[:most]


def alternatives(row: CatalogueModel) -> list[CatalogueModel]:
    """What to take where a model is too large, the nearest first.

    Only models with less weight. First the same one in other numbers; then by size, where another
    family, another use, or a licence to accept counts as so many doublings.
    """
    lighter = [one for one in catalogue() if one.size < row.size and _alike(one, row)]
    worth = [one for one in lighter if one.recommended or one.base == row.base]
    return sorted(worth, key=lambda one: (one.base != row.base, _distance(one, row)))


def lighter(weights: int) -> list[CatalogueModel]:
    """What to take where a model that is not in the catalogue is too large: the largest first.

    Args:
        weights: its bytes.
    """
    some = [row for row in catalogue() if row.recommended and row.use != "embedding"]
    return sorted((row for row in some if row.size < weights), key=lambda row: -row.size)


def _names(row: CatalogueModel) -> set[str]:
    return {row.name.lower(), row.model.lower()}


def _likeness(word: str, name: str) -> float:
    return difflib.SequenceMatcher(None, word, name).ratio()


def _alike(one: CatalogueModel, other: CatalogueModel) -> bool:
    """An embedding model answers nobody, and a chat model finds nothing."""
    return (one.use == "embedding") == (other.use == "embedding")


def _distance(one: CatalogueModel, other: CatalogueModel) -> float:
    return (
        abs(math.log2(one.parameters / other.parameters))
        + OTHER_FAMILY * (one.family != other.family)
        + OTHER_USE * (one.use != other.use)
        + LICENCE * (one.gated and not other.gated)
    )
