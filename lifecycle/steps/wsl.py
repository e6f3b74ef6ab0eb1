"""Steps about WSL, on both of its sides: on Windows, and inside a distribution.

What needs a restart of Windows comes first and alone, so that the same command goes on after it.
Nobody here has run this on Windows: it follows WSL's published source and documentation.
"""

import difflib
from dataclasses import replace

from lifecycle import tables
from lifecycle.errors import NotSupported
from lifecycle.host import Distribution, Host
from lifecycle.paths import Paths
from lifecycle.step import Step
from lifecycle.steps import chain, wsl_settings
from lifecycle.steps.wsl_settings import BY, wsl
from lifecycle.tables.versions import numbers

REBOOT = f"Restart Windows, then run the same command again: {BY}"


def steps(host: Host, paths: Paths, *, engine: bool = False) -> list[Step]:
    """What a server needs of WSL; nothing on plain Linux.

    Args:
        engine: a Docker Engine is to be installed here, which systemd starts with the distribution.
    """
    if host.os.wsl:
        below = inside(host)
        systemd = _systemd_first(host, paths) if engine else _systemd(host)
        rest = [_current(host), systemd, *_advice(host)]
        return [*chain.known(below, host), _interop(host), *_after(below, rest, host)]
    if host.os.system == "win32":
        name = target(host, "")
        plan = [_by(step) for step in (*_windows(host), *_distribution(host, name))]
        return [*chain.known(plan, host), *_after(plan, [*_advice(host), _account(name)], host)]
    return []


def inside(host: Host) -> list[Step]:
    """What only Windows can change, seen from inside; no card is reached without it."""
    return [second_generation(host), _kernel(host)]


def setup(host: Host, paths: Paths, distro: str) -> list[Step]:
    """The whole way to a distribution that can hold a server.

    Args:
        distro: its name; "" for the one we are in, or the best that is known.

    Raises:
        NotSupported: the name is not one of ours, or there is no Windows here.
    """
    name = target(host, distro)
    if host.os.wsl:
        return _setup_inside(host, paths, name)
    if host.os.system != "win32":
        raise NotSupported(
            "there is no Windows here",
            fix="On Linux, run inv doctor next; it lists what is missing",
        )
    return [
        *_windows(host),
        *_distribution(host, name),
        _default(host, name),
        wsl_settings.systemd_wanted(host, paths, name),
        wsl_settings.settings(host),
        _account(name),
    ]


def port(number: int) -> Step:
    """Windows lets somebody listen on this port; otherwise nobody outside WSL reaches it."""

    def missing(now: Host) -> str:
        held = [one for one in now.windows.reserved if one[0] <= number <= one[1]]
        return f"Windows keeps the ports {held[0][0]} to {held[0][1]} for itself" if held else ""

    return Step(
        id="wsl.port",
        name=f"port {number} is not reserved by Windows",
        missing=missing,
        fix="In PowerShell as administrator: net stop winnat; netsh interface ipv4 add "
        f"excludedportrange protocol=tcp startport={number} numberofports=1; net start winnat. "
        "Or set another PORT=.",
    )


def target(host: Host, distro: str) -> str:
    """The distribution that is meant.

    Raises:
        NotSupported: it is not one of those we know; names the nearest.
    """
    known = [row.name for row in tables.wsl.distributions()]
    if not distro:
        return host.wsl.distribution or known[0]
    releases = {row.release for row in tables.wsl.distributions()}
    there = _find(host, distro)
    here = distro == host.wsl.distribution and f"{host.os.distro} {host.os.version}" in releases
    if distro in known or here or (there and there.release in releases):
        return distro
    alike = difflib.SequenceMatcher(b=distro.lower())

    def likeness(name: str) -> float:
        alike.set_seq1(name.lower())
        return alike.ratio()

    raise NotSupported(
        f"{distro} is not a distribution this project knows on WSL",
        why=f"known: {', '.join(known)}",
        fix=f"Take the nearest: {BY} --distro {max(known, key=likeness)}",
    )


def _setup_inside(host: Host, paths: Paths, name: str) -> list[Step]:
    plan = inside(host)
    if host.windows.reached and name != host.wsl.distribution:
        plan += _distribution(host, name)
    if host.windows.reached:
        plan.append(_default(host, name))
    if name == host.wsl.distribution:
        plan.append(wsl_settings.systemd_wanted(host, paths, name))
    last = [wsl_settings.systemd(host), replace(_current(host), advice=False)]
    own = wsl_settings.settings(host)
    # What only a person can do comes last: the rest does not wait for it.
    return [*plan, own, *last] if own.actions else [*plan, *last, own]


def _windows(host: Host) -> list[Step]:
    """WSL itself, seen from Windows."""
    return [
        Step(
            id="wsl.windows",
            name="Windows is new enough",
            missing=lambda now: _older(now.windows.build, "windows"),
            fix="Install all Windows updates.",
            found=lambda now: now.windows.build,
        ),
        Step(
            id="wsl.installed",
            name="WSL is installed",
            missing=lambda now: "" if _installed(now) else "Windows has no WSL yet",
            actions=(wsl(host, "--install", "--no-distribution"),),
            fix=f"In PowerShell as administrator: wsl --install --no-distribution. {REBOOT}",
            phase="install",
            restart=REBOOT,
        ),
        Step(
            id="wsl.works",
            name="WSL works",
            missing=lambda now: now.wsl.problem,
            fix=host.wsl.mend or "In PowerShell: wsl --status; it says more.",
        ),
        replace(_current(host), actions=(wsl(host, "--update"),), advice=False),
    ]


def _distribution(host: Host, name: str) -> list[Step]:
    """A distribution is there and runs as WSL 2."""
    return [
        Step(
            id="wsl.distribution",
            name=f"{name} is installed",
            missing=lambda now: "" if _find(now, name) else "WSL does not list it",
            actions=(wsl(host, "--install", "-d", name, "--no-launch"),),
            fix=f"If it stays at 0 %: wsl --install -d {name} --web-download. If it is there and "
            f"not listed, open it once: {name} in the Start menu. Then run the same command again.",
            phase="install",
        ),
        Step(
            id="wsl.distribution_generation",
            name=f"{name} runs as WSL 2",
            missing=lambda now: _first_generation(_find(now, name)),
            actions=(wsl(host, "--set-version", name, "2"),),
            fix=f"In PowerShell: wsl --set-version {name} 2; it says what is wrong.",
            phase="install",
        ),
    ]


def _default(host: Host, name: str) -> Step:
    def missing(now: Host) -> str:
        found = _find(now, name)
        others = [one.name for one in now.wsl.distributions if one.default]
        return f"it is {others[0]}" if others and (not found or not found.default) else ""

    return Step(
        id="wsl.default",
        name=f"{name} is the default distribution",
        missing=missing,
        actions=(wsl(host, "--set-default", name),),
        phase="configure",
    )


def _account(name: str) -> Step:
    def missing(now: Host) -> str:
        found = _find(now, name)
        chosen = now.wsl.distribution == name and "user.default" in now.wsl.conf
        fresh = found is not None and found.user == 0 and not chosen
        return "it still opens as root" if fresh else ""

    return Step(
        id="wsl.account",
        name=f"{name} has an account of its own",
        missing=missing,
        fix=f"Open it once: wsl -d {name}. It asks for a name and a password. Leave it open, run "
        f"the same again here, then go on inside it: clone the project there and run ./inv onboard",
    )


def second_generation(host: Host) -> Step:
    """The distribution we are in runs as WSL 2."""
    name = host.wsl.distribution or "<distribution>"
    return Step(
        id="wsl.generation",
        name="this distribution runs as WSL 2",
        missing=lambda now: (
            "WSL 1 has no graphics card and no Docker" if now.wsl.generation == 1 else ""
        ),
        fix=f"In PowerShell: wsl --set-version {name} 2 (it ends what runs in it)",
        found=lambda now: f"WSL {now.wsl.version}" if now.wsl.version else "",
    )


def _kernel(host: Host) -> Step:
    return Step(
        id="wsl.kernel",
        name="the kernel of WSL is new enough",
        missing=_old_kernel,
        fix="Take kernel= out of %UserProfile%\\.wslconfig; in PowerShell: wsl --shutdown"
        if "wsl2.kernel" in host.wsl.config
        else "In PowerShell: wsl --update; then: wsl --shutdown",
        found=lambda now: now.wsl.kernel,
    )


def _after(below: list[Step], rest: list[Step], host: Host) -> list[Step]:
    """What can be asked, and set up, only once all below it is so."""
    return [] if chain.broken(below, host) else rest


def _interop(host: Host) -> Step:
    off = host.wsl.conf.get("interop.enabled", "").lower() == "false"
    return Step(
        id="wsl.interop",
        name="Windows' programs can be started from here",
        missing=lambda now: now.windows.problem,
        fix="Set enabled=true below [interop] in /etc/wsl.conf; in PowerShell: wsl --shutdown"
        if off
        else "In PowerShell: wsl --shutdown; then open the distribution again.",
        found=lambda now: f"Windows {now.windows.build}",
        advice=True,
    )


def _current(host: Host) -> Step:
    """WSL itself is new enough. From inside only a person can update it: that ends the inside."""
    del host
    return Step(
        id="wsl.current",
        name="WSL is new enough to keep a server up",
        missing=lambda now: _older(now.wsl.version, "wsl"),
        fix="In PowerShell: wsl --update; then: wsl --shutdown",
        phase="install",
        found=lambda now: now.wsl.version,
        advice=True,
    )


def _systemd(host: Host) -> Step:
    """As a question only: asked for already it needs a restart, else our command asks for it."""
    step = replace(wsl_settings.systemd(host), advice=True)
    return step if wsl_settings.systemd_asked(host) else replace(step, fix=BY)


def _systemd_first(host: Host, paths: Paths) -> Step:
    """In the way: first it is asked for, which our command does, then it takes a restart."""
    step = wsl_settings.systemd(host)
    if wsl_settings.systemd_asked(host):
        return step
    asked = wsl_settings.systemd_wanted(host, paths, host.wsl.distribution)
    return replace(step, actions=asked.actions, by=BY)


def _advice(host: Host) -> list[Step]:
    # From Windows the settings have a step of their own; from inside our command changes them, too.
    ours = wsl_settings.settings(host).actions if host.os.wsl else ()
    settings = (wsl_settings.stays_up(host), wsl_settings.memory(host))
    return [
        *(replace(one, actions=ours, by=BY) if one.fix == BY else one for one in settings),
        Step(
            id="wsl.reaches_servers",
            name="Windows reaches the servers in WSL",
            missing=_cut_off,
            fix="Set networkingMode=nat (or mirrored) and localhostForwarding=true below [wsl2] in "
            f"%UserProfile%\\.wslconfig. {wsl_settings.shutdown(host)}",
            found=lambda now: now.wsl.networking,
            advice=True,
        ),
    ]


def _by(step: Step) -> Step:
    return replace(step, by=BY) if step.actions else step


def _installed(now: Host) -> bool:
    # A WSL that came with Windows 10 knows no --version; what it lists shows that it is there.
    return bool(now.wsl.version or now.wsl.distributions or now.wsl.problem)


def _find(host: Host, name: str) -> Distribution | None:
    return next((one for one in host.wsl.distributions if one.name == name), None)


def _first_generation(found: Distribution | None) -> str:
    return "it is WSL 1: no graphics card, no Docker" if found and found.version == 1 else ""


def _old_kernel(now: Host) -> str:
    return _older(now.wsl.kernel, "kernel") if now.wsl.generation == 2 else ""


def _older(version: str, what: str) -> str:
    """Why a version is too old; "" when it is not, or nobody knows it."""
    floor = tables.wsl.floor(what)
    if not version or numbers(version) >= numbers(floor.version):
        return ""
    return f"{version} is older than {floor.version}: {floor.why}"


def _cut_off(now: Host) -> str:
    config = now.wsl.config
    mode = now.wsl.networking or config.get("wsl2.networkingmode", "").lower()
    forwards = config.get("wsl2.localhostforwarding", "true").lower() != "false"
    if mode == "none":
        return "networkingMode is none: WSL has no network"
    if mode == "bridged":
        return "networkingMode is bridged, which Microsoft gave up (WSL 2.4.5)"
    if mode in {"", "nat"} and not forwards:
        return "localhostForwarding is false: nobody outside WSL reaches 127.0.0.1 in it"
    return ""
