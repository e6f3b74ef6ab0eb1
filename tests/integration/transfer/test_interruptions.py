"""Runs that end before their time, and two at once."""

import itertools
import signal
import threading
import time

import pytest

from lifecycle.transfer import missing_bytes
from lifecycle.transfer.item import MIB
from tests.fake_hub import Fault
from tests.integration.transfer.shop import LOST, SIZE, WEIGHTS, Shop, end, interrupted, reached


def test_a_second_run_brings_only_the_rest(shop: Shop) -> None:
    interrupted(shop)
    assert shop.unpublished()
    assert missing_bytes(shop.items, shop.place) == SIZE - 10 * MIB
    shop.fetch()
    assert shop.sent == SIZE - 10 * MIB


def test_what_has_another_etag_now_begins_anew(shop: Shop) -> None:
    interrupted(shop)
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", etag='"changed"'))
    shop.fetch()
    assert shop.sent >= SIZE


@pytest.mark.usefixtures("short_ranges")
def test_an_etag_that_always_changes_is_not_obeyed_for_ever(shop: Shop) -> None:
    for number in range(40):
        shop.hub.fault(Fault(path=WEIGHTS, where="cdn", etag=f'"{number}"', times=1))
    shop.fetch()


def test_a_new_revision_keeps_what_is_the_same(shop: Shop) -> None:
    shop.fetch()
    old = shop.place
    shop.add("config.json", 900)
    assert shop.place.commit != old.commit
    shop.hub.log.clear()
    shop.fetch()
    assert shop.sent == 0
    assert (old.snapshot / "model.safetensors").exists()


@pytest.mark.parametrize("moment", [0.15, 0.5, 0.8])
def test_kill_9_costs_at_most_16_mib(shop: Shop, moment: float) -> None:
    size = 128 * MIB
    shop.add("model.safetensors", size)
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=32 * MIB))
    process = shop.process()
    reached(process, int(size * moment))
    process.kill()
    end(process)
    assert shop.unpublished()
    missing = missing_bytes(shop.items, shop.place)
    assert missing <= size - int(size * moment) + LOST
    shop.hub.faults.clear()
    shop.hub.log.clear()
    shop.fetch()
    assert shop.sent <= missing


def test_killed_again_and_again_it_still_ends(shop: Shop) -> None:
    size = 96 * MIB
    shop.add("model.safetensors", size)
    for count in range(3):
        shop.hub.faults.clear()
        shop.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=(16 + count) * MIB))
        process = shop.process()
        reached(process, 20 * MIB)
        process.kill()
        end(process)
    shop.hub.faults.clear()
    shop.fetch()
    assert shop.sent <= size + 3 * LOST


def test_ctrl_c_loses_nothing(shop: Shop) -> None:
    size = 96 * MIB
    shop.add("model.safetensors", size)
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=16 * MIB))
    process = shop.process()
    reached(process, 40 * MIB)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    code, lines = end(process)
    assert code == 130, lines
    assert time.monotonic() - asked < 3
    assert missing_bytes(shop.items, shop.place) <= size - 40 * MIB
    shop.hub.faults.clear()
    shop.fetch()


def test_ctrl_c_while_the_server_is_silent(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", stall_after=8 * MIB, stall=60))
    process = shop.process(stall=60)
    reached(process, 8 * MIB)
    asked = time.monotonic()
    process.send_signal(signal.SIGINT)
    code, _ = end(process)
    assert code == 130
    assert time.monotonic() - asked < 3
    assert missing_bytes([shop.weights], shop.place) == SIZE - 8 * MIB


def test_two_seeders_bring_it_once(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=8 * MIB))
    first = shop.process()
    reached(first, MIB)
    second = shop.process()
    code, lines = end(second)
    assert code == 0, lines
    assert any(f"process {first.pid} on" in line and "waiting" in line for line in lines), lines
    assert end(first)[0] == 0
    assert shop.sent == SIZE


def test_a_lock_dies_with_its_process(shop: Shop) -> None:
    shop.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=8 * MIB))
    first = shop.process()
    reached(first, MIB)
    first.kill()
    end(first)
    shop.hub.faults.clear()
    before = time.monotonic()
    shop.fetch()
    assert time.monotonic() - before < 5


def test_threads_end_with_the_work(shop: Shop) -> None:
    shop.fetch()
    for _ in itertools.repeat(None, 50):
        if not [one for one in threading.enumerate() if one.name == "fetch"]:
            return
        time.sleep(0.1)
    pytest.fail(f"still there: {threading.enumerate()}")
