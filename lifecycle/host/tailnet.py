"""Tailscale, what a tailnet gets of this machine, and the firewall before it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tailnet:
    """Tailscale on one side (Windows or Linux).

    Args:
        program: full path of its command line; "" when it is not installed.
        state: its `BackendState`, e.g. `Running`, `NeedsLogin`, `Stopped`.
        name: this machine's DNS name on the tailnet, without the last dot.
        resolved: MagicDNS is on: other machines of the tailnet can find that name.
        certificates: the tailnet issues HTTPS certificates for that name.
        operator: the account that may change it without root; "" on Windows, where all may.
        problem: why its state cannot be read.
        address: this machine's IPv4 address on the tailnet.
    """

    program: str = ""
    version: str = ""
    state: str = ""
    name: str = ""
    resolved: bool = True
    certificates: bool = False
    operator: str = ""
    problem: str = ""
    address: str = ""

    @property
    def joined(self) -> bool:
        """Whether other machines of the tailnet can reach this one."""
        return self.state == "Running"


@dataclass(frozen=True)
class Tailscale:
    """Both sides, and the sizes of packets on this one.

    Args:
        mtu_outside: bytes of a packet on `eth0`; 0 when there is no such interface.
        mtu_tailscale: bytes of a packet on `tailscale0`, likewise.
        key: `TS_AUTHKEY` is set. The key itself stays where it is.
    """

    windows: Tailnet = Tailnet()
    linux: Tailnet = Tailnet()
    mtu_outside: int = 0
    mtu_tailscale: int = 0
    key: bool = False


@dataclass(frozen=True)
class Mount:
    """One thing that `tailscale serve` offers to a tailnet.

    Args:
        name: the DNS name it is offered under; "" for a port that is forwarded as it is.
        port: the port on the tailnet.
        kind: `https`, `http`, `tcp` or `tls-terminated-tcp`, as its flags are called.
        path: what is below it, e.g. `/v1`; "" for a forwarded port.
        target: where it leads: an address, a folder, or a text.
        public: a funnel is on: the whole internet reaches it.
        foreground: it ends with the command that made it.
        service: the Tailscale Service it belongs to, e.g. `svc:web`, with an address of its own;
            "" for this machine's.
    """

    name: str
    port: int
    kind: str
    path: str
    target: str
    public: bool = False
    foreground: bool = False
    service: str = ""

    @property
    def url(self) -> str:
        """Where it is reached, the port only where it is not the usual one."""
        usual = {"https": 443, "http": 80}.get(self.kind) == self.port
        return f"{self.kind}://{self.name}{'' if usual else f':{self.port}'}{self.path}"


@dataclass(frozen=True)
class Exposed:
    """One thing that `inv expose` adds to a tailnet, as it writes it down.

    Args:
        side: `windows` or `linux`: whose Tailscale serves it.
        backend: the name of the server behind it; "": the gateway.
    """

    side: str
    backend: str
    name: str
    port: int
    kind: str
    path: str
    target: str

    @property
    def what(self) -> str:
        """What is behind it, in words."""
        return f"backend {self.backend}" if self.backend else "the gateway"

    @property
    def flag(self) -> str:
        """What `inv expose` and `inv unexpose` call it."""
        return f"--backend {self.backend}" if self.backend else "--gateway"

    @property
    def mount(self) -> Mount:
        """The same, as Tailscale tells it."""
        return Mount(self.name, self.port, self.kind, self.path, self.target)


@dataclass(frozen=True)
class Serving:
    """What others may reach of this machine, and what stands behind it.

    Args:
        mounts: everything that Tailscale serves, ours and others'.
        problem: why that cannot be read.
        written: what `inv expose` wrote down.
        unreadable: why that cannot be read.
        engines: ports of ours that nobody outside may reach, and what listens there.
        gateway: the gateway's port.
        wide: those of our ports where something listens beyond 127.0.0.1, and its address there.
        clients: how many people have a key to the gateway.
        guard: the HTTP status of what is to be exposed, asked without a key; 0: no answer.
    """

    mounts: tuple[Mount, ...] = ()
    problem: str = ""
    written: tuple[Exposed, ...] = ()
    unreadable: str = ""
    engines: dict[int, str] = field(default_factory=dict)
    gateway: int = 0
    wide: dict[int, str] = field(default_factory=dict)
    clients: int = 0
    guard: int = 0


@dataclass(frozen=True)
class Firewall:
    """What a gateway on the tailnet's own address needs of this Linux.

    Args:
        program: full path of `nft`; "" when nftables is not installed.
        table: our table as `nft` lists it; "" when there is none, or only root may see it.
        interface: Tailscale's network interface is there; without one, it has no address to bind.
        hidden: whether our table is there could not be seen: sudo asks for a password.
    """

    program: str = ""
    table: str = ""
    interface: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class Probe:
    """One question to what is exposed, asked from outside.

    Args:
        good: whether the answer is as it must be; None when there was none.
    """

    question: str
    answer: str
    good: bool | None
