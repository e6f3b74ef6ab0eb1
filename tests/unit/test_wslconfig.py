r"""`.wslconfig` as WSL reads it, and changed so that nothing else moves.

The texts follow the grammar of WSL's own parser, its comments and its test
(https://github.com/microsoft/WSL: src/shared/configfile/configfile.cpp, 2026-08-08).
"""

import pytest

from lifecycle import wslconfig

IDLE = {"general.instanceIdleTimeout": "-1", "wsl2.vmIdleTimeout": "-1"}

MINE = """\
# mine, do not touch
[WSL2]
Memory = 8GB   # enough
  swap=0
kernelCommandLine = a=b \\
  c=d
memory=64GB

[unknown]
thing = "a # that is no comment" # and one that is
garbage of an editor
; not a comment to WSL
[experimental]
sparseVhd=true
"""


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("[wsl2]\nmemory=8GB\n", "wsl2.memory", "8GB"),
        ("[WSL2]\nMEMORY = 8GB\n", "wsl2.memory", "8GB"),
        ("[wsl2]\nmemory=8GB # enough\n", "wsl2.memory", "8GB"),
        ("[wsl2]\nmemory=8GB\nmemory=9GB\n", "wsl2.memory", "8GB"),
        ("[wsl2]\nswap=0\n[general]\nx=1\n[wsl2]\nmemory=8GB\n", "wsl2.memory", "8GB"),
        ("[wsl2] # main\nmemory=8GB\n", "wsl2.memory", "8GB"),
        ("[wsl2]\nmemory=\n", "wsl2.memory", ""),
        ('[a]\nk = key3 = \\"x\\"\n', "a.k", 'key3 = "x"'),
        ('[a]\nk = " spaces "\n', "a.k", " spaces"),
        ('[a]\nk = "a # b" # c\n', "a.k", "a # b"),
        ("[a]\nk = a \\\n    b\nl=2\n", "a.l", "2"),
        ("[a]\nk = C:\\\\temp\\\\x\n", "a.k", "C:\\temp\\x"),
        ("[a]\nk = x # not \\\nl=2\n", "a.l", "2"),
        ("k=1\n[a]\n", "k", "1"),
    ],
)
def test_values_are_read_as_wsl_reads_them(text: str, key: str, value: str) -> None:
    assert wslconfig.values(text)[key] == value


def test_lines_wsl_passes_over_hold_no_values() -> None:
    assert wslconfig.values("[wsl2]\n#memory=1\n;memory=2\nnonsense\n[bad section]\n= 3\n") == {}


def test_setting_a_value_changes_that_value_and_nothing_else() -> None:
    text = wslconfig.merged(MINE, {"wsl2.memory": "24GB"})
    assert text == MINE.replace("Memory = 8GB ", "Memory = 24GB ")


def test_a_new_key_joins_its_section_and_a_new_section_comes_last() -> None:
    text = wslconfig.merged(MINE, IDLE)
    assert text == (
        MINE.replace("memory=64GB\n", "memory=64GB\nvmIdleTimeout=-1\n")
        + "\n[general]\ninstanceIdleTimeout=-1\n"
    )
    assert {key.lower(): "-1" for key in IDLE}.items() <= wslconfig.values(text).items()


@pytest.mark.parametrize("text", [MINE, "", "[wsl2]", "a=1\n", "\n\n", "[wsl2]\n\n\n[general]\n"])
def test_merging_twice_is_merging_once(text: str) -> None:
    once = wslconfig.merged(text, IDLE)
    assert wslconfig.merged(once, IDLE) == once
    assert {key: wslconfig.values(once)[key.lower()] for key in IDLE} == IDLE


def test_every_old_line_is_still_there_in_its_order() -> None:
    new = iter(wslconfig.merged(MINE, IDLE).splitlines())
    assert all(line in new for line in MINE.splitlines())


def test_an_empty_file_becomes_sections() -> None:
    assert wslconfig.merged("", IDLE) == (
        "[general]\ninstanceIdleTimeout=-1\n\n[wsl2]\nvmIdleTimeout=-1\n"
    )


def test_a_joined_value_is_replaced_whole() -> None:
    text = wslconfig.merged("[a]\nk = x \\\n  y # z\nl=1\n", {"a.k": "w"})
    assert text == "[a]\nk = w # z\nl=1\n"
