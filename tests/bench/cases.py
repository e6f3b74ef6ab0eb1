"""Real starts of vLLM, each as what the planner is asked and what the log said."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifecycle.host import GIB
from lifecycle.model import Architecture
from lifecycle.planner import architecture
from lifecycle.planner.fit import Card, Wanted

HERE = Path(__file__).parent
CASES = HERE / "vram.jsonl"
MORE = HERE / "more.jsonl"
"""Collected to attack the planner with; the terms of working memory were fitted on these, too, the
layout of the cache and the weights on none."""
CONFIGS: dict[str, dict[str, Any]] = json.loads((HERE / "configs.json").read_text())["configs"]
TEXT_ONLY: dict[str, str] = json.loads((HERE / "configs.json").read_text())["text_only"]
"""Rows whose server did not load what sees, and who says so."""
NAMES = {
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "hidden": "hidden_size",
    "intermediate": "intermediate_size",
    "vocab": "vocab_size",
    "tie_word_embeddings": "tie_word_embeddings",
    "sliding_window": "sliding_window",
    "experts": "num_experts",
    "experts_per_tok": "num_experts_per_tok",
    "moe_intermediate": "moe_intermediate_size",
    "kv_lora_rank": "kv_lora_rank",
    "qk_rope_head_dim": "qk_rope_head_dim",
    "full_attention_interval": "full_attention_interval",
}
BY_MONTH = {
    "2024": "0.6", "2025-01": "0.6", "2025-02": "0.7", "2025-03": "0.8", "2025": "0.10",
    "2026-01": "0.14", "2026-02": "0.15", "2026-03": "0.17", "2026-04": "0.19", "2026-05": "0.21",
    "2026-06": "0.22", "2026": "0.27",
}  # fmt: skip
"""The release of a month, for rows that say no more."""
V0 = "0.7"
AMD = re.compile(r"\bMI\d|\bRX |\bgfx\d|ROCm|Strix", re.IGNORECASE)
NEED = ("hidden_size", "vocab_size", "num_hidden_layers", "num_key_value_heads")


@dataclass(frozen=True)
class Case:
    """One start.

    Args:
        architecture: None when the row and `configs.json` do not say enough.
        complete: what is needed to reckon weights is there, too.
        card: None when the row does not say how large it is.
    """

    row: dict[str, Any]
    architecture: Architecture | None
    complete: bool
    card: Card | None
    wanted: Wanted

    @property
    def name(self) -> str:
        return str(self.row["id"])

    @property
    def failed(self) -> bool:
        return bool(self.row.get("error"))

    def found(self, key: str) -> Any:
        return self.row.get(key)

    @property
    def kv_available(self) -> int | None:
        figure = self.row.get("kv_available_gib")
        return None if figure is None else int(figure * GIB)


def load(file: Path = CASES) -> list[Case]:
    return [_case(json.loads(line)) for line in file.read_text().splitlines() if line.strip()]


def config(row: dict[str, Any]) -> dict[str, Any]:
    """A config.json out of what the row and the published file say."""
    arch = row.get("arch") or {}
    name = row["model"].lower()
    matching = [part for part in CONFIGS if part.lower() in name]
    known = CONFIGS[max(matching, key=len)] if matching else {}
    said = {NAMES[key]: value for key, value in arch.items() if key in NAMES and value is not None}
    found: dict[str, Any] = {"model_type": _family(arch), **said, **known}
    found.setdefault("tie_word_embeddings", False)
    # What a row leaves out is unknown, not what a class assumes.
    found.setdefault("max_position_embeddings", 0)
    if "num_attention_heads" not in found and arch.get("hidden"):
        width = arch.get("head_dim") or 128
        found["num_attention_heads"] = max(arch["hidden"] // width, arch.get("kv_heads") or 1)
    found["torch_dtype"] = row.get("dtype") or "bfloat16"
    quantization = _quantization(str(row.get("quantization") or ""))
    if quantization:
        found.setdefault("quantization_config", quantization)
    return found


def version(row: dict[str, Any]) -> str:
    """The release as numbers; of an engine of the first generation its last."""
    said = str(row.get("vllm_version") or "")
    if "V0" in said:
        return V0
    numbers = re.search(r"\b0\.(\d+)(?!x)\b", said)
    if numbers:
        return numbers[0]
    month = re.search(r"20\d\d-\d\d", said)
    if month:
        return BY_MONTH.get(month[0]) or BY_MONTH[month[0][:4]]
    year = re.search(r"20\d\d", said)
    return BY_MONTH[year[0]] if year else ""


def _case(row: dict[str, Any]) -> Case:
    values = config(row)
    enough = all(values.get(key) for key in NEED) or (
        values.get("kv_lora_rank") and values.get("hidden_size")
    )
    mixed = values["model_type"] != "qwen3_5_text" or "linear_num_value_heads" in values
    parsed = architecture.parse(values) if enough and mixed else None
    complete = parsed is not None and (
        "intermediate_size" in values or "moe_intermediate_size" in values
    )
    total = row.get("vram_gib")
    card = None if total is None else _card(row, int(total * GIB))
    return Case(row, parsed, complete, card, _wanted(row))


def _card(row: dict[str, Any], total: int) -> Card | None:
    tensor, pipeline = row.get("tp") or 1, _pipeline(row)
    name = str(row.get("gpu"))
    if "Intel" in name:  # a kind this program does not plan for
        return None
    kind = "rocm" if AMD.search(name) else "cuda"
    free = row.get("free_gib")  # others use the rest; most rows do not say
    return Card(kind, total, int(free * GIB) if free else None, name=name, count=tensor * pipeline)


def _wanted(row: dict[str, Any]) -> Wanted:
    notes = str(row.get("notes") or "")
    requests = re.search(r"max_num_seqs (\d+)", notes)
    batched = re.search(r"max_num_batched_tokens (\d+)", notes)
    guessed = re.search(r"(?:mtp|MTP speculative) (\d+)", notes)
    small = "graphs up to 8" in notes
    return Wanted(
        length=row.get("max_model_len") or 0,
        utilization=row.get("util") or 0.9,
        kv_dtype=row.get("kv_dtype") or "",
        requests=int(requests[1]) if requests else 4 if small else 0,
        batched=int(batched[1]) if batched else 0,
        tensor=row.get("tp") or 1,
        pipeline=_pipeline(row),
        version=version(row),
        eager=bool(row.get("enforce_eager")),
        speculated=int(guessed[1]) if guessed else 0,
        blind="language-model-only" in notes or row["id"] in TEXT_ONLY,
        prefixes="no-enable-prefix-caching" not in notes,
        state_dtype="float16" if "mamba-ssm-cache-dtype float16" in notes else "",
    )


def _pipeline(row: dict[str, Any]) -> int:
    text = f"{row.get('gpu')} {row.get('notes')}"
    found = re.search(r"\b(?:PP|pp)[= ]?(\d+)", text)
    return int(row.get("pp") or (found[1] if found else 1))


def _family(arch: dict[str, Any]) -> str:
    if arch.get("mla") or arch.get("kv_lora_rank"):
        return "deepseek_v2"
    if arch.get("hybrid") or arch.get("full_attention_interval"):
        return "qwen3_5_text"
    return "qwen3_moe" if arch.get("experts") else "llama"


def _quantization(said: str) -> dict[str, Any]:
    """A `quantization_config` of the kind a row names in words."""
    said = said.lower()
    if "bitsandbytes" in said or "bnb" in said:
        eight = "8" in said
        # What comes quantized has quantized scales, too; what vLLM quantizes at the start has not.
        return {
            "quant_method": "bitsandbytes",
            "load_in_4bit": not eight,
            "load_in_8bit": eight,
            "bnb_4bit_use_double_quant": "at load" not in said,
        }
    for method in ("nvfp4", "mxfp4", "fp8", "awq", "gptq"):
        if method in said:
            return _named(method, 8 if "int8" in said or "8bit" in said else 4)
    if "auto_round" in said or "autoround" in said or "auto-round" in said:
        return {"quant_method": "auto-round", "bits": 4, "group_size": 128}
    if "int4" in said or "w4a16" in said or "wna16" in said:
        weights = {"num_bits": 4, "type": "int", "group_size": 128, "symmetric": True}
        groups = {"config_groups": {"group_0": {"weights": weights}}}
        return {"quant_method": "compressed-tensors", **groups}
    return {}


def _named(method: str, bits: int) -> dict[str, Any]:
    if method == "nvfp4":
        return {"quant_method": "modelopt", "quant_algo": "NVFP4"}
    if method in {"mxfp4", "fp8"}:
        return {"quant_method": method}
    return {"quant_method": method, "bits": bits, "group_size": 128}
