"""An NVIDIA card that is not there: its programs, its device and library, and the ways in.

One description (CDI's) says what a container gets. An engine that knows CDI reads it by itself; for
one that knows NVIDIA's runtime, a stand-in for NVIDIA's hook does what it says.
"""

import json
import os
import shutil
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

CARD, DRIVER, CUDA = "NVIDIA GeForce RTX 4090", "580.95.05", "13.0"
NODE = "/dev/nvidia0"
LIBRARY = "/usr/lib/x86_64-linux-gnu/libcuda.so.1"
LIBRARY_TEXT = "in place of libcuda.so.1\n"

SMI = f"""#!/bin/sh
case "$*" in
--version) printf 'NVIDIA-SMI version  : {DRIVER}\\nCUDA Version        : {CUDA}\\n' ;;
--query-gpu=*) echo "{DRIVER}, 24564, 23900, 8.9, {CARD}" ;;
*) echo "stand-in: no such option: $*" >&2; exit 2 ;;
esac
"""
CTK = """#!/bin/sh
[ "$*" = --version ] || exit 2
echo 'NVIDIA Container Toolkit CLI version 1.20.0'
"""
# As the real one it is started by runc before the container's root is in force, gets its state on
# stdin, and looks for the variables that Docker wrote for `driver: nvidia`:
# https://github.com/moby/moby/blob/v26.1.5/daemon/nvidia_linux.go
# https://github.com/opencontainers/runtime-spec/blob/v1.1.0/config.md#prestart
HOOK = """#!{python}
import json, pathlib, subprocess, sys
state = json.load(sys.stdin)
bundle = pathlib.Path(state["bundle"])
config = json.loads((bundle / "config.json").read_text())
environment = dict(line.partition("=")[::2] for line in config["process"]["env"])
wanted = {{name: text for name, text in environment.items() if name.startswith("NVIDIA_")}}
pathlib.Path({asked!r}).write_text(json.dumps([sys.argv[1:], wanted]))
if wanted.get("NVIDIA_VISIBLE_DEVICES") != "all":
    sys.exit(0)
root = bundle / config["root"]["path"]
(card,) = json.loads(pathlib.Path({description!r}).read_text())["devices"]
lines = ["set -e"]
for node in card["containerEdits"]["deviceNodes"]:
    lines.append(f"mknod -m 666 {{root}}{{node['path']}} c 1 3")
for one in card["containerEdits"]["mounts"]:
    source, target = pathlib.Path(one["hostPath"]), str(root) + one["containerPath"]
    folder = target if source.is_dir() else target.rpartition("/")[0]
    lines.append(f"mkdir -p {{folder}}")
    if not source.is_dir():
        lines.append(f"touch {{target}}")
    lines.append(f"mount -o bind,ro {{source}} {{target}}")
inside = ["nsenter", f"--target={{state['pid']}}", "--mount", "sh", "-c", "\\n".join(lines)]
sys.exit(subprocess.run(inside, check=False).returncode)
"""


@dataclass(frozen=True)
class Card:
    """Where the stand-ins lie.

    Args:
        programs: `nvidia-smi` and `nvidia-ctk`, for whoever looks at the machine.
        hooks: what an engine looks for on its PATH before it takes `driver: nvidia`.
        descriptions: the folder that an engine reads for CDI.
        asked: what the hook was started with last.
    """

    programs: Path
    hooks: Path
    descriptions: Path
    asked: Path

    @property
    def runtime(self) -> dict[str, object]:
        """What `nvidia-ctk runtime configure` writes into `daemon.json`."""
        return {"nvidia": {"path": str(self.hooks / "nvidia-container-runtime"), "args": []}}

    @property
    def cdi(self) -> dict[str, object]:
        """What switches CDI on in an engine older than 28.2."""
        return {"features": {"cdi": True}, "cdi-spec-dirs": [str(self.descriptions)]}


def made(folder: Path, lent: dict[str, Path]) -> Card:
    """Put everything into a folder.

    Args:
        lent: further folders for the container, by their places in it.
    """
    card = Card(folder / "programs", folder / "hooks", folder / "descriptions", folder / "asked")
    for one in (card.programs, card.hooks, card.descriptions):
        one.mkdir()
    node, library = folder / "nvidia0", folder / "libcuda.so.1"
    os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    library.write_text(LIBRARY_TEXT)
    description = card.descriptions / "nvidia.json"
    description.write_text(json.dumps(_description(node, {LIBRARY: library, **lent})))
    hook = HOOK.format(python=sys.executable, asked=str(card.asked), description=str(description))
    _program(card.programs / "nvidia-smi", SMI)
    _program(card.programs / "nvidia-ctk", CTK)
    _program(card.hooks / "nvidia-container-runtime-hook", hook)
    # `driver: nvidia` is the hook's work: Docker runs the container in its usual runtime.
    runc = shutil.which("runc", path=f"{os.environ['PATH']}:/usr/sbin")
    assert runc, "dockerd is here without runc"
    (card.hooks / "nvidia-container-runtime").symlink_to(runc)
    return card


def _description(node: Path, mounts: dict[str, Path]) -> dict[str, object]:
    """https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md"""
    options = ["ro", "nosuid", "nodev", "rbind"]
    edits = {
        "deviceNodes": [{"path": NODE, "hostPath": str(node)}],
        "mounts": [
            {"hostPath": str(source), "containerPath": target, "options": options}
            for target, source in mounts.items()
        ],
    }
    device = {"name": "all", "containerEdits": edits}
    return {"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [device]}


def _program(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o755)
