"""Which cards a backend uses: everybody who speaks of a card speaks of the same one."""

import dataclasses

import pytest

from lifecycle.backend import Backend
from lifecycle.cmd import choose, measure
from lifecycle.env_file import Setting
from lifecycle.errors import ConfigError
from lifecycle.host import GIB, Adapter, Amd, Gpu, Host, Nvidia, Os, Windows
from lifecycle.steps import (
    cards,
    checkup,
    fit,
    images,
    known_issues,
    nvidia,
    serve,
    serve_arguments,
)
from tests.unit.given import PATHS, TOOLS, backend, host, missing
from tests.unit.steps import amd_hosts, nvidia_hosts

MIB = 1 << 20
ADA = Gpu("NVIDIA GeForce RTX 4090", 24564 * MIB, 23000 * MIB, "8.9")
A6000 = Gpu("NVIDIA RTX A6000", 49140 * MIB, 48000 * MIB, "8.6")
A5000 = Gpu("NVIDIA RTX A5000", 24564 * MIB, 24100 * MIB, "8.6")
AMPERE = Gpu("NVIDIA GeForce RTX 3090", 24576 * MIB, 24100 * MIB, "8.6")
BLACKWELL = Gpu("NVIDIA GeForce RTX 5070 Ti", 16303 * MIB, 15900 * MIB, "12.0")
PASCAL = Gpu("NVIDIA GeForce GTX 1080 Ti", 11264 * MIB, 11000 * MIB, "6.1")
XTX = Gpu("AMD Radeon RX 7900 XTX", 24 * GIB, 23 * GIB, "gfx1100")
RYZEN = Gpu("AMD Radeon Graphics", GIB // 2, 0, "gfx1036", integrated=True)


def machine(*gpus: Gpu) -> Host:
    return nvidia_hosts.linux({"gpus": gpus})


def cuda(**settings: str) -> Backend:
    return backend("mine", GPU="cuda", MODEL="Qwen/Qwen3-8B", MAX_MODEL_LEN="", KV_CACHE_GIB="",
                   **settings)  # fmt: skip


def rocm(**settings: str) -> Backend:
    return backend("mine", GPU="rocm", MODEL="Qwen/Qwen3-8B", MAX_MODEL_LEN="", KV_CACHE_GIB="",
                   **settings)  # fmt: skip


def everybody(wanted: Backend, on: Host) -> dict[str, str]:
    """The card that each of those means who speak of one."""
    plan = fit.card(wanted, on)
    assert plan is not None
    mine = cards.as_used(wanted, on)
    return {
        "planner": plan.name,
        "image and cache folder": images.card(wanted, on),
        "checks of the card": nvidia.best(mine).name,
        "notes of memory": measure.subject(wanted, on).card,
        "known issues": "+".join(known_issues.archs(wanted, on)),
    }


@pytest.mark.parametrize("gpus", [(ADA, A6000), (A6000, ADA)])
def test_all_mean_the_card_the_server_takes(gpus: tuple[Gpu, ...]) -> None:
    on = machine(*gpus)
    said = everybody(cuda(), on)
    assert said.pop("known issues") == "8.9"
    assert set(said.values()) == {ADA.name}
    # And the server is told so: CUDA's own order is a guess, vLLM's that of the slots.
    told = serve_arguments.environment(cuda(), on)
    assert told["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert told["CUDA_VISIBLE_DEVICES"].split(",")[0] == str(gpus.index(ADA))


@pytest.mark.parametrize(("devices", "card"), [("0", ADA), ("1", PASCAL), ("1,0", PASCAL)])
def test_all_mean_the_first_card_of_devices(devices: str, card: Gpu) -> None:
    said = everybody(cuda(DEVICES=devices), machine(ADA, PASCAL))
    assert said.pop("known issues") == card.arch
    assert set(said.values()) == {card.name}


def test_a_card_too_old_is_refused_when_devices_name_it() -> None:
    on = machine(ADA, PASCAL)
    assert "nvidia.kernels" not in lacks(cuda(DEVICES="0"), on)
    why = lacks(cuda(DEVICES="1"), on)["nvidia.kernels"]
    assert "GTX 1080 Ti has compute capability 6.1" in why
    shared = lacks(cuda(DEVICES="0,1", TENSOR_PARALLEL="2"), on)
    assert "GTX 1080 Ti" in shared["nvidia.kernels"]


def lacks(wanted: Backend, on: Host) -> dict[str, str]:
    plan = checkup.steps(wanted, PATHS, on, TOOLS)
    return missing(plan, on)


def test_steps_about_a_card_are_asked_of_each_new_look() -> None:
    on = machine(ADA, PASCAL)
    step = next(one for one in checkup.steps(cuda(DEVICES="0"), PATHS, on, TOOLS)
                if one.id == "nvidia.kernels")  # fmt: skip
    assert step.missing(on) == ""
    # A machine whose cards are marked already stays so, and no card of it is hidden.
    mine = cards.as_used(cuda(DEVICES="1"), on)
    assert cards.as_used(cuda(DEVICES="1"), mine) == mine
    assert [(gpu.name, gpu.number) for gpu in mine.nvidia.gpus] == [
        (ADA.name, None), (PASCAL.name, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("taken", "utilization", "said"),
    [(1, "", ""), (3, "", "92%"), (3, "0.85", ""), (5, "0.85", "85%")],
)
def test_free_memory_is_compared_with_what_the_server_wants(
    taken: int, utilization: str, said: str
) -> None:
    full = dataclasses.replace(ADA, total=24 * GIB, free=(24 - taken) * GIB)
    wanted = cuda(GPU_MEMORY_UTILIZATION=utilization)
    plan = checkup.steps(wanted, PATHS, machine(full), TOOLS)
    why = missing(plan, machine(full)).get("nvidia.memory_free", "")
    assert (said in why) if said else not why


@pytest.mark.parametrize(
    ("gpus", "smallest"),
    [((A5000, AMPERE), A5000), ((AMPERE, BLACKWELL), BLACKWELL), ((BLACKWELL, AMPERE), BLACKWELL)],
)
def test_unlike_cards_count_and_the_smallest_decides(gpus: tuple[Gpu, ...], smallest: Gpu) -> None:
    wanted, on = cuda(TENSOR_PARALLEL="2"), machine(*gpus)
    card = fit.card(wanted, on)
    assert card is not None
    assert (card.name, card.total, card.free, card.count) == (
        smallest.name, smallest.total, min(gpu.free or 0 for gpu in gpus), 2,
    )  # fmt: skip
    # The least of what any of them can: no FP8 on the 3090.
    assert card.arch == "8.6"
    found = fit.plan(wanted, on)
    assert found is not None
    assert found.shortage == ""
    (caution,) = [one for one in found.cautions if "the cards differ" in one]
    assert all(gpu.name in caution for gpu in gpus)
    plan = {step.id: step for step in checkup.steps(wanted, PATHS, on, TOOLS)}
    assert plan["cards.alike"].advice


def test_of_cards_that_differ_by_name_alone_the_server_is_told_the_order() -> None:
    told = serve_arguments.environment(cuda(), machine(A5000, AMPERE))
    assert (told["CUDA_VISIBLE_DEVICES"], told["CUDA_DEVICE_ORDER"]) == ("0,1", "PCI_BUS_ID")
    assert images.card(cuda(), machine(A5000, AMPERE)) == A5000.name


def test_cards_that_are_alike_need_no_caution_and_no_order() -> None:
    wanted, on = cuda(TENSOR_PARALLEL="2"), machine(ADA, ADA)
    assert cards.caution(wanted, on) == ""
    assert "CUDA_VISIBLE_DEVICES" not in serve_arguments.environment(wanted, on)
    assert measure.subject(wanted, on).card == f"2 x {ADA.name}"


@pytest.mark.parametrize("settings", [
    {"TENSOR_PARALLEL": "2"}, {"EXTRA_ARGS": "--pipeline-parallel-size 2"}, {"EXTRA_ARGS": "-pp=2"},
])  # fmt: skip
def test_too_few_cards_are_counted_in_a_true_sentence(settings: dict[str, str]) -> None:
    found = fit.plan(cuda(**settings), machine(ADA))
    assert found is not None
    assert found.shortage == "it needs 2 cards, this machine has 1"


def test_cards_are_counted_whatever_shares_them() -> None:
    extra = "--pipeline-parallel-size 2 --data-parallel-size=3"
    assert cards.ranks(cuda(TENSOR_PARALLEL="2", EXTRA_ARGS=extra)) == 12
    assert cards.ranks(cuda()) == 1


# --- AMD


def test_a_card_without_a_marketing_name_is_like_the_other() -> None:
    nameless = dataclasses.replace(XTX, name="gfx1100")
    on = host(amd=Amd(gpus=(XTX, nameless), agents=("gfx1100", "gfx1100")))
    wanted = rocm(TENSOR_PARALLEL="2")
    card = fit.card(wanted, on)
    assert card is not None
    assert card.count == 2
    assert cards.caution(wanted, on) == ""
    assert "HIP_VISIBLE_DEVICES" not in serve_arguments.environment(wanted, on)


@pytest.mark.parametrize("agents", [("gfx1036", "gfx1100"), ("gfx1100", "gfx1036")])
@pytest.mark.parametrize("order", [(XTX, RYZEN), (RYZEN, XTX)])
def test_amd_cards_are_counted_as_rocminfo_does(
    agents: tuple[str, ...], order: tuple[Gpu, ...]
) -> None:
    on = host(amd=Amd(gpus=order, agents=agents))
    number = agents.index("gfx1100")
    chosen = cards.of(rocm(DEVICES=str(number)), on)
    assert [gpu.name for gpu in chosen.used] == [XTX.name]
    assert chosen.used[0].number == number
    assert [gpu.name for gpu in cards.of(rocm(), on).used] == [XTX.name]


def test_under_wsl_windows_names_and_rocminfo_counts() -> None:
    below = Windows(reached=True, adapters=(Adapter("AMD Radeon(TM) Graphics"), Adapter(XTX.name)))
    on = host(os=Os("linux", "x86_64", wsl=True), windows=below,
              amd=Amd(dxg=True, agents=("gfx1036", "gfx1100")))  # fmt: skip
    assert [gpu.name for gpu in cards.of(rocm(DEVICES="1"), on).used] == [XTX.name]
    narrowed = cards.as_used(rocm(DEVICES="1"), on)
    assert narrowed.amd.agents == ("gfx1100",)
    again = cards.as_used(rocm(DEVICES="1"), narrowed)
    assert [gpu.name for gpu in cards.of(rocm(DEVICES="1"), again).used] == [XTX.name]
    assert cards.problem(rocm(DEVICES="2"), on) == "this machine has cards 0 to 1"


def test_graphics_of_the_processor_out_of_devices_are_no_matter() -> None:
    on = amd_hosts.native(
        Amd((XTX, RYZEN), ("gfx1036", "gfx1100"), kfd=True, render=("renderD128",))
    )
    name = "amd.alone"
    assert name in lacks(rocm(), on)
    assert name not in lacks(rocm(DEVICES="1"), on)


# --- DEVICES that name nothing


def from_file(devices: str, source: str, gpu: str = "cuda", **settings: str) -> Backend:
    made = (cuda if gpu == "cuda" else rocm)(**settings)
    return Backend(made.name, {**made.settings, "DEVICES": Setting(devices, source)})


@pytest.mark.parametrize(
    ("devices", "gpus", "said"),
    [
        ("3", (ADA,), "this machine has cards 0 to 0"),
        ("0,1", (ADA,), "this machine has cards 0 to 0"),
        ("2,0", (ADA, ADA), "this machine has cards 0 to 1"),
        ("9999", (ADA, ADA), "this machine has cards 0 to 1"),
    ],
)
@pytest.mark.parametrize("source", ["env/mine.env:4", ".env:2", "process environment"])
def test_a_number_that_no_card_has_is_refused_where_it_stands(
    devices: str, gpus: tuple[Gpu, ...], said: str, source: str
) -> None:
    wanted, on = from_file(devices, source), machine(*gpus)
    with pytest.raises(ConfigError) as caught:
        serve.prepare(wanted, PATHS, on, TOOLS)
    assert caught.value.what == f"{source}: DEVICES={devices}: {said}"
    assert f"0: {ADA.name}" in caught.value.why
    assert caught.value.exit_code == 2
    plan = checkup.steps(wanted, PATHS, on, TOOLS)
    assert said in missing(plan, on)["cards.named"]
    # Nothing is planned after it: no image, no model.
    assert not [step.id for step in plan if "the image" in step.id and "is here" in step.id]


def test_an_option_of_vllm_may_need_more_cards_than_devices_name() -> None:
    wanted = from_file("1", ".env:2", EXTRA_ARGS="--pipeline-parallel-size 2")
    assert cards.problem(wanted, machine(ADA, ADA)) == "the server needs 2 cards, and this names 1"


@pytest.mark.parametrize("gpu", ["cuda", "rocm"])
def test_where_no_card_is_known_nobody_says_which_numbers_there_are(gpu: str) -> None:
    assert cards.problem(from_file("3", ".env:1", gpu), host()) == ""
    assert cards.as_used(from_file("3", ".env:1", gpu), host()) == host()


def test_good_numbers_are_told_by_name() -> None:
    wanted, on = from_file("1,0", ".env:1"), machine(ADA, PASCAL)
    (named,) = cards.steps(wanted)
    assert named.missing(on) == ""
    assert named.found(on) == f"{PASCAL.name}, {ADA.name}"


def test_the_processor_has_no_cards() -> None:
    assert cards.of(backend(), machine(ADA)).used == []
    assert cards.as_used(backend(), machine(ADA)) == machine(ADA)


@pytest.mark.parametrize("gpus", [(A6000, ADA), (ADA, A6000)])
def test_auto_speaks_of_the_card_that_will_be_used(gpus: tuple[Gpu, ...]) -> None:
    assert choose._card(Host(nvidia=Nvidia(gpus=gpus))) == ("cuda", ADA.name)
