"""`lifecycle/data/model_classes.toml` is what the engine's own transformers and vLLM say, and the
planner reads each class's config as vLLM does.
"""

import subprocess
import tomllib
from pathlib import Path

from lifecycle.paths import DATA
from tests.integration.checkout import ROOT


def test_the_table_is_what_the_classes_say(engine: Path) -> None:
    python = engine / "bin" / "python"
    script = ROOT / "tests" / "bench" / "model_classes.py"
    done = subprocess.run([python, script], capture_output=True, text=True, timeout=300, check=True)
    written = tomllib.loads((DATA / "model_classes.toml").read_text())
    found = tomllib.loads(done.stdout)
    for name in ("architectures", "dropped", "plugins"):
        assert found[name] == written[name]
    assert found["class"] == written["class"]


def test_each_class_s_config_is_read_as_vllm_reads_it(engine: Path) -> None:
    command = [str(engine / "bin" / "python"), "-m", "tests.bench.configs_by_vllm"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout
    alike = int(done.stdout.splitlines()[-1].split()[0])
    assert alike >= 250
