"""What a value must look like: ranges, choices, spellings."""

import re
from collections.abc import Callable

Check = Callable[[str], str]
"""Says what is wrong with a value; "" when nothing is. A second line may say why, a third one what
to do."""
QUOTES = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\xab\xbb\u2039\u203a\uff02\uff07`"
"""What pages and word processors make of quotes; no shell and no parser takes them for such."""


def anything(_: str) -> str:
    """Accept every value."""
    return ""


def one_of(*choices: str) -> Check:
    """Accept only the given words."""
    return lambda text: "" if text in choices else f"must be one of {', '.join(choices)}"


def whole_number(low: int, high: int) -> Check:
    """Accept a whole number in a closed range."""

    def check(text: str) -> str:
        # Python reads no number of more than 4300 digits.
        if re.fullmatch(r"[0-9]{1,18}", text) and low <= int(text) <= high:
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


def image_reference(text: str) -> str:
    """Accept what Docker takes for an image: https://pkg.go.dev/github.com/distribution/reference."""
    part = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
    host = r"[A-Za-z0-9.-]+(?::[0-9]+)?"
    end = r"(?::\w[\w.-]{0,127})?(?:@\w+:[0-9a-f]+)?"
    if re.fullmatch(rf"(?:{host}/)?{part}(?:/{part})*{end}", text, re.ASCII):
        return ""
    return "must be written like vllm/vllm-openai:v0.33.0"


def server_root(text: str) -> str:
    """Accept where a server is, without a path. A port beyond the last one leads nowhere."""
    found = re.fullmatch(r"https?://[A-Za-z0-9.-]+(?::([0-9]{1,5}))?", text)
    if found and 0 < int(found[1] or 80) < 1 << 16:
        return ""
    return "must be written like http://workstation:8000"


def origins(text: str) -> str:
    """Accept what browsers call origins, with commas between them: no path, no slash at the end.

    Programs that are browsers inside have a scheme of their own, as app://obsidian.md.
    """
    origin = r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?"
    if text == "*" or re.fullmatch(rf"{origin}(?:,{origin})*", text, re.IGNORECASE):
        return ""
    return "must be written like https://chat.example.org,http://localhost:3000"


def auth_key(text: str) -> str:
    """Accept what Tailscale (and Headscale) make keys of: the shell that hands it over needs it."""
    if re.fullmatch(r"[A-Za-z0-9_?=&.:-]+", text):
        return ""
    return "must be an auth key: letters, digits and _?=&.:- only"


def text_as_seen(text: str) -> str:
    """Refuse what nobody sees and no program expects: marks of word processors, characters of no
    width, spaces that do not break.
    """
    if text[:1] in QUOTES:
        return (
            f"begins with {text[0]}, which is no quote to a program\n"
            "it was copied from a page or a word processor\nWrite the value without quotes."
        )
    if text.endswith("\r"):
        return (
            "ends with a carriage return\nit comes from a file with Windows line ends\n"
            "Convert that file: dos2unix FILE"
        )
    unseen = next((char for char in text if not char.isprintable() and char != "\t"), "")
    if unseen:
        return (
            f"holds a character that cannot be seen (U+{ord(unseen):04X})\n\n"
            "Type the value instead of pasting it."
        )
    return ""


def header_secret(text: str) -> str:
    """Accept what travels in an HTTP header as it is: visible ASCII, no spaces.

    https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    """
    if re.fullmatch(r"[\x21-\x7e]+", text):
        return ""
    return (
        f"holds {_unsendable(text)}\nit is sent in an HTTP header: letters, digits and signs of "
        "ASCII only, no spaces\nType it anew, without quotes."
    )


def _unsendable(text: str) -> str:
    """What is wrong with a secret, without a character of it."""
    if any(mark in text for mark in QUOTES if not mark.isascii()):
        return "typographic quotes"
    return "characters beyond ASCII" if not text.isascii() else "spaces or control characters"


def backend_keys(text: str) -> str:
    """Accept pairs of a backend's name and its key, with commas between them."""
    pair = r"[a-z0-9][\w.-]*=[^\s,]+"
    if not re.fullmatch(rf"{pair}(?:,{pair})*", text):
        return "must be written like 4090=sk-one,7900xtx=sk-two"
    secrets = (one.partition("=")[2] for one in text.split(","))
    return next(filter(None, map(header_secret, secrets)), "")


def devices(text: str) -> str:
    """Accept numbers of cards, each once. Whether there are such cards, the machine must say."""
    numbers = text.split(",")
    if re.match(r"GPU-|MIG-", text, re.IGNORECASE):
        return (
            "names a card by its serial: only numbers are taken, such as 0 or 0,1\n"
            "slices of a card (MIG) cannot be chosen\nThe numbers: nvidia-smi -L"
        )
    if len(numbers) > 1 and "" in (number.strip() for number in numbers):
        return "has an empty place between its commas: must be written like 0 or 0,1"
    if not all(re.fullmatch(r"0|[1-9][0-9]{0,3}", number) for number in numbers):
        return "must be written like 0 or 0,1"
    twice = next((number for number in numbers if numbers.count(number) > 1), "")
    return f"names card {twice} twice" if twice else ""


def git_revision(text: str) -> str:
    """Accept a branch, tag or commit as git does: https://git-scm.com/docs/git-check-ref-format."""
    bad = (
        r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//"  # anywhere
        r"|^[-/.]|[/.]$|/\.|\.lock(?:/|$)|^@$"
    )
    if re.search(bad, text):
        return "must be a branch, tag or commit as git takes it, like main"
    return ""
