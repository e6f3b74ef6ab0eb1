"""A look at a machine as one text file that a person can read before sending it.

    # recorded 2026-11-22 by inv doctor --record
    ## run: wsl.exe --version
    | WSL version: 2.9.4.0
    ## exists: /dev/kfd
    exit 1

Lines of an answer begin with `| `, lines of its complaints with `! `. `exit` is left out when it is
0. A recording may stand on another one and say only what differs: `# based on: <folder beside it>`.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from lifecycle.errors import ConfigError
from lifecycle.redact import CREDENTIALS
from lifecycle.shell import Output

FILE = "machine.txt"
COMMON = {"root", "user", "ubuntu", "debian", "docker", "localhost", "wsl", "windows", "vm"}
"""Account and host names that tell nothing, and would break the rest if they were taken out."""
BASED_ON = "# based on: "

SCRUBBED = (
    # What could be a serial, an address or a token, and what stands in its place.
    (CREDENTIALS, r"\g<scheme>user@"),
    (re.compile(r"GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "GPU-(serial)"),
    (re.compile(r"\b(hf_|sk-|tskey-|ghp_|github_pat_)[\w-]{6,}"), r"\1(token)"),
    (re.compile(r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b", re.IGNORECASE), "(mac)"),
    (re.compile(r"\b[\w-]+\.[\w-]+\.ts\.net\b"), "host.tailnet.ts.net"),
    # Four numbers with dots may be a version: an address is private, or has a port or a mask.
    (re.compile(r"\b(?:10(?:\.\d{1,3}){3}|192\.168(?:\.\d{1,3}){2}|172\.(?:1[6-9]|2\d|3[01])"
                r"(?:\.\d{1,3}){2}|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])(?:\.\d{1,3}){2})"
                r"\b(?![.\d])"), "192.0.2.1"),
    (re.compile(r"\b(?!127\.)\d{1,3}(?:\.\d{1,3}){3}(?=[:/]\d)"), "192.0.2.1"),
    (re.compile(r"\b(?:[0-9a-f]{1,4}:){3,7}(?::?[0-9a-f]{1,4})(?::{1,2}[0-9a-f]{1,4})*\b",
                re.IGNORECASE), "2001:db8::1"),
    # What Tailscale says of persons and machines; with an AuthURL anybody logs this machine in.
    (re.compile(r'"(AuthURL|HostName|DisplayName|LoginName|ProfilePicURL|ProfileName|PublicKey|ID'
                r'|NodeID|StableID|UserID)":(\s*)("[^"]*"|\d+)'), r'"\1":\2"(removed)"'),
    (re.compile(r"\b(nodekey|discokey|mkey):[0-9a-f]+"), r"\1:(removed)"),
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+"), "user@example.org"),
    # But for a class of devices, the same everywhere: Windows' display adapters.
    (re.compile(r"\b(?!4d36e968-)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE),
     "(uuid)"),
)  # fmt: skip


def dump(answers: Mapping[str, Output], origin: str, names: Iterable[str] = ()) -> str:
    """The text of a recording, with everything private taken out.

    Args:
        origin: one line: who recorded it and when.
        names: words that say who or where somebody is: accounts, hosts, secrets.
    """
    lines = [f"# {origin}"]
    for key, output in sorted(answers.items()):
        lines.append(f"## {key}")
        if output.code:
            lines.append(f"exit {output.code}")
        lines += [f"| {line}" for line in output.text.rstrip("\n").splitlines()]
        lines += [f"! {line}" for line in output.errors.rstrip("\n").splitlines()]
    return scrub("\n".join(lines) + "\n", names)


def scrub(text: str, names: Iterable[str] = ()) -> str:
    """Take serials, addresses and tokens out, and the given names."""
    for name in sorted({name for name in names if len(name) > 2}, key=len, reverse=True):
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", "user", text)
    for pattern, instead in SCRUBBED:
        text = pattern.sub(instead, text)
    return text


def read(folder: Path) -> dict[str, Output]:
    """A recording, and what it stands on.

    Raises:
        ConfigError: there is none, or it is not one of ours.
    """
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"there is no recording in {folder}",
            why=str(error),
            fix="Make one on the machine in question: inv doctor --record DIR",
        ) from None
    base = next((ln for ln in text.splitlines() if ln.startswith(BASED_ON)), "")
    below = read(folder.parent / base.removeprefix(BASED_ON).strip()) if base else {}
    return {**below, **parse(text, str(folder / FILE))}


def parse(text: str, where: str = FILE) -> dict[str, Output]:
    """The answers in a recording's text.

    Raises:
        ConfigError: with the number of the line that cannot be one.
    """
    answers: dict[str, Output] = {}
    key, code = "", 0
    said: list[str] = []
    complained: list[str] = []
    for number, line in enumerate([*text.splitlines(), "## "], 1):
        if line.startswith("## "):
            if key:
                answers[key] = Output(code, "\n".join(said), "\n".join(complained))
            key, code, said, complained = line.removeprefix("## ").strip(), 0, [], []
        elif line.startswith(("| ", "! ")) or line in {"|", "!"}:
            (said if line[0] == "|" else complained).append(line[2:])
        elif key and re.fullmatch(r"exit \d+", line):
            code = int(line.split()[1])
        elif line and not line.startswith("# "):
            raise ConfigError(f"{where}:{number}: not a line of a recording: {line[:60]}")
    return answers
