"""Streaming: in pieces, as they are made, complete, and counted."""

import pytest

from smoke.server import Server, joined
from smoke.test_chat import COUNT, FRANCE

pytestmark = pytest.mark.smoke

# A stream that something buffers arrives at the very end; a real one takes most of its time.
LEAST_SPREAD = 0.2


def test_stream_has_more_than_one_chunk(server: Server) -> None:
    pieces = [arrival.text for arrival in server.stream(FRANCE) if arrival.text]
    assert len(pieces) > 1, f"the whole answer came in one chunk: {pieces}"


def test_stream_is_spread_over_time(server: Server) -> None:
    times = [arrival.seconds for arrival in server.stream(COUNT, max_tokens=64) if arrival.text]
    assert times, "the stream had no text"
    spread = (times[-1] - times[0]) / times[-1]
    assert spread > LEAST_SPREAD, (
        f"{len(times)} chunks, the first after {times[0]:.2f} s, the last after {times[-1]:.2f} s:"
        " something holds the stream back until it is over"
    )


def test_stream_is_complete(server: Server) -> None:
    arrivals = server.stream(FRANCE)
    reasons = [c.finish_reason for a in arrivals for c in a.chunk.choices if c.finish_reason]
    assert len(reasons) == 1, f"a stream ends with one finish_reason, this one had {reasons}"
    streamed, plain = joined(arrivals), server.text(FRANCE)
    assert streamed == plain, f"streamed {streamed!r}, but in one piece {plain!r}"


def test_stream_ends_with_its_usage(server: Server) -> None:
    arrivals = server.stream(FRANCE, max_tokens=16, stream_options={"include_usage": True})
    usage = arrivals[-1].chunk.usage
    assert usage is not None, "include_usage was asked for, and the last chunk has no usage"
    assert 0 < usage.completion_tokens <= 16, f"max_tokens=16, but {usage}"
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, (
        f"prompt and completion do not add up to the total: {usage}"
    )
