"""Steps about the root `.env`: there is an API key in it, and only its owner can read it."""

from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.step import Step, WriteFile

PRIVATE = 0o600


def steps(paths: Paths, text: str, new_key: str) -> list[Step]:
    """Keep what is in the file, add the key if there is none, close the file to others.

    Args:
        text: what the file holds now.
        new_key: the key to add; "" when one is set already.
    """
    if new_key and text and not text.endswith("\n"):
        text += "\n"
    added = f"# The key clients send (made by inv up).\nVLLM_API_KEY={new_key}\n" if new_key else ""
    return [
        Step(
            id="secrets.private",
            name="the API key is made and private",
            missing=_missing,
            actions=(WriteFile(paths.secrets, text + added, PRIVATE),),
            fix=f"chmod 600 {paths.secrets} (on /mnt/* permissions do not hold: clone elsewhere)",
            phase="key",
        )
    ]


def _missing(host: Host) -> str:
    if not host.api_key:
        return "there is no API key yet"
    if host.secrets_mode & 0o077:
        return ".env can be read by other users"
    return ""
