"""Credentials that stand in addresses: hidden before anything is shown or written down."""

import re

HIDDEN = "…"

CREDENTIALS = re.compile(
    r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)"
    r"(?:"
    # As RFC 3986 has it: all before the `@` of the host.
    r"[^\s/?#@]*@(?:[^\s/?#@]*@)*"
    # A password that should have been percent-encoded; behind a host's `:` is a number.
    r"|[^\s/?#@:]*:(?!\d{1,5}(?:[/?#\s]|$))\S*@"
    r")"
)
"""`user:password@` in an address, https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1."""


def without_credentials(text: str) -> str:
    """The text with `user:password@` hidden in every address that is in it."""
    return CREDENTIALS.sub(rf"\g<scheme>{HIDDEN}@", text)
