"""Steps about ROCm: the right one, its bridge to Windows, who may use it, and the proof.

The recipes are in `data/rocm.toml`.
"""

import itertools
from dataclasses import dataclass, replace

from lifecycle import tables
from lifecycle.errors import HostNotReady, LifecycleError, NotSupported, RestartNeeded
from lifecycle.host import Host
from lifecycle.paths import Paths
from lifecycle.step import Action, Command, Download, Step
from lifecycle.steps.root import (
    apt_install,
    apt_key,
    apt_remove,
    as_root,
    in_turn,
    staging,
    write,
)
from lifecycle.tables.rocm import Recipe

RELEASES = "https://github.com/ROCm/librocdxg/releases"
LISTS = "/etc/apt/sources.list.d"
PIN = "/etc/apt/preferences.d/rocm-pin-600"
PIN_TEXT = "Package: *\nPin: release o=repo.radeon.com\nPin-Priority: 600\n"
"""Without it Ubuntu's own, older packages of the same names may be taken."""
TRUST = {
    "hardware": "tried by us",
    "documented": "documented by AMD, not tried by us on a card",
    "reported": "reported by others, not tried by us on a card",
}


@dataclass(frozen=True)
class Plan:
    """What all steps of one plan share.

    Args:
        by: the command that performs them.
    """

    host: Host
    paths: Paths
    recipe: Recipe
    by: str


def system(host: Host) -> str:
    """The kind of system a recipe is for."""
    return "wsl" if host.os.wsl or host.os.system == "win32" else "native"


def installation(plan: Plan) -> list[Step]:
    """ROCm is there, the right one, and complete; or what must go first."""
    if misfit(plan.host, plan.recipe):
        # Whatever comes after would be about the ROCm that must go.
        return [_fits(plan)]
    release = _release(plan)
    if release.missing(plan.host):
        return [_fits(plan), release]
    return [_fits(plan), release, *_shadowing(plan), _rocm(plan), *_rocdxg(plan)]


def _fits(plan: Plan) -> Step:
    refused = _refusal(plan.host, plan.host.amd.rocm)
    uninstall = "sudo amdgpu-install --uninstall" if plan.host.amd.installer else ""
    remove = uninstall or "sudo apt-get autoremove --purge rocm-core"
    return Step(
        id="rocm.fits",
        name=f"an installed ROCm is one that {plan.recipe.name} works with",
        missing=lambda now: misfit(now, plan.recipe),
        fix=f"Remove it: {remove}\nthen: {plan.by}",
        failure=NotSupported if refused else HostNotReady,
        advice=_only_shown(plan),
        found=lambda now: f"ROCm {now.amd.rocm}" if now.amd.rocm else "none is installed yet",
    )


def misfit(host: Host, recipe: Recipe) -> str:
    """Why the installed ROCm cannot be used by this recipe; "" when it can, or there is none."""
    rocm = host.amd.rocm
    if not rocm or recipe.right_for(rocm):
        return ""
    below = f" to below {recipe.rocm_below}" if recipe.rocm_below else " and newer"
    why = _refusal(host, rocm) or f"{recipe.name} is for {recipe.rocm_from}{below}"
    return f"ROCm {rocm} is installed\n{why}"


def _refusal(host: Host, rocm: str) -> str:
    rows = tables.rocm.recipes(system(host)) if rocm else []
    return next((row.refused for row in rows if row.refused and row.right_for(rocm)), "")


def _release(plan: Plan) -> Step:
    name, codename = plan.recipe.name, plan.host.os.codename
    known = ", ".join(tables.rocm.releases(name))
    ubuntu = tables.wsl.distributions()[0].name
    other = f"inv setup.wsl --distro {ubuntu}; then go on inside it: wsl -d {ubuntu}"
    return Step(
        id="rocm.packages",
        name="there are ROCm packages for this distribution",
        missing=lambda now: (
            ""
            if _installed(now, plan.recipe) or tables.rocm.repository(name, codename)
            else f"{name} has packages for {known}; this is {codename or now.os.name}"
        ),
        fix=other
        if plan.host.os.wsl
        else "Install rocminfo with your package manager; servers bring their own ROCm.",
        advice=_only_shown(plan),
        found=lambda now: now.os.codename or now.os.name,
    )


def _only_shown(plan: Plan) -> bool:
    """Whether ROCm on this machine is no server's business.

    Natively the kernel passes the card on, the container joins the groups of its devices by their
    numbers, and its image has its own ROCm; rocminfo and who may run it only show that it works.
    """
    return plan.recipe.system == "native"


def _shadowing(plan: Plan) -> list[Step]:
    # Natively they may be all the ROCm there is; beside AMD's own they hide it.
    if not plan.host.os.wsl and not plan.host.amd.rocm:
        return []
    return [
        Step(
            id="rocm.not_shadowed",
            name="nothing hides AMD's own libraries",
            missing=lambda now: (
                f"packages of the distribution do: {', '.join(now.amd.shadowing)}"
                if now.amd.shadowing
                else ""
            ),
            actions=apt_remove(plan.host, *plan.host.amd.shadowing),
            fix=f"Remove them: sudo apt-get remove {' '.join(plan.host.amd.shadowing)}",
            phase="clean",
            by=plan.by,
        )
    ]


def _rocm(plan: Plan) -> Step:
    recipe = plan.recipe
    covered = tables.rocm.repository(recipe.name, plan.host.os.codename) is not None
    return Step(
        id="rocm.installed",
        name=f"ROCm is installed ({recipe.name}; {TRUST[recipe.verified]})",
        missing=lambda now: _not_installed(now, recipe),
        actions=_installation(plan) if covered and plan.host.os.apt else (),
        fix=f"Install by hand: {' '.join(recipe.packages)}",
        phase="install",
        by=plan.by,
        found=lambda now: f"ROCm {now.amd.rocm}" if now.amd.rocm else "rocminfo",
        advice=_only_shown(plan),
    )


def _not_installed(host: Host, recipe: Recipe) -> str:
    if _installed(host, recipe):
        return ""
    if not host.amd.rocm:
        return "it is not installed" + _offer(host, recipe)
    if recipe.runtime and recipe.runtime not in host.packages:
        return f"ROCm {host.amd.rocm} is missing {recipe.runtime}" + _offer(host, recipe)
    return f"ROCm {host.amd.rocm} is missing rocminfo"


def _offer(host: Host, recipe: Recipe) -> str:
    if not recipe.usecases or not host.amd.installer or _by_installer(host, recipe):
        return ""
    return (
        f"; amdgpu-install here is set to ROCm {host.amd.installer} and cannot install it "
        f"(usecase {' and '.join(recipe.usecases)} for ROCm {recipe.installs}), so apt will"
    )


def _installed(host: Host, recipe: Recipe) -> bool:
    asked = "rocminfo" in host.packages or bool(host.amd.agents or host.amd.problem)
    if recipe.system == "native":
        return asked
    runtime = not recipe.runtime or recipe.runtime in host.packages
    return asked and runtime and bool(host.amd.rocm)


def _installation(plan: Plan) -> tuple[Action, ...]:
    host, recipe = plan.host, plan.recipe
    if _by_installer(host, recipe):
        asked = f"--usecase={','.join(recipe.usecases)}"
        return (in_turn(host, "amdgpu-install", "-y", asked, "--no-dkms"),)
    # librocdxg alone would sit where ROCm puts its link /opt/rocm.
    alone = bool(host.amd.rocdxg) and not host.amd.rocm and "rocdxg-roct" in host.packages
    away = (in_turn(host, "dpkg", "--purge", "rocdxg-roct"),) if alone else ()
    # A ROCm that is here keeps its repository: its other parts are of that version.
    lists = () if host.amd.rocm else _repository(plan)
    return (*away, *lists, *apt_install(host, *recipe.packages))


def _by_installer(host: Host, recipe: Recipe) -> bool:
    """Whether AMD's own installer is here, is of the right release, and offers what is needed."""
    return (
        bool(recipe.usecases)
        and bool(host.amd.installer)
        and recipe.right_for(host.amd.installer)
        and set(recipe.usecases) <= host.amd.usecases
    )


def _repository(plan: Plan) -> tuple[Action, ...]:
    found = tables.rocm.repository(plan.recipe.name, plan.host.os.codename)
    if found is None or not found.lists:
        return ()
    url, digest, key = tables.rocm.key()
    lists = (
        write(
            plan.host,
            plan.paths,
            f"{LISTS}/{name}.list",
            f"deb [arch=amd64 signed-by={key}] {line}\n",
        )
        for name, line in found.lists.items()
    )
    return (
        *apt_key(plan.host, plan.paths, url, key, digest),
        *itertools.chain.from_iterable(lists),
        *write(plan.host, plan.paths, PIN, PIN_TEXT),
    )


# --- librocdxg ---


def _rocdxg(plan: Plan) -> list[Step]:
    if not plan.recipe.rocdxg:
        return []
    package = tables.rocm.rocdxg(plan.recipe.rocdxg)
    file = staging(plan.paths) / package.url.rpartition("/")[2]
    mending = (
        Download(package.url, file, package.sha256),
        # A table that was removed by hand comes back only when asked for.
        in_turn(plan.host, "dpkg", "--force-confmiss", "--install", str(file)),
        as_root(plan.host, "ldconfig"),
    )
    helps = tables.rocm.paired(package.version, plan.host.amd.rocm or plan.recipe.installs)
    return [
        Step(
            id="rocm.rocdxg",
            name="librocdxg is installed and belongs to this ROCm",
            missing=_no_rocdxg,
            actions=mending if helps else (),
            fix=f"Look for one that does: {RELEASES}",
            phase="install",
            by=plan.by,
            found=lambda now: f"librocdxg {now.amd.rocdxg} with ROCm {now.amd.rocm}",
        )
    ]


def _no_rocdxg(host: Host) -> str:
    here, rocm = host.amd.rocdxg, host.amd.rocm
    if not here:
        return "it is not installed: without it ROCm does not reach Windows' driver"
    # A build of one's own has no version to compare.
    if rocm and here != "unknown" and not tables.rocm.paired(here, rocm):
        return f"librocdxg {here} is not known to go with ROCm {rocm}; a wrong pair corrupts memory"
    if not host.amd.linked:
        return "the loader does not find it"
    wanted = tables.versions.numbers(here) >= (1, 2, 1)
    return "its table of cards is missing (dids.conf)" if wanted and not host.amd.dids else ""


# --- who may use it, and does it work ---


def groups(plan: Plan) -> list[Step]:
    """The account may use the card, now and not only after the next login."""
    wanted, account = plan.recipe.groups, plan.host.os.account
    if plan.host.os.root or not account or not wanted:
        return []
    waiting = set(wanted) <= plan.host.os.listed
    again = (
        "In Windows: wsl --shutdown; open this distribution again"
        if plan.host.os.wsl
        else "Sign out and in again"
    ) + f", then: {plan.by}"
    made = [as_root(plan.host, "groupadd", "--force", "--system", name) for name in wanted]
    joined = as_root(plan.host, "usermod", "-aG", ",".join(wanted), account)
    return [
        Step(
            id="rocm.groups",
            name=f"{account} is in the groups {' and '.join(wanted)}",
            missing=lambda now: _outside(now, wanted),
            actions=() if waiting else (*made, joined),
            fix=f"{again}.",
            restart=f"{again}.",
            failure=RestartNeeded,
            by=plan.by,
            advice=_only_shown(plan),
        )
    ]


def _outside(host: Host, wanted: list[str]) -> str:
    lacking = [name for name in wanted if name not in host.os.groups]
    if not lacking:
        return ""
    if set(lacking) <= host.os.listed:
        return f"{', '.join(lacking)}: joined, but not in force yet"
    return f"it is not in {', '.join(lacking)}"


def listed(plan: Plan, before: list[Step]) -> Step:
    """The proof. Its action is AMD's own check; where all is installed only a person can help."""
    host, recipe = plan.host, plan.recipe
    pending = any(step.actions and step.missing(host) for step in before)
    said = tables.rocm.complaint(host.amd.problem)
    environment = [f"{name}={value}" for name, value in recipe.environment.items()]
    check = Command(("env", *environment, _rocminfo(plan)), limit=60)
    known = said.fix if said else "Update AMD's driver, then run rocminfo by hand to see more."
    step = Step(
        id="rocm.lists_card",
        name="ROCm lists the card",
        missing=_unlisted,
        fix=known,
        phase="check",
        by=plan.by,
        found=lambda now: ", ".join(dict.fromkeys(_seen(now))),
        failure=_failure(host),
        advice=_only_shown(plan),
    )
    return replace(step, actions=(check,)) if pending else step


def _rocminfo(plan: Plan) -> str:
    """AMD's own, or the one of a distribution without AMD's."""
    source = tables.rocm.repository(plan.recipe.name, plan.host.os.codename)
    coming = "rocminfo" not in plan.host.packages and bool(source and source.lists)
    return "/opt/rocm/bin/rocminfo" if plan.host.amd.rocm or coming else "rocminfo"


def _failure(host: Host) -> type[LifecycleError]:
    return NotSupported if "unsupported GPU" in host.amd.problem else HostNotReady


def _unlisted(host: Host) -> str:
    if _seen(host):
        return ""
    said = tables.rocm.complaint(host.amd.problem)
    if said:
        return f"{said.why}\n{host.amd.problem}"
    if host.amd.agents:
        return f"it lists {', '.join(host.amd.agents)}, none of which vLLM has kernels for"
    return host.amd.problem or "rocminfo is not installed yet"


def _seen(host: Host) -> list[str]:
    """Architectures that vLLM has kernels for, as ROCm lists them, or natively the kernel."""
    natively = [] if host.os.wsl or host.amd.problem else [gpu.arch for gpu in host.amd.gpus]
    served = {row.arch for row in tables.cards.cards("amd") if row.images}
    return [arch for arch in (*host.amd.agents, *natively) if arch in served]
