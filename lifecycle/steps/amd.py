"""Steps about AMD cards: a card vLLM has kernels for, the way to it, and ROCm to see it through.

On native Linux the way is the kernel's own driver; under WSL2 it is Windows' driver, which ROCm
reaches by one of the recipes in `data/rocm.toml`.
"""

from lifecycle import tables
from lifecycle.errors import ConfigError, HostNotReady, NotSupported
from lifecycle.host import GIB, Gpu, Host
from lifecycle.paths import Paths
from lifecycle.step import Step, not_read
from lifecycle.steps import amd_smi, chain, rocm, wsl
from lifecycle.steps.rocm import Plan, system
from lifecycle.tables.cards import Card
from lifecycle.tables.rocm import Recipe
from lifecycle.tables.serving import Image

WINDOWS_11 = 22000
"""Its first build: https://learn.microsoft.com/windows/release-health/windows11-release-information."""
DRIVERS = "https://www.amd.com/en/support/download/drivers.html"


def steps(host: Host, paths: Paths) -> list[Step]:
    """What a server with GPU=rocm needs of this machine, as far as it is known."""
    return _told_once(chain.known(_steps(_usual(host, paths)), host), host)


def _told_once(plan: list[Step], host: Host) -> list[Step]:
    """Of all that would be better and that one command brings, the first alone."""
    better = [one for one in plan if one.advice and one.by and one.missing(host)]
    first = {one.by: one for one in reversed(better)}
    return [one for one in plan if one not in better or one is first[one.by]]


def setup(host: Host, paths: Paths, recipe: str) -> list[Step]:
    """All of it, by the recipe that suits, or by one a person named.

    Raises:
        ConfigError: there is no such recipe, or it is for another kind of system.
        NotSupported: it cannot work, whatever is installed.
    """
    if not recipe:
        return _steps(_usual(host, paths))
    row = tables.rocm.recipe(recipe)
    if row.refused:
        raise NotSupported(f"{row.name} cannot work", why=row.refused, fix=_instead(host))
    if row.system != system(host):
        where = "WSL2" if host.os.wsl else "native Linux"
        raise ConfigError(f"the recipe {row.name} is not for {where}", fix=_instead(host))
    return _steps(Plan(host, paths, row, f"inv setup.rocm --recipe {row.name}"))


def _usual(host: Host, paths: Paths) -> Plan:
    return Plan(host, paths, chosen(host), "inv setup.rocm")


def chosen(host: Host) -> Recipe:
    """The recipe for this machine: the one its ROCm was installed by, else the card's best."""
    card = best(host)
    usable = {row.name: row for row in tables.rocm.recipes(system(host)) if not row.refused}
    listed = [usable[name] for name in card.recipes if name in usable] if card else []
    options = listed or list(usable.values())
    return next((row for row in options if row.right_for(host.amd.rocm)), options[0])


def cards(host: Host) -> list[Gpu]:
    """AMD cards as the kernel, ROCm or Windows names them."""
    seen = list(host.amd.gpus)
    if system(host) == "native" or any(gpu.number is not None for gpu in seen):
        return seen
    names = [one.name for one in host.windows.adapters if _of_amd(one.name)]
    return [_adapter(name) for name in names] or seen


def best(host: Host) -> Card | None:
    """The row of the card a server would use."""
    known = [gpu for gpu in cards(host) if _row(gpu) is not None]
    return _row(max(known, key=rank)) if known else None


def rank(gpu: Gpu) -> tuple[bool, float]:
    """What makes one card better to serve from than others: images for it, then its memory."""
    row = _row(gpu)
    return (bool(row.images), row.memory_gib) if row else (False, 0.0)


def suits(host: Host, image: Image) -> bool:
    """Whether an image has kernels for the card and works with this way to ROCm."""
    card = best(host)
    kernels = card is None or not image.arches or card.arch in image.arches
    return kernels and chosen(host).name in image.recipes


def _steps(plan: Plan) -> list[Step]:
    problem = plan.host.unread.get("amd", "")
    if problem:
        return [
            Step(
                id="amd.read",
                name="AMD cards can be looked at",
                missing=not_read("amd"),
                fix="Run the same command again; if that does not help, run rocminfo by hand.",
                unread=not_read("amd"),
            )
        ]
    if plan.host.os.system == "win32":
        return [_card(plan.host), *_windows(plan)]
    below = [wsl.second_generation(plan.host)] if plan.host.os.wsl else []
    way = [*_windows(plan), _bridge()] if plan.host.os.wsl else [_kernel()]
    before = [*below, _card(plan.host), *way, _alone(plan.host), *rocm.installation(plan)]
    before += rocm.groups(plan)
    if rocm.misfit(plan.host, plan.recipe):
        return before
    return [*before, rocm.listed(plan, before), *amd_smi.steps(plan)]


# --- the card ---


def _card(host: Host) -> Step:
    unknown = bool(_dedicated(host)) and best(host) is None
    return Step(
        id="amd.card",
        name="there is an AMD card that vLLM runs on",
        missing=_no_card,
        fix=_other_card(host),
        failure=NotSupported if unknown else HostNotReady,
        found=_describe,
    )


def _other_card(host: Host) -> str:
    if host.nvidia.gpus and not cards(host):
        return "For NVIDIA's card: inv setup.cuda. A Radeon beside it is seen once Windows answers."
    return (
        "Use a card of the list in lifecycle/data/support.toml, or serve from the processor: "
        "inv up --gpu cpu."
    )


def _no_card(host: Host) -> str:
    found = cards(host)
    if not found:
        return _none(host)
    card = best(host)
    names = ", ".join(gpu.name for gpu in found)
    if card is None and not _dedicated(host):
        return f"only graphics that are part of the processor: {names}"
    if card is None:
        return f"nobody is known to run vLLM on {names}"
    listed = card.wsl or system(host) == "native" or card.arch in host.amd.agents
    reasons = [
        *([] if card.images else [card.note]),
        *([] if listed else ["it is not on AMD's list for WSL2"]),
    ]
    return f"{names}: {'; '.join(reasons)}" if reasons else ""


def _none(host: Host) -> str:
    if system(host) == "native":
        return "the kernel shows no AMD card"
    if not host.windows.adapters:
        # Windows could not be asked. rocminfo will tell, unless another card has answered already.
        other = host.nvidia.gpus[0].name if host.nvidia.gpus and not host.amd.agents else ""
        return f"the one card that answers is NVIDIA's: {other}" if other else ""
    return f"Windows has no AMD card: {', '.join(one.name for one in host.windows.adapters)}"


def _describe(host: Host) -> str:
    card = best(host)
    if card is None:
        return "Windows could not be asked which"
    gpu = next(gpu for gpu in cards(host) if _row(gpu) == card)
    size = f", {gpu.total / GIB:.0f} GiB" if gpu.total else ""
    note = f"; {card.note}" if card.note else ""
    return f"{gpu.name} ({card.arch}{size}); {rocm.TRUST[card.verified]}{note}"


def _alone(host: Host) -> Step:
    number = _number(host)
    named = "<number of the card in rocminfo, from 0, cards only>" if number is None else number
    return Step(
        id="amd.alone",
        name="no other AMD graphics are in the way of the card",
        missing=_in_the_way,
        fix="Switch integrated graphics off in the BIOS, or put "
        f"DEVICES={named} into the backend's env file: servers see that card only.",
        advice=True,
    )


def _in_the_way(host: Host) -> str:
    others = [gpu for gpu in cards(host) if gpu.integrated and _row(gpu) is None]
    listed = [arch for arch in host.amd.agents if tables.rocm.integrated(arch)]
    mixed = 0 < len(listed) < len(host.amd.agents)
    if best(host) is None or not (others or mixed):
        return ""
    name = others[0].name if others else listed[0]
    return f"{name} is part of the processor and may be taken for the card"


def _number(host: Host) -> int | None:
    """The card's place in ROCm's list, without the processor; None where that is not known."""
    agents = enumerate(host.amd.agents)
    return next((i for i, arch in agents if not tables.rocm.integrated(arch)), None)


# --- the way to it ---


def _kernel() -> Step:
    return Step(
        id="amd.kernel",
        name="the kernel offers the card for computing",
        missing=_no_kfd,
        fix="Load its driver: sudo modprobe amdgpu. If that fails, install a newer kernel; in a "
        "virtual machine pass the card through to it.",
        found=lambda now: f"/dev/kfd, {', '.join(now.amd.render)}",
    )


def _no_kfd(host: Host) -> str:
    if not host.amd.kfd:
        return "/dev/kfd is missing: the amdgpu driver does not run"
    return "" if host.amd.render else "/dev/dri has no render node: the amdgpu driver does not run"


def _windows(plan: Plan) -> list[Step]:
    floor = plan.recipe.adrenalin
    return [
        Step(
            id="amd.windows",
            name="Windows is 11, the only one AMD supports WSL2 on",
            missing=_old_windows,
            fix="Install Windows 11, or use native Linux on this machine.",
            found=lambda now: now.windows.build or "could not be asked",
        ),
        Step(
            id="amd.adrenalin",
            name=f"AMD Software in Windows is Adrenalin {floor} or newer",
            missing=lambda now: _old_driver(now, floor),
            fix=f"Install the current driver in Windows and restart it: {DRIVERS}",
            found=lambda now: _adrenalin(now) or "its version could not be read",
        ),
        *_better_driver(plan.recipe),
    ]


def _better_driver(recipe: Recipe) -> list[Step]:
    better = recipe.adrenalin_better
    if not better:
        return []

    def missing(now: Host) -> str:
        old = _old_driver(now, better)
        return f"{old}; {recipe.why_better}" if old else ""

    return [
        Step(
            id="amd.adrenalin_lasting",
            name=f"Adrenalin is {better} or newer, which lasts",
            missing=missing,
            fix=f"Install the current driver in Windows and restart it: {DRIVERS}",
            found=_adrenalin,
            advice=True,
        )
    ]


def _old_windows(host: Host) -> str:
    numbers = tables.versions.numbers(host.windows.build)
    old = len(numbers) > 2 and numbers[2] < WINDOWS_11
    return f"this is Windows build {host.windows.build}" if old else ""


def _old_driver(host: Host, floor: str) -> str:
    here = _adrenalin(host)
    # What could not be read is not old.
    old = bool(here) and tables.versions.numbers(here) < tables.versions.numbers(floor)
    return f"it is Adrenalin {here}" if old else ""


def _adrenalin(host: Host) -> str:
    known = [one.adrenalin for one in host.windows.adapters if _of_amd(one.name) and one.adrenalin]
    return max(known, key=tables.versions.numbers, default="")


def _bridge() -> Step:
    return Step(
        id="amd.wsl_bridge",
        name="WSL2 passes the card through",
        missing=_no_dxg,
        fix="In Windows: wsl --update, then wsl --shutdown, and open this distribution again. It "
        "must be of version 2 (wsl --list --verbose).",
        found=lambda _: "/dev/dxg, libdxcore.so",
    )


def _no_dxg(host: Host) -> str:
    if not host.amd.dxg:
        return "/dev/dxg is missing: WSL passes no graphics card to Linux"
    return "" if host.amd.dxcore else "/usr/lib/wsl/lib/libdxcore.so is missing"


# --- names ---


def _instead(host: Host) -> str:
    names = [row.name for row in tables.rocm.recipes(system(host)) if not row.refused]
    return f"Take {' or '.join(names)}, or leave --recipe away."


def _dedicated(host: Host) -> list[Gpu]:
    return [gpu for gpu in cards(host) if not gpu.integrated]


def _row(gpu: Gpu) -> Card | None:
    return tables.cards.card("amd", gpu.name, gpu.arch)


def _of_amd(name: str) -> bool:
    return "radeon" in name.lower() or name.upper().startswith("AMD ")


def _adapter(name: str) -> Gpu:
    """A card as Windows names it; part of the processor are those called only `… Graphics`."""
    row = tables.cards.card("amd", name, "")
    return Gpu(
        name, arch=row.arch if row else "", integrated=name.lower().rstrip().endswith("graphics")
    )
