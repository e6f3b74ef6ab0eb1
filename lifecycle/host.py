"""What a machine is and has, as plain values. Defaults mean "absent" or "not looked at"."""

from dataclasses import dataclass, field
from pathlib import Path

from lifecycle.model import Model

GIB = 1024**3
DOCKER_SOCKET = "unix:///var/run/docker.sock"
"""Where the engine of this machine listens."""
DOCKER_DESKTOP = "/mnt/wsl/docker-desktop"
"""What Docker Desktop mounts into a distribution; its programs are links to there."""


@dataclass(frozen=True)
class Os:
    """The operating system, and who we are on it.

    Args:
        distro: `ID` of os-release: `ubuntu`, `debian`, …
        version: `VERSION_ID` of os-release: `24.04`, `13`, …
        codename: `VERSION_CODENAME` of os-release: `noble`, `trixie`, …
        user: numbers of user and group, as Docker takes them: `1000:1000`.
        account: the login name.
        groups: names of the groups this process is in (a new one counts after the next login).
        listed: names of the groups the account is in by now, whether this process is or not.
        systemd: systemd is the first process.
    """

    system: str = ""
    machine: str = ""
    name: str = ""
    distro: str = ""
    version: str = ""
    codename: str = ""
    python: str = ""
    wsl: bool = False
    root: bool = False
    user: str = ""
    account: str = ""
    groups: frozenset[str] = frozenset()
    listed: frozenset[str] = frozenset()
    apt: bool = False
    sudo: bool = False
    systemd: bool = False


@dataclass(frozen=True)
class Cpu:
    """The processor, as far as this process may use it.

    Args:
        allowed: numbers of the logical CPUs this process may run on.
        flags: instruction-set names as the kernel spells them.
    """

    model: str = ""
    allowed: tuple[int, ...] = ()
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Memory:
    """RAM in bytes."""

    total: int = 0
    available: int = 0


@dataclass(frozen=True)
class Disk:
    """The disk that holds (or will hold) a folder; sizes in bytes."""

    path: Path
    free: int = 0
    writable: bool = False
    problem: str = ""
    kind: str = ""
    """The file system: `ext4`, `9p` (a Windows drive under WSL), …; "" when unknown."""


@dataclass(frozen=True)
class Docker:
    """The Docker Engine and Compose, as this user reaches them.

    Args:
        engine: the engine's version; "" when it does not answer.
        problem: the first thing that is wrong; "" when both answer.
        cli: the command line's version; "" when there is none.
        desktop: who answers (or would) is Docker Desktop.
        hung: the command line did not answer in time; what is there is not known.
        denied: the engine is there, this user may not talk to it.
        context: the command line's context; `default` is the local engine.
        runtimes: container runtimes the engine knows, e.g. `nvidia`.
        devices: CDI devices the engine found, e.g. `nvidia.com/gpu=all`.
        folder: where the engine keeps images and volumes.
        daemon: text of `/etc/docker/daemon.json`; "" when there is none.
        address: where the engine is asked, e.g. `unix:///var/run/docker.sock`.
        program: the file that `docker` is, links followed; "" when there is none.
        podman: `docker` is Podman under another name.
        dockerd: the engine's own program; "" when none is installed on this side.
        running: that program runs, whoever may talk to it.
        socket: owner and group of the socket, e.g. `root:docker`; looked at when it is closed.
        compose_v1: version of the old `docker-compose`; looked at when Compose v2 is missing.
        repository: what apt is told about Docker's own repository; "" when nothing.
        free: bytes on the disk of `folder`; 0 when unknown.
    """

    engine: str = ""
    compose: str = ""
    problem: str = ""
    images: frozenset[str] = frozenset()
    cli: str = ""
    desktop: bool = False
    hung: bool = False
    denied: bool = False
    context: str = ""
    runtimes: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    folder: str = ""
    daemon: str = ""
    address: str = ""
    program: str = ""
    podman: bool = False
    dockerd: str = ""
    running: bool = False
    socket: str = ""
    compose_v1: str = ""
    repository: str = ""
    free: int = 0


@dataclass(frozen=True)
class Gpu:
    """One graphics card; memory in bytes, 0 when unknown.

    Args:
        arch: compute capability (`8.9`) or gfx name (`gfx1100`); "" when unknown.
        integrated: part of the processor; no card to serve from.
    """

    name: str
    total: int = 0
    free: int = 0
    arch: str = ""
    integrated: bool = False


@dataclass(frozen=True)
class Nvidia:
    """NVIDIA cards and what lies between them and a container.

    Args:
        smi: full path of the nvidia-smi that answered.
        driver: the display driver's version; under WSL that of Windows.
        cuda: the newest CUDA version the driver runs, e.g. `13.0`.
        linux_driver: files of a Linux display driver, looked for under WSL (a mistake there).
        toolkit: version of the NVIDIA Container Toolkit; "" when it is not installed.
        cuda_toolkit: version of the CUDA toolkit (nvcc); "" when it is not installed.
        libcuda: where the loader finds the driver's libcuda.so.1; "" when it does not.
        cdi: files that describe the cards to Podman and to newer engines (CDI).
        verified: what was in use when a container last saw the cards (see `steps/nvidia.py`).
        problem: why no card can be read although there should be one.
    """

    smi: str = ""
    driver: str = ""
    cuda: str = ""
    gpus: tuple[Gpu, ...] = ()
    linux_driver: tuple[str, ...] = ()
    toolkit: str = ""
    cuda_toolkit: str = ""
    libcuda: str = ""
    cdi: tuple[str, ...] = ()
    verified: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Amd:
    """AMD cards and the ROCm user space.

    Args:
        gpus: cards as far as the kernel or Windows names them.
        agents: gfx names that `rocminfo` lists, without the processor's own.
        kfd: `/dev/kfd` is there (native Linux only).
        dxg: `/dev/dxg` is there (WSL only).
        render: nodes in `/dev/dri`, e.g. `renderD128`.
        groups: numbers of the groups that `/dev/kfd` and those nodes belong to.
        rocm: version of the installed ROCm; "" when there is none.
        hsa: the runtime library's file, `libhsa-runtime64.so.1`; "" when there is none.
        rocdxg: version of librocdxg (`1.2.2`), `unknown` when only its file is there.
        linked: the loader finds librocdxg.
        bridge: librocdxg's file; "" when there is none.
        installer: the ROCm that `amdgpu-install` is set to; "" when it is not there.
        dids: librocdxg's table of device numbers, `dids.conf`, is there.
        dxcore: `/usr/lib/wsl/lib/libdxcore.so` is there.
        usecases: what `amdgpu-install --list-usecase` offers.
        shadowing: packages of Ubuntu's that hide AMD's own libraries.
        problem: why `rocminfo` could not be read.
    """

    gpus: tuple[Gpu, ...] = ()
    agents: tuple[str, ...] = ()
    kfd: bool = False
    dxg: bool = False
    render: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    rocm: str = ""
    hsa: str = ""
    rocdxg: str = ""
    linked: bool = False
    bridge: str = ""
    installer: str = ""
    dids: bool = False
    dxcore: bool = False
    usecases: frozenset[str] = frozenset()
    shadowing: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Adapter:
    """A display adapter as Windows' registry describes it.

    Args:
        driver: the driver's version as Windows numbers it, e.g. `32.0.15.8097`.
        adrenalin: AMD's own number of its driver suite, e.g. `26.2.2`.
    """

    name: str
    driver: str = ""
    adrenalin: str = ""


@dataclass(frozen=True)
class Windows:
    """The Windows under a WSL distribution, or the one we run on.

    Args:
        reached: its programs answer; False on Linux and when interop is off.
        build: e.g. `10.0.26100.4652`.
        home: the user's folder as we reach it, e.g. `/mnt/c/Users/user`.
        programs: what to put before the name of its programs when they are not on the PATH.
        memory: RAM in bytes, under WSL an estimate; 0 when unknown.
        reserved: TCP ports nobody may listen on, as (first, last).
        problem: why it is not reached.
    """

    reached: bool = False
    build: str = ""
    home: str = ""
    programs: str = ""
    memory: int = 0
    adapters: tuple[Adapter, ...] = ()
    reserved: tuple[tuple[int, int], ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Distribution:
    """One line of `wsl.exe --list --verbose`, and what Windows' registry knows besides.

    Args:
        version: 1 or 2: what it runs as.
        user: number of the account it opens with: 0 is root; None when unknown.
        release: what is in it, e.g. `ubuntu 24.04`; "" when unknown.
    """

    name: str
    version: int = 0
    default: bool = False
    running: bool = False
    user: int | None = None
    release: str = ""


@dataclass(frozen=True)
class Wsl:
    """WSL: the installation on Windows, and the distribution we are in (or would use).

    Args:
        version: of WSL itself (`2.9.4`); "" when unknown or when it is not installed.
        kernel: the kernel's release, without its suffix.
        generation: 1 or 2: what this distribution runs as; 0 outside WSL.
        distribution: the one we are in; on Windows the one we would use; "" when there is none.
        distributions: all that are registered.
        networking: `nat`, `mirrored`, `virtioproxy`, `none` or "".
        config: values of the user's `.wslconfig` by `section.key`, in lower case.
        config_text: that file's text; None when there is none or it could not be reached.
        conf: values of `/etc/wsl.conf`, likewise.
        conf_text: that file's text; None when there is none.
        problem: why WSL does not answer, with Windows' own error code.
        mend: what a person can do about it.
    """

    version: str = ""
    kernel: str = ""
    generation: int = 0
    distribution: str = ""
    distributions: tuple[Distribution, ...] = ()
    networking: str = ""
    config: dict[str, str] = field(default_factory=dict)
    config_text: str | None = None
    conf: dict[str, str] = field(default_factory=dict)
    conf_text: str | None = None
    problem: str = ""
    mend: str = ""


@dataclass(frozen=True)
class Tailnet:
    """Tailscale on one side (Windows or Linux).

    Args:
        program: full path of its command line; "" when it is not installed.
        state: its `BackendState`, e.g. `Running`, `NeedsLogin`, `Stopped`.
        name: this machine's DNS name on the tailnet, without the last dot.
        certificates: the tailnet issues HTTPS certificates for that name.
        operator: the account that may change it without root; "" on Windows, where all may.
        problem: why its state cannot be read.
        address: this machine's IPv4 address on the tailnet.
    """

    program: str = ""
    version: str = ""
    state: str = ""
    name: str = ""
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
    """

    name: str
    port: int
    kind: str
    path: str
    target: str
    public: bool = False
    foreground: bool = False

    @property
    def url(self) -> str:
        """Where it is reached, the port only where it is not the usual one."""
        usual = {"https": 443, "http": 80}.get(self.kind) == self.port
        return f"{self.kind}://{self.name}{'' if usual else f':{self.port}'}{self.path}"


@dataclass(frozen=True)
class Exposed:
    """What `inv expose` adds to a tailnet, as it writes it down.

    Args:
        side: `windows` or `linux`: whose Tailscale serves it.
        what: what is behind it, in words, e.g. `the gateway`.
    """

    side: str
    what: str
    name: str
    port: int
    kind: str
    path: str
    target: str

    @property
    def mount(self) -> Mount:
        """The same, as Tailscale tells it."""
        return Mount(self.name, self.port, self.kind, self.path, self.target)


@dataclass(frozen=True)
class Serving:
    """What a tailnet gets of this machine, and what stands behind it.

    Args:
        mounts: everything that is served, ours and others'.
        problem: why that cannot be read.
        written: what `inv expose` wrote down; None when nothing is exposed.
        unreadable: why that cannot be read.
        guard: the HTTP status of what is to be exposed, asked without a key; 0: no answer.
        clients: how many people have a key to the gateway.
    """

    mounts: tuple[Mount, ...] = ()
    problem: str = ""
    written: Exposed | None = None
    unreadable: str = ""
    guard: int = 0
    clients: int = 0


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


@dataclass(frozen=True)
class Venv:
    """An engine's virtual environment, and what is compiled with when a GPU server starts in it.

    Args:
        made_from: digest of the lock it was completely installed from; "" while there is none.
        compiler: the C compiler on the PATH; "" when there is none.
        header: the `Python.h` of the Python that engines are made with; "" when it is missing.
    """

    made_from: str = ""
    compiler: str = ""
    header: str = ""


@dataclass(frozen=True)
class Weights:
    """A model on disk.

    Args:
        path: the folder vLLM loads.
        root: the folder to mount so that links inside `path` resolve.
        size: bytes.
        problem: why it cannot be served; "" when it can.
        written: when its config.json was written; a server must be restarted for a newer one.
        model: its figures, for the planner; None when nobody knows them.
        asked: the hub told them, be they readable to the planner or not.
    """

    path: Path | None = None
    root: Path | None = None
    size: int = 0
    problem: str = ""
    written: str = ""
    model: Model | None = None
    asked: bool = False


@dataclass(frozen=True)
class Launch:
    """What a server was started with, kept beside it and compared on the next `up`."""

    runtime: str = ""
    settings: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """A server of ours, alive or not.

    Args:
        phase: stopped, start, load, warm-up, ready, failed, or unanswering.
        pid: the process that holds the port; 0 in a container we cannot look into.
        since: start of the present process, seconds since the epoch.
        restarts: how often the supervisor brought it back.
        memory: bytes of RAM of all its processes.
        models: names that /v1/models lists.
        detail: the last thing its log said about its progress or its death.
    """

    phase: str = "stopped"
    launch: Launch = Launch()
    pid: int = 0
    since: float = 0
    restarts: int = 0
    memory: int = 0
    models: tuple[str, ...] = ()
    detail: str = ""
    log: str = ""

    @property
    def alive(self) -> bool:
        """Whether a process or container exists, ready or not."""
        return self.phase not in {"stopped", "failed"}


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
        state: as supervisord names it: RUNNING, BACKOFF, …; "" when it does not run.
        since: start of the present process, seconds since the epoch.
        started: digest of the files it was started with.
        written: which configuration is on the disk.
        live: which one it works by; "" when it does not say.
        unkeyed: the HTTP status of a request without a key; 0: no answer.
        metrics: that of `/metrics` where clients come in.
        taken: who else listens on its ports, by port.
        detail: the last error in its log.
        address: where clients come in, by its files; "" when there are none.
    """

    made_from: str = ""
    files: str = ""
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


@dataclass(frozen=True)
class Host:
    """One look at the machine."""

    os: Os = Os()
    windows: Windows = Windows()
    wsl: Wsl = Wsl()
    nvidia: Nvidia = Nvidia()
    amd: Amd = Amd()
    tailscale: Tailscale = Tailscale()
    serving: Serving = Serving()
    firewall: Firewall = Firewall()
    gateway: Gateway = Gateway()
    packages: dict[str, str] = field(default_factory=dict)
    """Installed Debian packages that matter here, with their versions."""
    crlf: tuple[str, ...] = ()
    """Env files and scripts of the checkout with Windows line ends."""
    unread: dict[str, str] = field(default_factory=dict)
    """Looks that found nothing, by name, and why."""
    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    disks: dict[str, Disk] = field(default_factory=dict)
    docker: Docker = Docker()
    libraries: frozenset[str] = frozenset()
    """Those of the system libraries asked for that can be loaded."""
    venv: Venv = Venv()
    weights: Weights = Weights()
    server: Server = Server()
    port_owner: str = ""
    """Who else listens on the backend's port; "" when it is free or ours."""
    secrets_mode: int = 0
    """Permission bits of the root `.env`; 0 when there is none."""
    api_key: str = field(default="", repr=False)
    """The key found in the root `.env` or the process environment."""

    @property
    def outward(self) -> str:
        """The side others come through: the one in use, else Windows where that is in a tailnet."""
        if self.serving.written:
            return self.serving.written.side
        here, below = self.tailscale.linux, self.tailscale.windows
        return "windows" if below.joined or (below.program and not here.joined) else "linux"

    @property
    def tailnet(self) -> Tailnet:
        """Tailscale on that side."""
        return self.tailscale.windows if self.outward == "windows" else self.tailscale.linux
