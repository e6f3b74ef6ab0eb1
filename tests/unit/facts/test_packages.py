"""Packages, from what dpkg-query of Debian 13 prints for a removed, a half and an installed one."""

import pytest

from lifecycle import tables
from lifecycle.facts import packages
from lifecycle.machine import Here, Replay
from lifecycle.shell import Output, Shell

SAID = """\
ii  docker.io 26.1.5+dfsg1-9+b11
rc  libhsa-runtime64-1 5.7.1-2build1
iU  podman 5.4.2+ds1-2+b2
ii  libnuma1 2.0.19-1
ii  keepassxc 2.7.10+dfsg.1-1

"""


def test_only_what_is_installed_and_matters_counts() -> None:
    assert packages.parse(SAID) == {"docker.io": "26.1.5+dfsg1-9+b11", "libnuma1": "2.0.19-1"}


def test_a_recording_holds_nobody_elses_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def read(_: Shell, *argv: str, **_more: object) -> Output:
        asked.append(argv)
        return Output(0, SAID)

    monkeypatch.setattr(Shell, "read", read)
    here = Here(Shell())
    found = packages.look(here)
    assert asked[0][:2] == ("dpkg-query", "-W")
    assert [key for key in here.recorded() if "dpkg" in key] == []
    assert "keepassxc" not in here.recorded()["ask: packages"].text
    assert packages.look(Replay(here.recorded())) == found


def test_a_recording_older_than_a_pattern_still_answers() -> None:
    old = Replay({"ask: packages": Output(0, '{"docker.io": "26.1.5"}')})
    assert packages.look(old) == {"docker.io": "26.1.5"}


def test_what_other_facts_ask_for_matters() -> None:
    wanted = ["rocm-core", "rocdxg-roct", *tables.rocm.shadowing()]
    text = "".join(f"ii  {name} 1.0\n" for name in wanted)
    assert packages.parse(text).keys() == set(wanted)
