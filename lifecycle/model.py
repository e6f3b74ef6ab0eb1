"""What a model is, as plain values: its layers, its numbers, the bytes vLLM holds of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

KINDS = ("full", "sliding", "chunked", "latent", "state", "none")


@dataclass(frozen=True)
class State:
    """What a recurrent layer keeps of a request, however long it is; in elements.

    Args:
        conv: the last inputs of its convolution; of the model's type.
        taps: how many inputs these are; each token guessed ahead adds one.
        recurrent: the state itself.
        dtype: type of the state; "" means the model's.
    """

    conv: int = 0
    recurrent: int = 0
    dtype: str = ""
    taps: int = 3


@dataclass(frozen=True)
class Layer:
    """What one layer keeps of the tokens of a request.

    Args:
        kind: `full` attention; `sliding` or `chunked`, which look back `window` tokens; `latent`:
            one compressed vector a token instead of heads (MLA); `state`: a fixed state a request;
            `none`: nothing of its own (it shares another layer's, or is no attention).
        kv_heads: key and value heads; of a latent layer 1.
        head_dim: elements of a key; of a latent layer of its vector.
        value_dim: elements of a value; of a latent layer 0.
    """

    kind: str
    kv_heads: int = 0
    head_dim: int = 0
    value_dim: int = 0
    window: int = 0
    state: State = State()


@dataclass(frozen=True)
class Quantization:
    """How the weights on disk are quantized, as `quantization_config` says.

    Args:
        method: vLLM's word: `awq`, `gptq`, `fp8`, `compressed-tensors`, …; "" for none.
        format: of the numbers: `int4`, `int8`, `fp8`, `nvfp4`, `mxfp4`; "" when unknown.
        group: weights that share one scale; 0: a whole row or block does.
        zeros: each group has a zero point, too.
        nested: the scales are quantized themselves (bitsandbytes' double quantization).
        skipped: modules left as they were, as the file spells them.
        kv_cache: the type it gives the KV cache; "" when it says nothing.
        block: rows and columns that share one scale; 0 where scales belong to rows or their groups.
        width: bits of an integer as the file says, also such as have no format here; 0 when unsaid.
        others: formats of more groups of weights, or of tensors that are stored in another.
    """

    method: str = ""
    format: str = ""
    group: int = 0
    zeros: bool = False
    nested: bool = False
    skipped: tuple[str, ...] = ()
    kv_cache: str = ""
    block: int = 0
    width: int = 0
    others: tuple[str, ...] = ()

    @property
    def formats(self) -> tuple[str, ...]:
        """Every format any part of the weights has."""
        return tuple(filter(None, (self.format, *self.others)))

    @property
    def bits(self) -> int:
        """Bits of one weight, without scales; 0 when unknown."""
        return {"int4": 4, "nvfp4": 4, "mxfp4": 4, "int8": 8, "fp8": 8}.get(self.format, 0)


@dataclass(frozen=True)
class Vision:
    """The part that sees.

    Args:
        hidden: width inside; `out`: of what leaves it.
        gated: its feed-forward halves have three matrices and not two.
        merge: patches of a side that become one token; 1 where each stays one.
        inputs: numbers of one patch; `positions`: rows of a learned table of places.
        deep: layers whose sight enters the language part, too, each through a merger of its own.
        patches: of the largest picture it takes.
    """

    hidden: int = 0
    intermediate: int = 0
    depth: int = 0
    patches: int = 0
    out: int = 0
    gated: bool = False
    merge: int = 1
    inputs: int = 0
    positions: int = 0
    deep: int = 0


@dataclass(frozen=True)
class Parameters:
    """Numbers of parameters by what becomes of them.

    Args:
        embedding: the table of tokens.
        head: the table of outputs; 0 when it is the embedding.
        attention: projections of attention and of recurrent layers.
        dense: feed-forward layers, and experts that every token passes.
        experts: those a router chooses from.
        rest: norms, routers, convolutions: never quantized, never divided among cards.
        vision: everything that sees.
    """

    embedding: int = 0
    head: int = 0
    attention: int = 0
    dense: int = 0
    experts: int = 0
    rest: int = 0
    vision: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return sum(vars(self).values())


@dataclass(frozen=True)
class Architecture:
    """What `config.json` says, as far as memory depends on it.

    Args:
        family: `model_type` of the language part.
        layers: what each layer keeps, in the model's order.
        intermediate: elements between the two halves of a dense feed-forward layer.
        expert_intermediate: the same of one expert.
        dtype: `bfloat16`, `float16` or `float32`: what vLLM computes with unless told otherwise.
        longest: tokens vLLM takes when nobody says; 0 when the file does not say.
        furthest: tokens it takes at most; of models with LongRoPE more than `longest`.
        ahead: parameters of layers that guess tokens ahead: in the files, and not loaded.
        unsure: parts of a kind that is only estimated, in words.
        classes: names of its classes, as `architectures` gives them.
        unknown: what must be true for anything reckoned here to hold, in words; none for a kind
            that is known.
        says_dtype: its file names the type to compute with; otherwise the weights' own decides.
    """

    family: str
    layers: tuple[Layer, ...]
    hidden: int
    heads: int
    vocab: int
    intermediate: int = 0
    experts: int = 0
    experts_per_token: int = 0
    expert_intermediate: int = 0
    tied: bool = False
    dtype: str = "bfloat16"
    longest: int = 0
    furthest: int = 0
    quantization: Quantization = Quantization()
    vision: Vision = Vision()
    parameters: Parameters = Parameters()
    ahead: int = 0
    unsure: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    says_dtype: bool = True

    @property
    def keeping(self) -> tuple[Layer, ...]:
        """The layers that keep anything."""
        return tuple(layer for layer in self.layers if layer.kind != "none")

    @property
    def uniform(self) -> bool:
        """All layers keep the same: bytes a token are exact then, otherwise an estimate."""
        return len({layer for layer in self.keeping if layer.kind != "none"}) <= 1

    @property
    def recurrent(self) -> bool:
        """Some layers keep a state."""
        return any(layer.kind == "state" for layer in self.layers)


@dataclass(frozen=True)
class Held:
    """Bytes that vLLM keeps of a model's weights, by how cards share them.

    Args:
        embedding: divided among the cards of tensor parallelism; on the first of a pipeline.
        head: likewise; on the last of a pipeline.
        layers: divided among all.
        whole: on every card: norms, routers.
        vision: what sees; divided like layers, on the first of a pipeline.
    """

    embedding: int = 0
    head: int = 0
    layers: int = 0
    whole: int = 0
    vision: int = 0

    @property
    def total(self) -> int:
        """All of it, on one card."""
        return sum(vars(self).values())


@dataclass(frozen=True)
class Model:
    """A model, with the bytes of its weights.

    Args:
        by_dtype: bytes by type as they lie on disk (`BF16`, `I32`, …); empty for an estimate.
        source: where the figures come from, for a person.
        exact: bytes of the files themselves, and not reckoned from `config.json`.
    """

    name: str
    architecture: Architecture
    held: Held
    by_dtype: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    exact: bool = False

    @property
    def weights(self) -> int:
        """Bytes of all weights vLLM holds, on one card."""
        return self.held.total
