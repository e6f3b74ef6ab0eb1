"""Steps that join a tailnet: on the Windows side, or on this Linux.

Nobody has tried the Windows side on hardware: its commands are from Tailscale's source
(cmd/tailscale/cli/up.go) and from reports of others.
"""

import shlex
from dataclasses import replace

from lifecycle import tables
from lifecycle.host import Host, Tailnet
from lifecycle.paths import Paths
from lifecycle.step import Action, Command, Step
from lifecycle.steps.root import apt_install, apt_key, as_root, write

BY = "inv setup.tailscale"
WHY_WINDOWS = (
    "Under WSL the Windows side is the better one: Tailscale's own advice (tailscale#7346); inside "
    "WSL large packets get lost (tailscale#4833), and the tailnet ends whenever WSL stops."
)
UNATTENDED = "--unattended"
"""Or Windows leaves the tailnet at every log-out, and is not in it before the next log-on:
https://github.com/tailscale/tailscale/blob/main/cmd/tailscale/cli/up.go (tailscale#3186).
"""
DNS = "https://login.tailscale.com/admin/dns"
NAMES = (
    f"Switch MagicDNS on: {DNS} (HTTPS certificates, on the same page, need it, too)\n"
    "Or let the gateway listen on the address, where Tailscale runs in Linux: GATEWAY_BIND=tailnet "
    "in .env, then inv gateway.up"
)
APPROVE = "Approve this machine: https://login.tailscale.com/admin/machines"
KEYRING = "/usr/share/keyrings/tailscale-archive-keyring.gpg"
LOG = "/var/log/tailscaled.log"
UNTIL_IT_ANSWERS = (
    "for _ in $(seq 20); do tailscale status --json --peers=false >/dev/null 2>&1 && exit; "
    f"sleep 0.5; done; tail -n 5 {LOG}; exit 1"
)


def why_not(side: Tailnet) -> str:
    """Why one side is not in a tailnet."""
    if not side.program:
        return "Tailscale is not installed yet"
    said = {
        "NeedsLogin": "Tailscale is installed, nobody is logged in",
        "NeedsMachineAuth": "the tailnet's administrator has not approved this machine yet",
        "Stopped": "Tailscale is installed, but switched off",
        "Starting": "Tailscale is starting",
    }
    if not side.state:
        return f"Tailscale does not answer: {side.problem}"
    return said.get(side.state, f"Tailscale is in state {side.state}")


def nameless(side: Tailnet) -> str:
    """Why other machines do not find this one by its name; `tailscale serve` answers to that alone.

    By its address it answers 404: https://github.com/tailscale/tailscale/issues/11301
    """
    if not side.name:
        return "the tailnet gives out no names"
    if side.resolved:
        return ""
    https = "" if side.certificates else ", and it gives out no HTTPS certificates"
    return (
        f"{side.name} leads nowhere: MagicDNS is off in this tailnet{https}\n"
        f"by the address {side.address or 'of this machine'} tailscale serve answers 404"
    )


# --- The Windows side, from WSL or from Windows itself


def on_windows(host: Host, paths: Paths) -> list[Step]:
    """Installed, running, joined: on Windows, from WSL or from Windows itself."""
    return [
        Step(
            id="tailscale.windows_installed",
            name="Tailscale is installed on Windows",
            missing=lambda now: (
                ""
                if now.tailscale.windows.program
                else f"Tailscale is not installed on Windows\n{WHY_WINDOWS}"
            ),
            fix="On Windows: winget install Tailscale.Tailscale\nThen run the same command again.",
        ),
        Step(
            id="tailscale.windows_service",
            name="Tailscale's service runs on Windows",
            missing=lambda now: (
                "" if now.tailscale.windows.state else why_not(now.tailscale.windows)
            ),
            fix="Start Tailscale from the Start menu of Windows, then run the same command again. "
            "If other Windows programs do not respond either, first run wsl --shutdown in Windows.",
        ),
        Step(
            id="tailscale.windows_joined",
            name="Windows is in a tailnet",
            missing=lambda now: (
                "" if now.tailscale.windows.joined else why_not(now.tailscale.windows)
            ),
            actions=_joinon_windows(host, paths),
            fix=APPROVE,
            phase="login",
        ),
    ]


def _joinon_windows(host: Host, paths: Paths) -> tuple[Action, ...]:
    side = host.tailscale.windows
    if side.state == "NeedsMachineAuth":
        return ()
    # Bare, `up` changes no setting; with one flag it would ask for all the others.
    unattended = (side.program, "set", UNATTENDED)
    if side.state == "Stopped":
        return (Command((side.program, "up"), limit=120), Command(unattended, limit=60))
    if host.tailscale.key and host.os.wsl:
        return (_key_to_windows(side.program, paths),)
    return (Command((side.program, "up", UNATTENDED, "--timeout=10m"), attached=True),)


def _key_to_windows(program: str, paths: Paths) -> Command:
    """Windows programs know no /dev/stdin: a file of our own, gone whatever happens."""
    script = (
        'umask 077; file=$(mktemp) && trap "rm -f \\"\\$file\\"" EXIT INT TERM && '
        f'{_key(paths)} > "$file" && "$1" up {UNATTENDED} '
        '--auth-key="file:$(wslpath -w "$file")" --timeout=60s'
    )
    return Command(("sh", "-c", script, "sh", program), limit=120)


# --- This Linux


def on_linux(host: Host, paths: Paths) -> list[Step]:
    """Installed, running, joined: on this Linux."""
    return [
        Step(
            id="tailscale.installed",
            name="Tailscale is installed",
            missing=lambda now: (
                "" if now.tailscale.linux.program else "there is no tailscale command"
            ),
            actions=_installation(host, paths),
            fix="See https://tailscale.com/download/linux, then run the same command again.",
            phase="install",
        ),
        Step(
            id="tailscale.service",
            name="Tailscale's service runs",
            missing=lambda now: "" if now.tailscale.linux.state else why_not(now.tailscale.linux),
            actions=_service(host),
            fix="Look why: sudo tailscaled --cleanup; sudo journalctl -u tailscaled -n 20",
            phase="start",
        ),
        Step(
            id="tailscale.joined",
            name="this machine is in a tailnet",
            missing=lambda now: "" if now.tailscale.linux.joined else why_not(now.tailscale.linux),
            actions=_join(host, paths),
            fix=APPROVE,
            phase="login",
        ),
        *operator(host),
    ]


def repository(host: Host) -> tables.tailscale.TailscalePackages | None:
    """Where its packages for this system come from; None when none are known."""
    return tables.tailscale.packages(host.os.distro, host.os.codename) if host.os.apt else None


def _installation(host: Host, paths: Paths) -> tuple[Action, ...]:
    row = repository(host)
    if row is None:
        return ()
    line = f"deb [signed-by={KEYRING}] {row.repository} {row.codename} main\n"
    return (
        *apt_key(host, paths, row.key, KEYRING, row.key_sha256),
        *write(host, paths, "/etc/apt/sources.list.d/tailscale.list", line),
        *apt_install(host, "tailscale"),
    )


def _service(host: Host) -> tuple[Action, ...]:
    """Systemd's way, else what the package's own unit and OpenRC script do."""
    if host.os.systemd:
        return (as_root(host, "systemctl", "enable", "--now", "tailscaled"),)
    if not host.os.apt:
        return ()
    return (
        as_root(host, "install", "-d", "/run/tailscale"),
        as_root(host, "install", "-d", "-m", "700", "/var/lib/tailscale"),
        as_root(
            host, "start-stop-daemon", "--start", "--oknodo", "--background", "--make-pidfile",
            "--pidfile", "/run/tailscaled.pid", "--output", LOG, "--exec", "/usr/sbin/tailscaled",
            "--", "--state=/var/lib/tailscale/tailscaled.state",
            "--socket=/run/tailscale/tailscaled.sock", "--port=41641",
        ),
        Command(("sh", "-c", UNTIL_IT_ANSWERS), limit=60),
    )  # fmt: skip


def _join(host: Host, paths: Paths) -> tuple[Action, ...]:
    side = host.tailscale.linux
    if side.state == "NeedsMachineAuth":
        return ()
    if side.state == "Stopped":
        # Bare, it changes no setting; with one flag it would ask for all the others.
        return (as_root(host, "tailscale", "up", limit=120),)
    # In the same command: one that does not name the operator would be refused where there is one.
    operator = () if host.os.root else (f"--operator={host.os.account}",)
    if not host.tailscale.key:
        up = as_root(host, "tailscale", "up", "--timeout=10m", *operator)
        return (replace(up, attached=True),)
    up = as_root(host, "tailscale", "up", "--auth-key=file:/dev/stdin", "--timeout=60s", *operator)
    # Root is asked for in sight: the one below stands behind a pipe.
    seen = () if host.os.root else (as_root(host, "true"),)
    return (*seen, Command(("sh", "-c", f"{_key(paths)} | {up}"), limit=120))


def operator(host: Host) -> list[Step]:
    """Serving needs root, or the one account that was named (vscode-tailscale#4).

    Joining names it too: this is for a tailnet that was joined without us.
    """
    joined = host.tailscale.linux.state in {"Running", "Stopped"}
    if host.os.root or not joined or host.tailscale.windows.joined:
        return []
    account, taken = host.os.account, host.tailscale.linux.operator not in {"", host.os.account}
    change = as_root(host, "tailscale", "set", f"--operator={account}")
    return [
        Step(
            id="tailscale.operator",
            name=f"{account} may change what the tailnet serves",
            missing=lambda now: (
                ""
                if now.tailscale.linux.operator == account
                else f"without root, {now.tailscale.linux.operator or 'nobody'} may"
            ),
            actions=() if taken else (change,),
            fix=f"There is one such account at a time. To take it over: {change}",
            phase="operator",
            by="" if taken else BY,
        )
    ]


def _key(paths: Paths) -> str:
    """Shell that prints the key: never in argv, in no file but its own, not in our hands either.

    The environment beats `.env`, as everywhere. What `tr` takes away are quotes and line ends.
    """
    found = f"sed -n s/^TS_AUTHKEY=//p {shlex.quote(str(paths.secrets))}"
    return f'printf %s "${{TS_AUTHKEY:-$({found})}}" | tr -cd "[:alnum:]_?=&.:-"'
