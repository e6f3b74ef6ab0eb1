"""Steps about who may talk to the Docker Engine: the group of its socket."""

from lifecycle.errors import RestartNeeded
from lifecycle.host import Host
from lifecycle.step import Step
from lifecycle.steps.root import as_root

AGAIN = "then run the same command again."


def steps(host: Host) -> list[Step]:
    """Root needs no group. Who is in the group may be root: that is Docker's nature."""
    if host.os.root:
        return []
    closed = host.docker.socket == "root:root"
    return [_member(host, _group(host), closed=closed), *logins(host)]


def logins(host: Host) -> list[Step]:
    """A group counts after the next login only."""
    return [] if host.os.root else [_in_force(host, _group(host))]


def _group(host: Host) -> str:
    """The one that may use the socket; a socket of root's alone is given to `docker`."""
    group = host.docker.socket.partition(":")[2]
    return group if group not in {"", "root"} else "docker"


def _member(host: Host, group: str, *, closed: bool) -> Step:
    def missing(now: Host) -> str:
        if now.docker.engine:
            return ""
        if now.docker.socket == "root:root":
            return "the socket belongs to root alone"
        return "" if group in now.os.listed else f"{now.os.account} is not in the group {group}"

    path = host.docker.address.removeprefix("unix://")
    opened = (
        as_root(host, "chgrp", group, path),
        as_root(host, "chmod", "660", path),
    )
    return Step(
        id="docker.group",
        name=f"the group {group} may use Docker, and this account is in it",
        missing=missing,
        actions=(
            as_root(host, "groupadd", "--system", "--force", group),
            as_root(host, "usermod", "-aG", group, host.os.account),
            *(opened if closed else ()),
        ),
        fix=f"See the socket: ls -l {path}",
        restart="" if group in host.os.groups else _new_login(host),
    )


def _in_force(host: Host, group: str) -> Step:
    def missing(now: Host) -> str:
        waits = group in now.os.listed and group not in now.os.groups and not now.docker.engine
        return f"{now.os.account} was put into the group {group} after this login" if waits else ""

    return Step(
        id="docker.group_in_force",
        name=f"the group {group} is in force here",
        missing=missing,
        fix=_new_login(host),
        failure=RestartNeeded,
    )


def _new_login(host: Host) -> str:
    how = (
        "In Windows: wsl.exe --shutdown, open the distribution anew,"
        if host.os.wsl
        else "Log out and in again,"
    )
    return f"{how} {AGAIN} At once, in this terminal only: newgrp docker"
