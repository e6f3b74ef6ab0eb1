"""The tables resolve: every row can be read, and every look-up has an answer or says why not."""

import re
import tomllib

import pytest

from lifecycle import tables
from lifecycle.errors import NotSupported
from lifecycle.keys import KEYS
from lifecycle.paths import DATA
from lifecycle.tables.serving import Image

FILES = sorted(DATA.glob("*.toml"))
SUPPORT = tomllib.loads((DATA / "support.toml").read_text())
SERVED = [(row["gpu"], row["runtime"]) for row in SUPPORT["serve"]]
IMAGES = tomllib.loads((DATA / "images.toml").read_text())["image"]
DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_file_says_where_its_knowledge_is_from(file: str) -> None:
    assert "source = " in (DATA / file).read_text()


@pytest.mark.parametrize(("gpu", "runtime"), SERVED)
def test_whatever_is_served_has_all_it_needs(gpu: str, runtime: str) -> None:
    tables.serving.require_served(gpu, runtime)
    if runtime == "docker":
        assert tables.serving.choice(gpu)[0].reference
    else:
        assert tables.serving.engine(gpu).lock_file.is_file()


@pytest.mark.parametrize(
    ("gpu", "runtime", "fix"),
    [("rocm", "venv", "--runtime docker"), ("tpu", "docker", "--gpu cpu, cuda, rocm")],
)
def test_what_cannot_be_started_is_refused_with_what_can(gpu: str, runtime: str, fix: str) -> None:
    assert not tables.serving.served(gpu, runtime)
    with pytest.raises(NotSupported) as caught:
        tables.serving.require_served(gpu, runtime)
    assert fix in caught.value.fix


def test_an_engine_is_named_by_hardware_and_version() -> None:
    engine = tables.serving.engine("cpu")
    assert engine.name == f"cpu-{engine.version}"
    assert f"{engine.distribution}=={engine.version}" in engine.lock_file.read_text()
    assert re.fullmatch(r"[0-9a-f]{16}", engine.fingerprint())


def test_hardware_without_an_engine_is_not_supported() -> None:
    with pytest.raises(NotSupported, match="GPU=rocm in a venv"):
        tables.serving.engine("rocm")


def test_hardware_without_an_image_is_not_supported() -> None:
    with pytest.raises(NotSupported, match="GPU=tpu"):
        tables.serving.choice("tpu")


def test_the_first_image_is_taken_unless_another_one_is_here() -> None:
    first, *others = tables.serving.choice("cpu")
    assert tables.serving.choice("cpu", ["something/else:1"]) == [first, *others]
    local = "vllm-cpu-local:0.32.0"
    assert tables.serving.choice("cpu", [local])[0].reference == local
    assert tables.serving.choice("cpu", [local, first.reference])[0] == first


def test_of_images_that_suit_the_one_that_is_here_is_taken() -> None:
    rows = tables.serving.images("cuda")
    plain, (older, second) = rows[0], [row for row in rows if row.cuda == "12.9"]
    here = [f"{plain.repository}@{plain.digest}", second.reference]
    suits = tables.serving.choice("cuda", here, lambda row: row.cuda == "12.9")
    assert suits == [second, older]
    assert tables.serving.choice("cuda", here, lambda row: row.cuda == "9.0") == [plain]


def test_an_image_pinned_by_digest_is_known_by_that_alone() -> None:
    row = tables.serving.images("cuda")[0]
    assert row.among({f"{row.repository}@{row.digest}"})
    assert not row.among({row.reference, f"{row.repository}@{DIGEST}"})


@pytest.mark.parametrize("row", IMAGES, ids=lambda row: row["reference"])
def test_an_image_is_described_in_full(row: dict[str, object]) -> None:
    assert row["digest"] in {"unknown", "local"} or str(row["digest"]).startswith("sha256:")
    assert str(row["digest"]).startswith("sha256:") or row["why_no_digest"]
    assert row["entrypoint"] in {"vllm-serve", "shell"}
    assert row["verified"] in {"hardware", "documented", "reported"}
    assert ("cuda" in row) == (row["gpu"] == "cuda")
    known = {recipe.name for system in ("wsl", "native") for recipe in tables.rocm.recipes(system)}
    if row["gpu"] == "rocm":
        assert row["recipes"]
        assert set(row["recipes"]) <= known  # type: ignore[call-overload]
        assert row["arches"]


def test_the_cuda_of_an_image_is_the_one_that_its_tag_means() -> None:
    for row in tables.serving.images("cuda"):
        meant = tables.cuda.of_image(row.reference)
        assert meant is not None
        assert meant.version == row.cuda


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("rocm/vllm:rocm10", "rocm/vllm"),
        ("127.0.0.1:5000/mine", "127.0.0.1:5000/mine"),
        (f"127.0.0.1:5000/mine:1@{DIGEST}", "127.0.0.1:5000/mine"),
    ],
)
def test_the_repository_of_an_image(reference: str, name: str) -> None:
    assert tables.serving.repository(reference) == name


@pytest.mark.parametrize(("digest", "pinned"), [(DIGEST, f"a/b:1@{DIGEST}"), ("unknown", "a/b:1")])
def test_an_image_is_pinned_by_digest_where_one_is_known(digest: str, pinned: str) -> None:
    assert Image("cpu", "a/b:1", "0.33.0", digest, "vllm-serve", 6.0).pinned == pinned


def test_no_image_is_called_latest() -> None:
    for row in IMAGES:
        assert ":" in row["reference"]
        assert not row["reference"].endswith(":latest")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_processors_that_are_known(machine: str) -> None:
    assert tables.serving.cpu_support(machine).required


def test_a_processor_that_is_not_known_names_those_that_are() -> None:
    with pytest.raises(NotSupported, match="riscv64") as caught:
        tables.serving.cpu_support("riscv64")
    assert caught.value.why == "known: x86_64, aarch64"


@pytest.mark.parametrize("cores", [1, 2, 3, 16, 128, 4096])
def test_every_number_of_cores_has_settings_with_room_for_them(cores: int) -> None:
    with_room = [row for row in tables.serving.cpu_settings() if row.max_cores >= cores]
    assert with_room
    assert all(row.why for row in with_room)


def test_settings_of_cores_can_be_named() -> None:
    check = KEYS["CPU_SETTINGS"].check
    assert [check(row.name) for row in tables.serving.cpu_settings()] == ["", ""]


def test_rows_of_cores_are_sorted_so_that_the_first_with_room_is_the_tightest() -> None:
    rows = tomllib.loads((DATA / "cpu_settings.toml").read_text())["settings"]
    assert [row["max_cores"] for row in rows] == sorted(row["max_cores"] for row in rows)


def test_packaged_models_are_pinned_by_checksum() -> None:
    for model in tables.serving.packaged_models().values():
        assert re.fullmatch(r"[0-9a-f]{64}", model.wheel_sha256)
        assert re.fullmatch(r"[0-9a-f]{64}", model.file_sha256)
        assert model.size > 0
