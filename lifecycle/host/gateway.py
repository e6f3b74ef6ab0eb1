"""The gateway, and the backends behind it as it sees them."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Standing:
    """A backend behind the gateway, at this moment.

    Args:
        up: whether it answered the gateway's last look at it; None before the first one.
        in_flight: requests it computes or keeps waiting, whoever sent them; None when unknown.
        since: when its server began, seconds since the epoch; 0 when unknown.
    """

    up: bool | None = None
    in_flight: int | None = None
    since: float = 0


@dataclass(frozen=True)
class Gateway:
    """The gateway on this machine, running or not.

    Args:
        made_from: digest of the lock its program was completely installed from.
        files: digest of its files on the disk, but the configuration that may change while it runs.
        runtime: `venv` or `docker`: where it runs; "" when it was not started.
        state: as supervisord or Docker names it: RUNNING, BACKOFF, …; "" when it does not run.
        since: start of the present process, seconds since the epoch.
        started: digest of the files it was started with.
        written: which configuration is on the disk.
        live: which one it works by; "" when it does not say.
        unkeyed: the HTTP status of a request without a key; 0: no answer.
        metrics: that of `/metrics` where clients come in.
        taken: who else listens on the ports it should have, by port.
        detail: the last error in its log.
        address, port: where clients come in, by its files; "" and 0 when there are none.
        log: where its access log is: a file, or the command that shows it.
    """

    made_from: str = ""
    files: str = ""
    runtime: str = ""
    state: str = ""
    since: float = 0
    started: str = ""
    written: str = ""
    live: str = ""
    unkeyed: int = 0
    metrics: int = 0
    taken: dict[int, str] = field(default_factory=dict)
    detail: str = ""
    address: str = ""
    port: int = 0
    log: str = ""
