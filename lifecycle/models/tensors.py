"""The headers of safetensors files: names, types and shapes, without the weights themselves.

https://huggingface.co/docs/safetensors: eight bytes of length, then JSON. Read here rather than
with the library, which opens whole files and wants a framework; a header out of the hub is a ranged
request of kilobytes.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

from lifecycle.errors import ModelUnavailable
from lifecycle.model import Architecture, Held, Model
from lifecycle.planner import weights
from lifecycle.planner.kv import BYTES

LENGTH = 8
MOST = 100_000_000
"""The format's own limit of a header, in bytes."""
BITS = {
    "F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16,
    "I16": 16, "U16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I8": 8, "U8": 8, "BOOL": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
FLOATS = {"F64", "F32", "F16", "BF16"}
FLOAT8 = {"F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"}
PACKED = "QUANTIZATION says how its packed weights are quantized: its config.json does not"
UNDESCRIBED = "vLLM reads its float8 weights: no file of the model says how they are quantized"
EMBEDDING = re.compile(r"(embed_tokens|wte|word_embeddings|tok_embeddings|embedding)\.weight$")
PER_LAYER = re.compile(r"embed_tokens_per_layer|per_layer_token_embd")
HEAD = re.compile(r"(^|\.)(lm_head|output|embed_out)\.weight$")
LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block)\.(\d+)\.")
SEES = re.compile(
    r"(^|\.)(visual|vision_tower|vision_model|vision|audio_tower|multi_modal_projector|vision_encoder"
    r"|vision_language_adapter|vision_adapter|patch_merger|pre_mm_projector_norm|mm_projector|mlp1"
    r"|embed_vision|embed_audio|vpm|apm|resampler|audio_encoder|whisper_encoder|img_processor"
    r"|vision_embed_tokens|sam_model|projector|aligner|connector|visual_tokenizer|vit)\."
)
NOT_LOADED = re.compile(r"(^|\.)mtp\.|rotary_emb\.inv_freq$|masked_bias$|\.attn\.bias$")
KEPT_WIDE = re.compile(
    r"(scale|scale_inv|zero_point|scales|A_log|dt_bias|e_score_correction_bias)$"
)


@dataclass(frozen=True)
class Tensor:
    """One entry of a header."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return prod(self.shape) * BITS[self.dtype] // 8


Header = Mapping[str, Tensor]


def read(file: Path) -> dict[str, Tensor]:
    """The header of one file.

    Raises:
        ModelUnavailable: it is no safetensors file, or cut off within its header.
    """
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(LENGTH), "little")
            if not 0 < length <= MOST:
                raise _broken(file.name, f"its header would be {length} bytes long")
            text = stream.read(length)
    except OSError as error:
        raise _broken(file.name, str(error)) from error
    if len(text) < length:
        raise _broken(file.name, "it ends within its header")
    return parse(text, file.name)


def parse(text: bytes, name: str) -> dict[str, Tensor]:
    """A header's JSON, as it lies in a file of this name.

    Raises:
        ModelUnavailable: it is not one.
    """
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _broken(name, f"its header cannot be read ({error})") from error
    return entries(read, name)


def entries(header: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """The tensors of a header that was read as JSON.

    Raises:
        ModelUnavailable: it is none.
    """
    try:
        return {key: _tensor(entry) for key, entry in header.items() if key != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(name, f"its header cannot be read ({error})") from error


def folder(path: Path) -> dict[str, Tensor]:
    """Every tensor of a model folder.

    Raises:
        ModelUnavailable: a file is broken.
    """
    # vLLM loads Mistral's own files where there are any, and nothing else.
    files = sorted(path.glob("consolidated*.safetensors")) or sorted(path.glob("*.safetensors"))
    return {key: tensor for file in files for key, tensor in read(file).items()}


def model(  # noqa: PLR0913 - four of them by name: where it comes from, how it is loaded
    name: str,
    architecture: Architecture,
    header: Header,
    *,
    source: str,
    dtype: str = "",
    online: str = "",
) -> Model:
    """A model with its exact weights.

    Args:
        header: every tensor of all files vLLM loads.
        dtype: what vLLM computes with; "" for the model's own. Unquantized tensors are cast to it.
        online: `QUANTIZATION`: what unquantized weights become at the start.
    """
    architecture = settled(architecture, header)
    by_dtype: Counter[str] = Counter()
    for tensor in header.values():
        by_dtype[tensor.dtype] += tensor.size
    held = _held(header, architecture, dtype or architecture.dtype, online)
    return Model(name, architecture, held, dict(by_dtype), source, exact=True)


def settled(architecture: Architecture, header: Header) -> Architecture:
    """What the tensors decide over the words of a config: float8 weights, and the type to compute
    with where no word says it.
    """
    types = {tensor.dtype for tensor in header.values()} & FLOATS
    if not architecture.says_dtype and types == {"F16"}:
        architecture = replace(architecture, dtype="float16", says_dtype=True)
    kind = architecture.quantization
    if not kind.method and any(name.endswith(".qweight") for name in header):
        kind = replace(kind, others=("packed",))
        unknown = (*architecture.unknown, PACKED)
        return replace(architecture, quantization=kind, unknown=unknown)
    stored = any(tensor.dtype in FLOAT8 and "scale" not in name for name, tensor in header.items())
    if not stored or "fp8" in kind.formats:
        return architecture
    kind = replace(kind, others=(*kind.others, "fp8"))
    unknown = architecture.unknown if kind.method else (*architecture.unknown, UNDESCRIBED)
    return replace(architecture, quantization=kind, unknown=unknown)


def estimated(
    name: str, architecture: Architecture, *, source: str, dtype: str = "", online: str = ""
) -> Model:
    """A model whose headers are not at hand."""
    held = weights.estimate(architecture, dtype, online)
    return Model(name, architecture, held, source=source)


def _held(header: Header, architecture: Architecture, dtype: str, online: str) -> Held:
    parts: Counter[str] = Counter()
    for name, tensor in _loaded(header, architecture):
        parts[_part(name, tensor)] += _size(name, tensor, architecture, dtype, online)
    return Held(parts["embedding"], parts["head"], parts["layers"], parts["whole"], parts["vision"])


def _loaded(header: Header, architecture: Architecture) -> Iterable[tuple[str, Tensor]]:
    """What vLLM keeps: no second head of a tied model, no layers for guessing ahead."""
    depth = len(architecture.layers)
    for name, tensor in header.items():
        layer = LAYER.search(name)
        beyond = bool(layer and int(layer[1]) >= depth and not SEES.search(name))
        spare = architecture.tied and HEAD.search(name) and not SEES.search(name)
        if not (beyond or spare or NOT_LOADED.search(name)):
            yield name, tensor


def _part(name: str, tensor: Tensor) -> str:
    if SEES.search(name):
        return "vision"
    if EMBEDDING.search(name) or PER_LAYER.search(name):
        return "embedding"
    if HEAD.search(name):
        return "head"
    return "layers" if len(tensor.shape) > 1 and LAYER.search(name) else "whole"


def _size(name: str, tensor: Tensor, architecture: Architecture, dtype: str, online: str) -> int:
    if tensor.dtype not in FLOATS or KEPT_WIDE.search(name):
        return tensor.size
    count = prod(tensor.shape)
    matrix = len(tensor.shape) > 1 and _part(name, tensor) == "layers" and name.endswith("weight")
    if matrix and online in weights.ONLINE and not architecture.quantization.method:
        return round(count * weights.per_weight(weights.online_kind(online)))
    return count * BYTES.get(dtype, 2)


def _tensor(entry: Any) -> Tensor:  # noqa: ANN401 - JSON of anybody's making
    dtype, shape = entry["dtype"], tuple(entry["shape"])
    if dtype not in BITS:
        raise ValueError(f"type {dtype!r} is not known")
    if not all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in shape):
        raise ValueError(f"shape {shape!r}")
    return Tensor(dtype, shape)


def _broken(name: str, why: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"{name} is no safetensors file that can be read",
        why=why,
        fix="Fetch it again: inv seed-models",
    )
