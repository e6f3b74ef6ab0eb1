"""What servers say."""

import pytest

from lifecycle.transfer import source


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"RateLimit": '"resolvers";r=0;t=55'}, 55),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert source._told(headers) == seconds


def test_a_weak_etag_says_nothing_about_bytes() -> None:
    assert source._strong('W/"abc"') == ""
    assert source._strong('"abc"') == '"abc"'
