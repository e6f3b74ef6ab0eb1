"""Text to tokens and back: words with their leading space, single digits, single signs."""

import re
import zlib

# Joined again, the tokens are the text: nothing may be lost between them.
TOKEN = re.compile(r" ?[A-Za-z]{1,12}| ?\d| ?[^\sA-Za-z\d]|\s")
VOCABULARY_SIZE = 49_152


def split(text: str) -> list[str]:
    """Return the tokens of a text."""
    return TOKEN.findall(text)


def count(text: str) -> int:
    """Return how many tokens a text has."""
    return len(split(text))


def ids(text: str) -> list[int]:
    """Return one stable number for each token."""
    return [zlib.crc32(token.encode()) % VOCABULARY_SIZE for token in split(text)]
