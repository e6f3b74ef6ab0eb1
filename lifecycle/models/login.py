"""Another machine, logged in to over ssh once: a person answers its questions once.

ssh keeps one connection open for all that follows (ControlMaster), and asks on the terminal itself.
https://man.openbsd.org/ssh_config#ControlMaster
"""

import contextlib
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lifecycle.errors import ConfigError, HostNotReady
from lifecycle.shell import Output, Shell
from lifecycle.step import Command

ADDRESS = re.compile(
    r"(?P<user>[^-@:/\s][^@:/\s]*@)?(?P<host>\[[\w:.%]+\]|[^-@:/\s\[][^@:/\s]*)"
    r"(:(?P<folder>.*))?"
)
"""As scp and rsync write it. Nothing in it can be taken for an option of theirs."""
LOOK_SECONDS = 60.0
WAIT_SECONDS = 15
"""For a connection, and between two signs of life on it."""
SAID = (
    ("Could not resolve hostname", "no machine is called {host}",
     "Check the name, or write its IP address."),
    ("Host key verification failed", "the key of {host} is not known, or not the one it had",
     "Log in once and answer its question: ssh {host}; set up anew: ssh-keygen -R {plain}"),
    ("Permission denied", "{host} does not let us in",
     "Check the user's name; copy your key there: ssh-copy-id {host}"),
    ("Too many authentication failures", "{host} does not let us in",
     "Too many keys were offered: name the right one in ~/.ssh/config (IdentitiesOnly yes)."),
)  # fmt: skip
"""ssh's own words, what they mean, what to do. Exit code 255 is all it says for programs."""


@dataclass(frozen=True)
class Login:
    """A machine that is connected.

    Args:
        host: as ssh takes it, e.g. `anna@tower`.
        folder: that was named with it; "" without one.
        socket: of the open connection.
    """

    host: str
    folder: str
    socket: Path
    shell: Shell

    @property
    def ssh(self) -> tuple[str, ...]:
        """The program, over the open connection; who loses it now is told, and asked nothing."""
        return ("ssh", "-o", "BatchMode=yes", "-o", f"ControlPath={self.socket}")

    @property
    def in_path(self) -> str:
        """Its name before the colon of a path, as scp and rsync want it."""
        user, at, name = self.host.rpartition("@")
        return f"{user}{at}[{name}]" if ":" in name else self.host

    def ask(self, *words: str) -> Output:
        """Run a program there that only reads; its exit code is kept."""
        return self.shell.read(*self.ssh, self.host, shlex.join(words), limit=LOOK_SECONDS)


@contextlib.contextmanager
def connected(shell: Shell, address: str) -> Iterator[Login]:
    """A connection that stays open; ssh asks the person for what it needs on their terminal.

    Raises:
        ConfigError: no address.
        HostNotReady: a program is missing here, or the machine does not let us in.
    """
    host, folder = parse(address)
    absent = [name for name in ("rsync", "ssh") if not shutil.which(name)]
    if absent:
        packages = " ".join({"ssh": "openssh-client"}.get(name, name) for name in absent)
        raise HostNotReady(
            f"{' and '.join(absent)} must be here to copy from another machine",
            fix=f"sudo apt install {packages}",
        )
    with tempfile.TemporaryDirectory(prefix="vllm-ssh-", dir=_short()) as private:
        other = Login(host, folder, Path(private) / "socket", shell)
        log = Path(private) / "log"
        # Not -f -N, which would outlive a kill -9 of ours: this one ends a minute after its last
        # use. In a log of its own, for ssh's exit code does not tell one failure from another.
        opening = Command(
            ("ssh", "-o", "ControlMaster=yes", "-o", "ControlPersist=60",
             "-o", f"ControlPath={other.socket}", "-o", f"ConnectTimeout={WAIT_SECONDS}",
             "-o", f"ServerAliveInterval={WAIT_SECONDS}", "-E", str(log), host, "true"),
            attached=True,
        )  # fmt: skip
        code = shell.replace(opening)
        if code:
            raise refused(host, log.read_text() if log.exists() else "")
        try:
            yield other
        finally:
            shell.read("ssh", "-o", f"ControlPath={other.socket}", "-O", "exit", host)


def parse(address: str) -> tuple[str, str]:
    """Host and folder of `USER@HOST` or `USER@HOST:FOLDER`; the folder is "" when left out.

    Raises:
        ConfigError: it is something else.
    """
    found = ADDRESS.fullmatch(address)
    if not found:
        raise ConfigError(
            f"--from {address} is no address", fix="Write it like anna@tower or anna@tower:/models"
        )
    folder = (found["folder"] or "").removeprefix("~/").rstrip("/")
    return f"{found['user'] or ''}{found['host'].strip('[]')}", folder


def refused(host: str, said: str) -> HostNotReady:
    """Why there is no connection, from ssh's own words."""
    names = {"host": host, "plain": host.rpartition("@")[2]}
    for words, what, fix in SAID:
        if words in said:
            return HostNotReady(what.format(**names), why=said.strip(), fix=fix.format(**names))
    return HostNotReady(
        f"{host} cannot be reached", why=said.strip(),
        fix=f"Is it on, in this network, and does sshd run there? Try: ssh {host}",
    )  # fmt: skip


def _short() -> str | None:
    """A folder whose name leaves room: a socket's may have 107 characters in all."""
    usual = tempfile.gettempdir()
    return usual if len(usual) < 60 else "/tmp"  # noqa: S108 - what is made there is private
