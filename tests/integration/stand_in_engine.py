"""An engine whose vLLM is the double: a server under real supervisord and guard starts in seconds.

For what is about processes, owners and ends, not about answers.
"""

import json
import os
import sysconfig
import venv
from pathlib import Path

from lifecycle import tables
from lifecycle.runtimes.venv import STAMP
from tests.integration.checkout import ROOT, Checkout, free_port

RUNNER = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.fake_vllm.__main__ import main
told = Path(sys.argv[sys.argv.index("--model") + 1]) / {options!r}
sys.argv += told.read_text().split() if told.is_file() else []
sys.exit(main())
"""
OPTIONS = "double-options"
"""In the model's folder: options of the double, which vLLM does not have."""
SUPERVISORD = """#!{python}
import sys
from supervisor.supervisord import main
sys.exit(main())
"""
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
    "vocab_size": 1000, "max_position_embeddings": 4096,
}  # fmt: skip
SERVED = "stand-in"


def install(home: Path) -> None:
    """Put the engine of the processor into a home; it counts as completely installed."""
    engine = tables.serving.engine("cpu")
    folder = home / "engines" / engine.name
    venv.create(folder, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", "posix_prefix", {"base": str(folder)}))
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    module = packages / "vllm" / "entrypoints" / "openai" / "api_server.py"
    module.parent.mkdir(parents=True)
    module.write_text(RUNNER.format(root=str(ROOT), options=OPTIONS))
    program = folder / "bin" / "supervisord"
    program.write_text(SUPERVISORD.format(python=folder / "bin" / "python"))
    program.chmod(0o755)
    (folder / STAMP).write_text(engine.fingerprint())


def model(folder: Path) -> Path:
    """A model that is whole and tiny; the double does not read it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text("{}")
    entry = {"dtype": "BF16", "shape": [64, 64], "data_offsets": [0, 8192]}
    header = json.dumps({"model.embed_tokens.weight": entry}).encode()
    body = len(header).to_bytes(8, "little") + header + os.urandom(8192)
    (folder / "model.safetensors").write_bytes(body)
    return folder


def checkout(root: Path, home: Path, backend: str, *options: str) -> Checkout:
    """A checkout whose one backend is served by the double.

    Args:
        options: more of the double's, e.g. `--token-seconds 0.1`.
    """
    made = Checkout.copy(root, backend, free_port())
    there = model(root / "model")
    (there / OPTIONS).write_text(" ".join(options))
    made.env_file.write_text(
        f"GPU=cpu\nRUNTIME=venv\nPORT={made.port}\nMODEL={there}\nSERVED_NAME={SERVED}\n"
        "KV_CACHE_GIB=0.1\nMAX_MODEL_LEN=512\n"
    )
    made.env["LIFECYCLE_HOME"] = str(home)
    return made
