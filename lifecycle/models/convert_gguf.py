"""Make a vLLM model folder out of one GGUF file. Run by an engine's Python, not by ours.

usage: convert_gguf.py GGUF SHA256 TARGET DEFAULTS

The folder appears under its name only when it is complete, with a manifest of checksums.
Dequantized from 4 bits: the answers are those of the 4-bit file, the format is what vLLM reads.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

MANIFEST = ".manifest.json"


def main(gguf: Path, sha256: str, target: Path, defaults: str) -> None:
    """Check the source, convert beside the target, then put it in place.

    Args:
        defaults: what clients get that ask for nothing else, as JSON: `sampling`, which vLLM
            takes from generation_config.json, and `chat_template` in Jinja.
    """
    if digest(gguf) != sha256:
        sys.exit(f"{gguf.name} is not the file it should be (sha256 {digest(gguf)}, not {sha256})")
    staging = target.with_name(f".{target.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        convert(gguf, staging)
        recommend(staging, **json.loads(defaults))
        record = {"made_from": f"{sha256} {defaults}", "files": manifest(staging)}
        (staging / MANIFEST).write_text(json.dumps(record, indent=1))
    except BaseException:
        # What filled a disk must not go on filling it.
        shutil.rmtree(staging, ignore_errors=True)
        raise
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)


def convert(gguf: Path, folder: Path) -> None:
    """Write weights (bfloat16 safetensors), tokenizer and chat template."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    print("reading", gguf.name, flush=True)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16
    )
    # transformers would otherwise refuse to save, and vLLM would look for quantized weights.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    print("writing", folder.name, flush=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def recommend(folder: Path, sampling: dict[str, float], chat_template: str) -> None:
    """Add sampling defaults (without them vLLM samples at temperature 1, where a tiny model talks
    nonsense), and write the chat template in place of the file's own.
    """
    file = folder / "generation_config.json"
    known = json.loads(file.read_text())
    file.write_text(json.dumps({**known, **sampling}, indent=2) + "\n")
    (folder / "chat_template.jinja").write_text(chat_template)


def manifest(folder: Path) -> dict[str, dict[str, object]]:
    """Size, times and checksum of every file: a quick look compares all but the last."""
    return {
        file.name: {
            "size": file.stat().st_size,
            "mtime_ns": file.stat().st_mtime_ns,
            "ctime_ns": file.stat().st_ctime_ns,
            "sha256": digest(file),
        }
        for file in sorted(folder.iterdir())
        if file.name != MANIFEST
    }


def digest(file: Path) -> str:
    """sha256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4])
