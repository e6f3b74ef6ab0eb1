"""What a healthy server answers to fixed texts (`data/known_answers.toml`)."""

from dataclasses import dataclass, field

from lifecycle.tables.rows import load_row, load_rows


@dataclass(frozen=True)
class Passage:
    """A text that is scored, then shown again as far as `breaks_before`: any model copies on.

    Args:
        question: what is asked in chat.
        tokens: the most that are generated for each.
    """

    text: str
    breaks_before: str
    question: str
    tokens: int

    @property
    def prompt(self) -> str:
        """The text, and the beginning of it a second time."""
        return self.text + self.text[: self.text.index(self.breaks_before)].rstrip()

    @property
    def expected(self) -> str:
        """How the second copy goes on."""
        return self.text[self.text.index(self.breaks_before) :].strip()


@dataclass(frozen=True)
class Bounds:
    """What holds for every model that follows instructions.

    Args:
        perplexity: the highest of ordinary prose.
        copied: the highest of a text that was read a moment before.
        repeated: the share of its tokens that one word may have in an answer of some length.
        foreign: the share of letters that may be of a different script than the question.
    """

    perplexity: float
    copied: float
    repeated: float
    foreign: float


@dataclass(frozen=True)
class Tolerance:
    """How far a number format may be off the float32 reference.

    Args:
        mean: of the absolute differences of log-probabilities, in nats.
    """

    dtype: str
    mean: float


@dataclass(frozen=True)
class Reference:
    """A model's own answers in float32: log-probabilities (nats) of the passage's tokens.

    Args:
        model: as `MODEL=` names it.
        tokens: the ids of the prompt's tokens, without the first.
        logprobs: of each of them, as far as the first copy goes.
        top: the ids ranked first at these places.
    """

    model: str
    tokens: list[int]
    logprobs: list[float]
    top: list[int]


@dataclass(frozen=True)
class Cause:
    """A reason that answers are wrong; an empty list means that it holds everywhere.

    Args:
        symptoms: of `verification.symptoms`.
        archs: beginnings of architectures.
        dtypes, quantizations, kv_cache_dtypes: beginnings of the values in use.
        models: parts of the model's name, in small letters.
        text: the cause, in a clause.
        fix: what to try.
    """

    id: str
    symptoms: list[str]
    text: str
    fix: str
    gpus: list[str] = field(default_factory=list)
    archs: list[str] = field(default_factory=list)
    dtypes: list[str] = field(default_factory=list)
    quantizations: list[str] = field(default_factory=list)
    kv_cache_dtypes: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    verified: str = "reported"


FILE, QUANTIZED = "known_answers.toml", "quantized"


def passage() -> Passage:
    """The text every server is asked about."""
    return load_row(Passage, FILE, "passage")


def bounds() -> Bounds:
    """What holds for every model."""
    return load_row(Bounds, FILE, "bounds")


def tolerance(dtype: str) -> float:
    """Nats that a number format (a dtype of vLLM, or a quantization) may be off on average."""
    rows = {row.dtype: row.mean for row in load_rows(Tolerance, FILE, "tolerance")}
    return rows.get(dtype, rows[QUANTIZED])


def reference(model: str) -> Reference | None:
    """The recorded reference of a model; None for all but a few."""
    rows = load_rows(Reference, "references.toml", "reference")
    return next((row for row in rows if row.model.lower() == model.lower()), None)


def causes() -> list[Cause]:
    """Every known cause, in the table's order."""
    return load_rows(Cause, FILE, "cause")
