import pytest

from lifecycle.backend import Backend
from lifecycle.gateway import members
from lifecycle.gateway.members import Member, by_model, member
from tests.unit import given


def backend(name: str = "cpu", **changes: str) -> Backend:
    return given.backend(name, SERVED_NAME="tiny", **changes)


@pytest.mark.parametrize(
    ("values", "tier", "cap"),
    [
        ({"GPU": "cpu"}, "cpu", 8),
        ({"GPU": "cuda"}, "gpu", 32),
        ({"GPU": "rocm", "MAX_IN_FLIGHT": "3"}, "gpu", 3),
        ({"GPU": "cuda", "TIER": "cpu"}, "cpu", 8),
        ({"GPU": "cpu", "TIER": "gpu"}, "gpu", 32),
    ],
)
def test_tier_and_cap_come_from_the_hardware_where_nobody_says(
    values: dict[str, str], tier: str, cap: int
) -> None:
    made = member(backend(**values), None)
    assert (made.tier, made.cap) == (tier, cap)


def test_it_serves_what_it_says_and_else_what_its_file_says() -> None:
    assert member(backend(), None).models == ("tiny",)
    assert member(backend(), {"a": 0, "b": 0}).models == ("a", "b")
    assert member(backend(), {}).models == ()


def test_the_length_of_a_model_is_what_the_server_says_and_else_its_file() -> None:
    assert member(backend(MAX_MODEL_LEN="4096"), None).lengths == {"tiny": 4096}
    assert member(backend(MAX_MODEL_LEN="4096"), {"a": 2048, "b": 0}).lengths == {"a": 2048}
    assert member(backend(MAX_MODEL_LEN="auto"), None).lengths == {}


def test_of_one_address_there_is_one_backend() -> None:
    """PORT= in .env gives all of them the same."""
    idle = [member(backend(name), None) for name in ("4090", "7900xtx")]
    cpu = member(backend("cpu"), {"tiny": 0})
    assert [(a.name, b.name) for a, b in members.same_address([*idle, cpu])] == [
        ("cpu", "4090"), ("cpu", "7900xtx"),
    ]  # fmt: skip
    far = member(backend("far", ENDPOINT="http://localhost:8000"), None)
    near = member(backend("near", ENDPOINT="http://127.0.0.1:8000"), None)
    other = member(backend("other", ENDPOINT="http://127.0.0.1:8001"), None)
    assert [(a.name, b.name) for a, b in members.same_address([near, far, other])] == [
        ("far", "near"),
    ]  # fmt: skip


def test_clients_hear_of_what_answers_or_will() -> None:
    elsewhere = backend(ENDPOINT="http://workstation:8000")
    assert member(elsewhere, None).expected
    assert member(elsewhere, None).url == "http://workstation:8000"
    assert member(backend(), {"tiny": 0}).expected
    assert member(backend(), None, started=True).expected
    assert not member(backend(), None).expected


@pytest.mark.parametrize("name", ['{{ env "HOME" }}', "a`b", "", "a b", "\u00e4", "x" * 201])
def test_a_name_that_could_write_into_the_configuration_is_left_out(name: str) -> None:
    found = member(backend(), {name: 0, "Org/model-1.5:q4": 0})
    assert found.models == ("Org/model-1.5:q4",)
    assert found.left_out == (name,)


def test_each_backend_gets_its_own_key_or_this_machines() -> None:
    keys = "4090=sk-a=b,cpu=sk-c"
    assert members.key(backend("4090", REMOTE_KEYS=keys)) == "sk-a=b"
    assert members.key(backend("cpu", REMOTE_KEYS=keys)) == "sk-c"
    assert members.key(backend("other", REMOTE_KEYS=keys)) == given.KEY


def test_keys_are_in_no_text_of_a_member() -> None:
    assert given.KEY not in repr(member(backend(), None))


def test_the_better_tier_comes_first() -> None:
    some = [
        Member("a", "http://a", "cpu", 8, models=("m",)),
        Member("c", "http://c", "gpu", 8, models=("m", "n")),
        Member("b", "http://b", "gpu", 8, models=("m",)),
    ]
    found = by_model(some)
    assert [one.name for one in found["m"]] == ["b", "c", "a"]
    assert list(found) == ["m", "n"]
