"""An image on its way, from the events of both of Docker's image stores."""

from typing import Any

import pytest

from lifecycle.layers import Pull

# Recorded: Engine 26.1.5, classic store, an image of three layers; times are those of the test.
CLASSIC: list[dict[str, Any]] = [
    {"status": "Pulling from exp/a", "id": "1"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "9a34e1951f0f"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "74156c386126"},
    {"status": "Waiting", "progressDetail": {}, "id": "74156c386126"},
    {"status": "Downloading", "progressDetail": {"current": 32768, "total": 300333},
     "progress": "[=====>   ]  32.77kB/300.3kB", "id": "9a34e1951f0f"},
    {"status": "Verifying Checksum", "progressDetail": {}, "id": "9a34e1951f0f"},
    {"status": "Download complete", "progressDetail": {}, "id": "9a34e1951f0f"},
    {"status": "Extracting", "progressDetail": {"current": 32768, "total": 300333},
     "progress": "[=====>   ]  32.77kB/300.3kB", "id": "9a34e1951f0f"},
    {"status": "Pull complete", "progressDetail": {}, "id": "9a34e1951f0f"},
    {"status": "Downloading", "progressDetail": {"current": 36445, "total": 2000843},
     "progress": "[>   ]  36.45kB/2.001MB", "id": "74156c386126"},
    {"status": "Verifying Checksum", "progressDetail": {}, "id": "74156c386126"},
    {"status": "Pull complete", "progressDetail": {}, "id": "74156c386126"},
    {"status": "Digest: sha256:f7fc31a83cc9ef0b2f09cdfcabaa724b6aa09aa7bec17e2aa3831012ee96e68d"},
    {"status": "Status: Downloaded newer image for 127.0.0.1:42123/exp/a:1"},
]  # fmt: skip
# The same engine with the containerd store: no "Pull complete", small layers come without a size.
CONTAINERD: list[dict[str, Any]] = [
    {"status": "Pulling from exp/f3", "id": "1"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "331b476b2d0a"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "88cd5077804e"},
    {"status": "Download complete", "progressDetail": {"hidecounts": True}, "id": "331b476b2d0a"},
    {"status": "Downloading", "progressDetail": {"current": 1048576, "total": 2000852},
     "progress": "[===>   ]  1.049MB/2.001MB", "id": "88cd5077804e"},
    {"status": "Download complete", "progressDetail": {"hidecounts": True}, "id": "88cd5077804e"},
    {"status": "Digest: sha256:b166d7c23c11072bd8568d66294294417bd41e0b994072a17e3521ba5299c81b"},
]  # fmt: skip


def fed(*events: dict[str, Any], every: float = 1) -> Pull:
    pull = Pull("exp/a:1")
    for number, event in enumerate(events):
        pull.take(event, number * every)
    return pull


def downloading(current: int, total: int, name: str = "a") -> dict[str, Any]:
    detail = {"current": current, "total": total}
    return {"status": "Downloading", "progressDetail": detail, "id": name}


@pytest.mark.parametrize(
    ("events", "total", "digest"),
    [(CLASSIC, 300333 + 2000843, "sha256:f7fc31a8"), (CONTAINERD, 2000852, "sha256:b166d7c2")],
    ids=["classic", "containerd"],
)
def test_at_the_end_all_has_arrived(events: list[dict[str, Any]], total: int, digest: str) -> None:
    pull = fed(*events)
    assert (pull.done, pull.total, pull.sized) == (total, total, True)
    assert pull.digest.startswith(digest)
    assert len(pull.layers) == 2


def test_in_the_middle_the_total_is_only_what_is_known() -> None:
    pull = fed(*CLASSIC[:5])
    assert (pull.done, pull.total, pull.sized, pull.here) == (32768, 300333, False, 0)
    assert pull.left(5) is None


def test_a_layer_is_fetched_then_unpacked_then_here() -> None:
    states = [fed(*CLASSIC[:end]).layers["9a34e1951f0f"] for end in (2, 5, 6, 8, 9)]
    assert [one.state for one in states] == [
        "waiting", "fetching", "fetched", "unpacking", "here",
    ]  # fmt: skip
    assert states[3].shown == 32768


def test_a_layer_that_is_here_already_adds_nothing() -> None:
    pull = fed(
        {"status": "Already exists", "progressDetail": {}, "id": "a"}, downloading(5, 10, "b")
    )
    assert (pull.done, pull.total, pull.here, pull.sized) == (5, 10, 1, True)


def test_after_a_break_docker_counts_only_the_rest() -> None:
    # Recorded: 12003925 bytes, broken off at 2883584, gone on with by `Range: bytes=2883584-`.
    again = {"status": "Retrying in 5 seconds", "progressDetail": {}, "id": "a"}
    pull = fed(downloading(2883584, 12003925), again, downloading(65536, 9120341))
    assert (pull.done, pull.total) == (2883584 + 65536, 12003925)
    pull.take(downloading(9120341, 9120341), 4)
    assert pull.done == pull.total


def test_while_docker_waits_a_layer_says_so() -> None:
    again = {"status": "Retrying in 5 seconds", "progressDetail": {}, "id": "a"}
    assert fed(downloading(5, 10), again).layers["a"].state == "fetching again"


def test_speed_and_time_left_follow_the_last_seconds() -> None:
    pull = fed(*(downloading(100 * second, 10_000) for second in range(31)))
    assert pull.speed(30) == 100
    assert pull.left(30) == 70


def test_a_pull_that_stands_still_has_no_speed() -> None:
    pull = fed(downloading(0, 100), downloading(50, 100))
    assert pull.speed(1) == 50
    assert pull.speed(100) == 0
    assert pull.left(100) is None


def test_another_attempt_begins_from_nothing_and_says_why() -> None:
    pull = fed(downloading(5, 10))
    pull.begin_again("the network: again in 2 s")
    assert (pull.layers, pull.done, pull.note) == ({}, 0, "the network: again in 2 s")
    pull.take(downloading(1, 10), 3)
    assert pull.note == ""


def test_seconds_of_unpacking_are_not_bytes() -> None:
    # The containerd store counts time there, not bytes: moby/moby#47108, #49064. Not recorded.
    unpacking = {"status": "Extracting", "progressDetail": {"current": 7, "units": "s"}, "id": "a"}
    layer = fed(downloading(10, 10), unpacking).layers["a"]
    assert (layer.state, layer.done, layer.unpacked) == ("unpacking", 10, 0)
