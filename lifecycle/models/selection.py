"""Which files of a repo vLLM loads: the same choice as vLLM's own, made before a byte is fetched.

What is seeded decides what vLLM sees: it serves the snapshot as a folder, offline. Its choice, read
in vLLM 0.32 (model_executor/model_loader/default_loader.py, weight_utils.py; transformers_utils/
config.py, repo_utils.py): `*.safetensors` before `*.bin` before `*.pt`, at the root alone, of
safetensors only what the index names. A single `consolidated*.safetensors` anywhere switches to
Mistral's own format, and with `params.json` its config, too; where a repo has both, we take the one
that all tools read, and leave the other out altogether.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

from lifecycle.errors import LifecycleError, ModelUnavailable
from lifecycle.hub.repo import ENDPOINT, File
from lifecycle.models.folder import ADAPTER, CONFIG, PARAMS

SAFETENSORS, MISTRAL, BIN, PT = "safetensors", "mistral", "bin", "pt"
PATTERNS = {
    SAFETENSORS: "*.safetensors", MISTRAL: "consolidated*.safetensors", BIN: "*.bin", PT: "*.pt",
}  # fmt: skip
"""Formats of weights in the order of preference, and their files."""
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin", "adapter_model.pt")
INDEXES = {
    SAFETENSORS: "model.safetensors.index.json",
    MISTRAL: "consolidated.safetensors.index.json",
}
NO_WEIGHTS = (
    "training_args.bin", "optimizer.bin", "optimizer.pt", "scheduler.pt", "scaler.pt",
    "adapter_model.*", "openvino_*.bin", "rng_state*",
)  # fmt: skip
"""vLLM's own list (`filter_files_not_needed_for_inference`), adapters, and other engines' files."""

SMALL = {".json", ".jinja", ".model", ".txt", ".tiktoken", ".vocab", ".spm", ".bpe", ".py"}
"""Configs, tokenizers, chat templates, processors, code: what is not known is taken, too, for it
costs nothing and a start may need it."""
TOKENIZERS = ("tokenizer.model.*", "vocab*", "merges*")
NOT_NEEDED = (
    "readme*", "license*", "licence*", "notice*", "use_policy*", "*requirements*.txt",
    "modelcard.json", "trainer_state.json", "*_results.json", "*.index.json", "*.index.*.json",
    "training_args*", "optimizer*", "scheduler*", "adapter_*", "model_index.json", PARAMS,
)  # fmt: skip
BELOW = re.compile(
    r"additional_chat_templates/[^/]+\.jinja|\d+_\w+/(config\.json|model\.safetensors)"
)
"""What is needed from folders: more chat templates, and the layers of sentence-transformers."""
ELSEWHERE = {
    ".gguf": "GGUF", ".onnx": "ONNX", ".h5": "TensorFlow", ".msgpack": "Flax", ".npz": "MLX",
    ".mlmodel": "Core ML", ".mlpackage": "Core ML", ".tflite": "TensorFlow Lite", ".nemo": "NeMo",
    ".pth": "PyTorch's .pth", ".ckpt": "a checkpoint",
}  # fmt: skip


@dataclass(frozen=True)
class Selection:
    """What to fetch.

    Args:
        format: of the weights: `safetensors`, `mistral`, `bin` or `pt`.
        files: everything, small files first.
        weights: the paths among them that hold weights.
        code: the paths among them that are Python; they run only with --trust-remote-code.
        left_out: what else the repo has.
    """

    format: str
    files: tuple[File, ...]
    weights: tuple[str, ...]
    code: tuple[str, ...]
    left_out: tuple[File, ...]

    @property
    def size(self) -> int:
        """Bytes of all that is fetched."""
        return sum(file.size for file in self.files)


def index_in(files: Iterable[File]) -> str:
    """The index that `select` needs to be told; "" when there is none."""
    paths = {file.path for file in files}
    name = INDEXES.get(_format(paths) or "", "")
    return name if name in paths else ""


def select(repo: str, files: Iterable[File], index: Mapping[str, Any] | None = None) -> Selection:
    """Choose the files vLLM needs.

    Args:
        repo: its name, for what is said.
        index: the content of the file that `index_in` names.

    Raises:
        ModelUnavailable: vLLM can load nothing here: an adapter, GGUF or another engine's format,
            no config, an index that is broken or names files that are missing.
    """
    known = {file.path: file for file in files}
    kind = _format(set(known))
    if kind is None:
        raise _nothing_to_load(repo, set(known))
    name = index_in(known.values())
    weights = _weights(kind, set(known))
    if name and index is not None:
        weights = _indexed(repo, name, index, set(known))
    wanted = {name, *weights} - {""} | {path for path in known if _small(path, kind)}
    chosen = sorted((known[path] for path in wanted), key=lambda file: (file.size, file.path))
    return Selection(
        format=kind,
        files=tuple(chosen),
        weights=tuple(sorted(weights)),
        code=tuple(file.path for file in chosen if file.path.endswith(".py")),
        left_out=tuple(file for path, file in known.items() if path not in wanted),
    )


def adapter(repo: str, files: Iterable[File]) -> Selection:
    """The files of a LoRA adapter that vLLM loads (`lora/lora_model.py`, `from_local_checkpoint`).

    Raises:
        ModelUnavailable: it is none, or has no weights.
    """
    known = {file.path: file for file in files}
    weights = next((name for name in ADAPTER_WEIGHTS if name in known), "")
    if ADAPTER not in known or not weights:
        lacking = f"no {ADAPTER}" if ADAPTER not in known else "no weights of an adapter"
        raise ModelUnavailable(
            f"{repo} is no LoRA adapter",
            why=f"it has {lacking}",
            fix="Name a repo that PEFT wrote, or remove it from EXTRA_ARGS.",
        )
    wanted = [known[ADAPTER], known[weights]]
    return Selection(
        format=PurePosixPath(weights).suffix.removeprefix("."),
        files=tuple(wanted),
        weights=(weights,),
        code=(),
        left_out=tuple(file for path, file in known.items() if path not in {ADAPTER, weights}),
    )


def _format(paths: set[str]) -> str | None:
    """The format that is there and has its config."""
    for kind in PATTERNS:
        config = {CONFIG, PARAMS} if kind == MISTRAL else {CONFIG}
        if config & paths and _weights(kind, paths):
            return kind
    return None


def _weights(kind: str, paths: set[str]) -> set[str]:
    """The weight files of one format, by their names alone."""
    others = PATTERNS[MISTRAL] if kind == SAFETENSORS else ""
    return {
        path
        for path in paths
        if "/" not in path
        and fnmatch(path, PATTERNS[kind])
        and not fnmatch(path, others)
        and not any(fnmatch(path, pattern) for pattern in NO_WEIGHTS)
    }


def _indexed(repo: str, name: str, index: Mapping[str, Any], paths: set[str]) -> set[str]:
    try:
        named = {str(path) for path in index["weight_map"].values()}
    except (KeyError, AttributeError):
        named = set()
    if not named:
        raise ModelUnavailable(
            f"{name} of {repo} is broken", why="it maps no weights to files",
            fix=_tell_authors(repo),
        )  # fmt: skip
    missing = sorted(named - paths)
    if missing:
        raise ModelUnavailable(
            f"{repo} is missing {len(missing)} of its {len(named)} weight files, e.g. {missing[0]}",
            why=f"{name} names them, and the repo does not have them",
            fix=_tell_authors(repo),
        )
    return named


def _small(path: str, kind: str) -> bool:
    if BELOW.fullmatch(path):
        return True
    name = path.lower()
    if "/" in path or path.startswith("."):
        return False
    if path == PARAMS:
        return kind == MISTRAL
    if any(fnmatch(name, pattern) for pattern in NOT_NEEDED):
        return False
    return PurePosixPath(name).suffix in SMALL or any(fnmatch(name, one) for one in TOKENIZERS)


def _nothing_to_load(repo: str, paths: set[str]) -> LifecycleError:
    if "adapter_config.json" in paths:
        return ModelUnavailable(
            f"{repo} is an adapter (LoRA), not a model by itself",
            why="it has adapter_config.json, and no weights of its own beside the adapter's",
            fix="Set MODEL= to the model it was made for (base_model_name_or_path in its "
            "adapter_config.json), and add the adapter with "
            f"EXTRA_ARGS='--enable-lora --lora-modules NAME={repo}'.",
        )
    elsewhere = {ELSEWHERE.get(PurePosixPath(path).suffix.lower(), "") for path in paths} - {""}
    if "model_index.json" in paths:
        return ModelUnavailable(
            f"{repo} is a pipeline of several models (diffusers)",
            why="it has model_index.json, and no config.json at its root",
            fix="vLLM's server is for language models: take one.",
        )
    if any(_weights(kind, paths) for kind in PATTERNS):
        return ModelUnavailable(
            f"{repo} has weights, and no {CONFIG} that says what they are",
            fix=_tell_authors(repo),
        )
    if elsewhere == {"GGUF"}:
        return ModelUnavailable(
            f"{repo} has its weights as GGUF only",
            why="that is the format of llama.cpp and Ollama; vLLM loads safetensors",
            fix=f"Take the repo it was made from ({ENDPOINT}/{repo} names it under “Base model”), "
            "or one quantized as AWQ, GPTQ or FP8.",
        )
    found = f"it has {', '.join(sorted(elsewhere))}" if elsewhere else "it has none at its root"
    return ModelUnavailable(
        f"{repo} has no weights that vLLM loads",
        why=f"{found}; vLLM looks for {', '.join(dict.fromkeys(PATTERNS.values()))}",
        fix="Take a repo with safetensors of the same model.",
    )


def _tell_authors(repo: str) -> str:
    return f"Tell its authors ({ENDPOINT}/{repo}/discussions), or take another revision or model."
