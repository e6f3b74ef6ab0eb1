"""Every class's own config, as vLLM's convertor reads it, beside the planner's reading.

Run by an engine's Python, for it imports transformers and vLLM; no model, no card, no server:

    PYTHONPATH=. ENGINE/bin/python -m tests.bench.configs_by_vllm

Prints a line a family that differs, and ends with 1 when one does that is not expected to. A family
that the planner says it does not know is no difference.
"""

import json
import logging
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from lifecycle.errors import ModelUnavailable, UnknownKind
from lifecycle.planner import architecture

EXPECTED = {
    "RefinedWeb": "its class calls itself falcon",
    "RefinedWebModel": "the same",
    "axk2": "served by transformers' code, if at all",
    "bagel": "vLLM asks its language part later",
    "bamba": "which layers attend is left out",
    "chatglm": "its model asks multi_query_attention, the convertor does not",
    "cosmos3_edge": "it lists more layers than it counts",
    "falcon_h1": "a layer attends and keeps a state: two entries",
    "granitemoehybrid": "which layers attend is left out",
    "hrm_text": "layers are counted by their repetitions",
    "mamba2": "it has no heads that attend",
    "minicpm3": "its model keeps whole keys, the convertor names the rotated part",
    "nemotron": "the convertor leaves heads open",
    "step3p7": "its language part is transformers' step3p5; vLLM has a class of its own for that",
    "xlnet": "no length is -1 there",
    "youtu": "as axk2",
}
MAPPINGS = ("CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM")


def families() -> Iterator[tuple[str, Any]]:
    """A config of defaults for each family that writes text."""
    mapping = import_module("transformers").CONFIG_MAPPING
    auto = import_module("transformers.models.auto.modeling_auto")
    own = import_module("vllm.transformers_utils.config")._CONFIG_REGISTRY
    kinds = {kind for name in MAPPINGS for kind in getattr(auto, f"MODEL_FOR_{name}_MAPPING_NAMES")}
    for kind in sorted({*kinds, *own}):
        if kind not in own and kind not in mapping:
            continue
        try:
            yield kind, (own[kind] if kind in own else mapping[kind])()
        except Exception:  # noqa: BLE001 - a class that wants more than its defaults
            continue


def theirs(kind: str, config: Any) -> dict[str, Any]:
    """What vLLM's convertor makes of it."""
    import_module("vllm.config")  # else the next one imports itself
    module = import_module("vllm.transformers_utils.model_arch_config_convertor")
    cls = module.MODEL_ARCH_CONFIG_CONVERTORS.get(kind, module.ModelArchConfigConvertorBase)
    made = cls(config, config.get_text_config())
    length, latent = made.derive_max_model_len_and_key()[0], made.is_deepseek_mla()
    return {
        "hidden": made.get_hidden_size(),
        "vocab": made.get_vocab_size(),
        "layers": made.get_num_hidden_layers(),
        "heads": made.get_total_num_attention_heads(),
        "kv heads": 1 if latent else made.get_total_num_kv_heads(),
        "head size": made.get_head_size(),
        "length": 0 if length == float("inf") else length,
        "latent": latent,
    }


def ours(config: Any) -> dict[str, Any]:
    """What the planner makes of the same, written down.

    Raises:
        UnknownKind: it says that it cannot read it.
    """
    read = architecture.parse(json.loads(json.dumps(config.to_dict(), default=str)))
    attending = [one for one in read.layers if one.kind not in {"none", "state"}]
    whole = [one for one in attending if one.kind in {"full", "latent"}] or attending
    first = whole[0] if whole else None
    return {
        "hidden": read.hidden,
        "vocab": read.vocab,
        "layers": len(read.layers),
        "heads": read.heads,
        "kv heads": first.kv_heads if first else 0,
        "head size": first.head_dim if first else 0,
        "length": read.longest,
        "latent": bool(first and first.kind == "latent"),
    }


def main() -> int:
    """Compare all of them."""
    logging.disable(logging.CRITICAL)
    wrong = alike = 0
    for kind, config in families():
        try:
            expected = theirs(kind, config)
        except Exception:  # noqa: BLE001 - what vLLM asks layer by layer (Gemma 4) has no answer
            continue
        try:
            found = ours(config)
        except UnknownKind:
            continue
        except ModelUnavailable as error:
            found = {"error": error.why}
        differing = {k: (v, expected.get(k)) for k, v in found.items() if v != expected.get(k)}
        alike += not differing
        if differing:
            wrong += kind not in EXPECTED
            print(kind, f"ours, theirs: {differing}", EXPECTED.get(kind, "NOT EXPECTED"), sep="; ")
    print(f"{alike} families are read alike, {wrong} differ unexpectedly")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
