"""Sending a part of a file, whole or harmed."""

import socket
import time
from dataclasses import dataclass
from pathlib import Path

from tests.fake_hub.faults import Fault

PIECE = 1 << 18


@dataclass(frozen=True)
class Part:
    """Bytes `start` to `end` (not included) of a file."""

    place: Path
    start: int
    end: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.end - self.start


def send(connection: socket.socket, part: Part, fault: Fault) -> int:
    """Send it; returns the bytes sent, which are fewer when the fault is a cut."""
    size = part.size
    if fault.cut_after is not None:
        size = min(size, fault.cut_after)
    plain = not fault.rate and fault.corrupt is None and fault.stall_after is None
    with part.place.open("rb") as stream:
        if plain:
            # The kernel copies: the stand-in must not be what a benchmark measures.
            return connection.sendfile(stream, part.start, size) if size else 0
        return _by_hand(connection, part, size, fault)


def _by_hand(connection: socket.socket, part: Part, size: int, fault: Fault) -> int:
    sent, began, stalled = 0, time.monotonic(), False
    piece = min(PIECE, max(1, fault.rate // 10)) if fault.rate else PIECE
    with part.place.open("rb") as stream:
        stream.seek(part.start)
        while sent < size:
            room = size - sent
            if fault.stall_after is not None and not stalled:
                room = min(room, fault.stall_after - sent)
                if room <= 0:
                    time.sleep(fault.stall)
                    stalled = True
                    continue
            content = bytearray(stream.read(min(piece, room)))
            at = -1 if fault.corrupt is None else fault.corrupt - part.start - sent
            if 0 <= at < len(content):
                content[at] ^= 0xFF
            connection.sendall(content)
            sent += len(content)
            if fault.rate:
                time.sleep(max(0.0, sent / fault.rate - (time.monotonic() - began)))
    return sent
