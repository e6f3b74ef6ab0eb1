"""The root `.env` of a newcomer: made from the example, with the one secret a person may have."""

import re

TOKEN = re.compile(r"[A-Za-z0-9_-]{8,}")
"""What Hugging Face makes tokens of: `hf_` and letters and digits."""
ASKED = re.compile(r"^#?[ \t]*(export[ \t]+)?HF_TOKEN=.*$", re.MULTILINE)


def asks_for_token(text: str | None) -> bool:
    """Whether nobody has decided about a token: no file yet, or not a word about it there."""
    return text is None or not ASKED.search(text)


def with_token(text: str | None, example: str, token: str) -> str:
    """The file's text: what is there stays as it is, byte by byte.

    Args:
        text: what the file holds; None when there is none.
        example: what a new file is made from.
        token: the person's token; "" when there is none.
    """
    line = f"HF_TOKEN={token}" if token else "# HF_TOKEN="
    if text is None:
        return ASKED.sub(lambda _: line, example, count=1)
    if not asks_for_token(text):
        return text
    end = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{end}# Hugging Face token for gated models.\n{line}\n"
