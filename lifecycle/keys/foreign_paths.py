"""Paths that mean nothing on this system, and what they are called here."""

import re
import sys

WRITTEN = dict(zip("\a\b\f\n\r\t\v", (rf"\{letter}" for letter in "abfnrtv"), strict=True))
"""How the characters were written that python-dotenv makes of escapes in double quotes: the path
C:\\new\\table has become two lines there."""


def foreign_path(text: str) -> str:
    """Refuse a path that means nothing on this system: of Windows, of another account, a URL."""
    if sys.platform == "win32":
        return ""
    if there := _under_wsl(text):
        return (
            "is a path of Windows, and this is Linux\n"
            f"under WSL2 the same place is {there}; from a disk of Windows all is read slowly\n"
            f"Take a folder of Linux, such as ~/models; or write {there}"
        )
    if "\\" in text and "/" not in text:
        return f"has \\ where a path of Linux has /\n\nWrite {text.replace(chr(92), '/')}"
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        path = re.sub(r"^file://(?:localhost)?(?=/)", "", text)
        hub = re.match(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([\w.-]+/[\w.-]+)", text)
        path = hub[1] if hub else path
        instead = f"Write {path}" if path != text else "Write a name or a path."
        return f"is an address, not a path\n\n{instead}"
    if re.match(r"~[^/]", text):
        return "begins with the home of an account by its name\n\nWrite the path in full, or ~/…"
    return ""


def _under_wsl(text: str) -> str:
    """Where WSL2 mounts what Windows calls so; "" when it is no path of Windows.

    https://learn.microsoft.com/windows/wsl/wsl-config#automount-settings
    """
    plain = "".join(WRITTEN.get(char, char) for char in text)
    drive = re.match(r"([A-Za-z]):(.*)", plain)
    if drive:
        below = re.sub(r"[\\/]+", "/", drive[2]).strip("/")
        return f"/mnt/{drive[1].lower()}/{below}".rstrip("/")
    share = re.match(r"(?:\\{1,2}|//)wsl(?:\$|\.localhost)[\\/]+[^\\/]+(.*)", plain, re.IGNORECASE)
    if share:
        return re.sub(r"[\\/]+", "/", share[1]) or "/"
    return f"{plain} (a share: mount it first)" if plain.startswith("\\\\") else ""
