"""Descriptions of cards, as nvidia-ctk writes them."""

import json
from pathlib import Path

import pytest

from lifecycle.facts import cdi

# The beginning of /var/run/cdi/nvidia.yaml, by nvidia-ctk cdi generate; newer ones put the name
# first: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/cdi-support.html
YAML = """\
---
cdiVersion: 0.5.0
containerEdits:
  deviceNodes:
  - path: /dev/nvidiactl
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  hooks:
  - args:
    - nvidia-cdi-hook
    - update-ldcache
    hookName: createContainer
    path: /usr/bin/nvidia-cdi-hook
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
  name: "0"
- name: all
  containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
kind: nvidia.com/gpu
"""
JSON = {
    "cdiVersion": "0.5.0",
    "kind": "nvidia.com/gpu",
    "devices": [{"name": "all", "containerEdits": {"hooks": [{"hookName": "createContainer"}]}}],
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (YAML, ["nvidia.com/gpu=0", "nvidia.com/gpu=all"]),
        (json.dumps(JSON), ["nvidia.com/gpu=all"]),
        (json.dumps(JSON, separators=(",", ":")), ["nvidia.com/gpu=all"]),
        (json.dumps(JSON, indent=2), ["nvidia.com/gpu=all"]),
        ("kind: [broken\nname: all\n", []),
        ("", []),
    ],
)
def test_the_devices_of_a_description(text: str, found: list[str]) -> None:
    assert cdi.described(text) == found


def test_files_of_all_folders_count_and_others_do_not(tmp_path: Path) -> None:
    one, other = tmp_path / "etc", tmp_path / "run"
    one.mkdir()
    other.mkdir()
    (one / "nvidia.yaml").write_text(YAML)
    (one / "nvidia.yaml.bak").write_text(YAML.replace("nvidia.com/gpu", "old.com/gpu"))
    (one / "broken.json").write_bytes(b"\xff\xfe\x00kind")
    (other / "amd.json").write_text(json.dumps(JSON | {"kind": "amd.com/gpu"}))
    assert cdi.devices([str(one), str(other), str(tmp_path / "gone")]) == [
        "amd.com/gpu=all",
        "nvidia.com/gpu=0",
        "nvidia.com/gpu=all",
    ]
