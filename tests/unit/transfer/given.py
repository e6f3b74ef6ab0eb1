"""Items, and a part of a file as connections bring it."""

import hashlib
import os
import threading

from lifecycle.transfer import Item
from lifecycle.transfer.part import Claim, Part

COMMIT = "c0ffee" + "0" * 34
PIECE = 256 * 1024


def item(content: bytes, path: str = "model.safetensors") -> Item:
    return Item(path, len(content), f"sha256:{hashlib.sha256(content).hexdigest()}", "http://hub/x")


def git_item(content: bytes, path: str = "config.json") -> Item:
    name = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return Item(path, len(content), f"git:{name}", "http://hub/x")


def content(size: int) -> bytes:
    return os.urandom(1 << 16) * (size >> 16) + b"x" * (size & 0xFFFF)


def fill(one: Part, data: bytes, claim: Claim | None) -> None:
    """Bring a claim's bytes as a connection does."""
    assert claim
    while claim.at < claim.end:
        one.write(claim, data[claim.at : min(claim.at + PIECE, claim.end)])
    one.drop(claim)


def kept(one: Part) -> threading.Thread:
    thread = threading.Thread(target=one.keep, daemon=True)
    thread.start()
    return thread


def cut_short(one: Part, keeper: threading.Thread) -> None:
    one.stop()
    keeper.join(10)
    one.close()
