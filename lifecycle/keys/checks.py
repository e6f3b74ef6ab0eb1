"""What a value must look like: ranges, choices, spellings."""

import re
from collections.abc import Callable

Check = Callable[[str], str]
"""Says what is wrong with a value; "" when nothing is."""


def anything(_: str) -> str:
    """Accept every value."""
    return ""


def one_of(*choices: str) -> Check:
    """Accept only the given words."""
    return lambda text: "" if text in choices else f"must be one of {', '.join(choices)}"


def whole_number(low: int, high: int) -> Check:
    """Accept a whole number in a closed range."""

    def check(text: str) -> str:
        if re.fullmatch(r"[0-9]+", text) and low <= int(text) <= high:
            return ""
        return f"must be a whole number from {low} to {high}"

    return check


def number(low: float, high: float) -> Check:
    """Accept a decimal number in a closed range."""

    def check(text: str) -> str:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) and low <= float(text) <= high:
            return ""
        return f"must be a number from {low:g} to {high:g}"

    return check


def spelled(pattern: str, example: str) -> Check:
    """Accept what a pattern describes, told by an example."""

    def check(text: str) -> str:
        return "" if re.fullmatch(pattern, text) else f"must be written like {example}"

    return check


def server_root(text: str) -> str:
    """Accept where a server is, without a path. A port beyond the last one leads nowhere."""
    found = re.fullmatch(r"https?://[A-Za-z0-9.-]+(?::([0-9]{1,5}))?", text)
    if found and 0 < int(found[1] or 80) < 1 << 16:
        return ""
    return "must be written like http://workstation:8000"


def auth_key(text: str) -> str:
    """Accept what Tailscale (and Headscale) make keys of: the shell that hands it over needs it."""
    if re.fullmatch(r"[A-Za-z0-9_?=&.:-]+", text):
        return ""
    return "must be an auth key: letters, digits and _?=&.:- only"
