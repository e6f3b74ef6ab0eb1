"""Which quantizations vLLM takes (`data/quantizations.toml`)."""

from dataclasses import dataclass, field

from lifecycle.tables.rows import load_file, load_rows
from lifecycle.tables.versions import numbers


@dataclass(frozen=True)
class Method:
    """One quantization.

    Args:
        name: vLLM's word for it.
        capability: the lowest compute capability of an NVIDIA card that can.
        dtypes: what vLLM computes with beside it.
        words: other names for it in files and in `QUANTIZATION`.
        rocm: it runs on AMD cards.
        online: it also quantizes plain weights at the start.
        deprecated: vLLM takes it only with `--allow-deprecated-quantization`.
        bits, groups: of integers it has kernels for, groups on NVIDIA cards; none: no rule.
        symmetric: it takes no zero points.
    """

    name: str
    capability: str
    dtypes: list[str]
    words: list[str] = field(default_factory=list)
    rocm: bool = False
    online: bool = False
    deprecated: bool = False
    bits: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    symmetric: bool = False

    def means(self, word: str) -> bool:
        """Whether a word names this method."""
        return _plain(word) in {_plain(one) for one in (self.name, *self.words)}


def methods() -> list[Method]:
    """All of them."""
    return load_rows(Method, "quantizations.toml", "method")


def method(word: str) -> Method | None:
    """The method of a name; None for one that vLLM does not have."""
    rows = methods()
    exact = (row for row in rows if _plain(row.name) == _plain(word))
    return next(exact, None) or next((row for row in rows if row.means(word)), None)


def covers(word: str, version: str) -> bool:
    """Whether the rows say anything of this word in this version of vLLM; "" is the newest."""
    table = load_file("quantizations.toml")
    elsewhere = any(_plain(word).startswith(_plain(one)) for one in table["elsewhere"])
    return not elsewhere and (not version or numbers(version) >= numbers(table["since"]))


def _plain(word: str) -> str:
    return word.lower().replace("_", "-")
