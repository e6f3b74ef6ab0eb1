"""Backends on other machines: switched off without a word, behind HTTPS, under a new address.

The gateway of this module sees names and certificates of its own, by mounts that it alone has.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from lifecycle import tables
from tests.fake_vllm import Settings, fake_vllm
from tests.integration.checkout import free_port
from tests.integration.gateway.machines import Authority, Belief, Machine, machine, only_root
from tests.integration.gateway.pressure import Drip
from tests.integration.gateway.processes import Behind
from tests.integration.gateway.running import MARGIN, OWN, TWO_CHECKS, Gateway

pytestmark = only_root
OLD, NEW = "127.0.0.2", "127.0.0.3"
NAMES = {"moving.test": OLD, "good.test": OLD, "other.test": OLD, "unknown.test": OLD}
HOSTS_KEPT = 5.0
"""Seconds for which Go goes by its last look at /etc/hosts (its net/hosts.go); DNS it asks anew."""


@pytest.fixture(scope="module")
def far() -> Iterator[Machine]:
    with machine() as made:
        yield made


@pytest.fixture(scope="module")
def belief(tmp_path_factory: pytest.TempPathFactory) -> Belief:
    place = tmp_path_factory.mktemp("belief")
    made = Belief(place / "hosts", Authority.make(place / "ours").certificate)
    made.means(NAMES)
    return made


@pytest.fixture(scope="module")
def outward(
    tmp_path_factory: pytest.TempPathFactory, far: Machine, belief: Belief
) -> Iterator[Gateway]:
    """A gateway with backends elsewhere alone, but for one that can stand in."""
    made = Gateway.prepare(tmp_path_factory.mktemp("outward"))
    ours = Authority(belief.bundle.parent)
    theirs = Authority.make(belief.hosts.parent / "theirs")
    plain = Settings(api_key=OWN, host=OLD)
    with ExitStack() as stack:
        silent = Behind("silent", free_port(), "far", far.address, far.netns)
        stack.callback(silent.kill)
        silent.begin()
        made.member("silent", silent.url, "far", elsewhere=True)
        for name, settings in {
            "near": replace(plain, model="far", host="127.0.0.1"),
            "good.test": replace(plain, model="good", certificate=ours.sign("good.test")),
            "other.test": replace(plain, model="other", certificate=ours.sign("somebody.test")),
            "unknown.test": replace(
                plain, model="unknown", certificate=theirs.sign("unknown.test")
            ),
            "moving.test": replace(plain, model="moving"),
        }.items():
            one = stack.enter_context(fake_vllm(settings))
            made.doubles[name] = one
            url = one.url.replace(OLD, name)
            made.member(name, url, settings.model, elsewhere=name != "near")
        silent.listens()
        stack.enter_context(made.up(*belief.within()))
        yield made


def test_a_machine_that_falls_silent_costs_no_more_than_a_dial(
    outward: Gateway, far: Machine
) -> None:
    outward.until("silent", up=True)
    with Drip(outward, "far") as drip:
        time.sleep(0.5)
        # Nothing is on its way: what it computes already is another matter, and takes longer.
        with drip.quiet():
            assert outward.served_by("far")["silent"] > 2
            far.falls_silent()
            since = time.monotonic()
        time.sleep(TWO_CHECKS + 1.5)  # longer than any may begin that waits
        far.speaks_again()
        back = outward.until("silent", up=True)
    slow = drip.report("a machine silent for 5.5 s", since)
    assert slow
    assert max(seconds for _, seconds in slow) < tables.gateway.limits().dial_seconds + MARGIN
    assert max(began for began, _ in slow) < TWO_CHECKS
    assert back < TWO_CHECKS + MARGIN
    before = outward.served_by("far")["silent"]
    assert {outward.chat("far").status for _ in range(4)} == {200}
    assert outward.served_by("far")["silent"] > before


def test_https_is_spoken_with_whom_this_machine_believes(outward: Gateway) -> None:
    outward.until("good.test", up=True)
    assert outward.chat("good").status == 200
    streamed = outward.chat("good", 10, stream=True)
    assert streamed.body.endswith(b"data: [DONE]\n\n")
    assert outward.served_by("good") == {"good.test": 2}


@pytest.mark.parametrize("name", ["other", "unknown"])
def test_a_wrong_certificate_is_not_believed(outward: Gateway, name: str) -> None:
    """One is for another host, one is signed by somebody."""
    outward.until(f"{name}.test", up=False)
    answer = outward.chat(name)
    assert (answer.status, answer.error["code"]) == (503, "no_backend")
    assert outward.doubles[f"{name}.test"].seen == []


def test_a_name_is_followed_to_its_new_address(outward: Gateway, belief: Belief) -> None:
    """What is at the old one still answers: it is not for a failure that another is asked."""
    old = outward.doubles["moving.test"]
    outward.until("moving.test", up=True)
    assert outward.chat("moving").status == 200
    with fake_vllm(replace(old.settings, host=NEW, port=old.port)) as new:
        belief.means(NAMES | {"moving.test": NEW})
        began = time.monotonic()
        while not any(seen.path != "/v1/models" for seen in new.seen):
            assert time.monotonic() < began + HOSTS_KEPT + MARGIN, "the old one is still asked"
            assert outward.chat("moving").status == 200
            time.sleep(0.1)
        before = outward.generations("moving.test")
        assert {outward.chat("moving").status for _ in range(4)} == {200}
        assert outward.generations("moving.test") == before
