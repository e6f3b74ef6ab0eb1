"""`inv seed-models` as a person meets it, against the stand-in hub, in processes of its own."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from lifecycle.errors import INTERRUPTED as EXIT_INTERRUPTED
from lifecycle.errors import HostNotReady, ModelUnavailable
from tests.fake_hub import FakeHub, Fault, Token
from tests.integration.checkout import INTERRUPTED, Checkout, free_port, interrupt
from tests.integration.prepared import MODEL, places

REPO, GATED = "acme/tiny", "acme/gated"
MIB = 1 << 20
SIZE = 40 * MIB
WEIGHTS = "*.safetensors"
GOOD, FINE, FRESH = "hf_goodgoodgood", "hf_finefinefine", "hf_freshfresh"
TOKENS = {
    GOOD: Token(accepted=frozenset({GATED})),
    FINE: Token(accepted=frozenset({GATED}), reads_gated=False),
    FRESH: Token(),
}
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
    "vocab_size": 1000, "max_position_embeddings": 256,
}  # fmt: skip


def weights(file: Path, size: int) -> None:
    """A sound safetensors file of random bytes."""
    entry = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    header = json.dumps({"a": entry}).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + os.urandom(size))


def repo(root: Path, name: str, *sizes: int, gated: bool = False) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text("# Hello")
    (folder / "pytorch_model.bin").write_bytes(b"the same once more")
    for number, size in enumerate(sizes, 1):
        weights(folder / f"model-{number}.safetensors", size)
    if gated:
        (folder / ".hub.json").write_text('{"gated": "manual"}')
    return folder


class Desk:
    """A checkout whose hub is the stand-in, with nothing fetched yet."""

    def __init__(self, checkout: Checkout, hub: FakeHub, folder: Path) -> None:
        self.checkout = checkout
        self.hub = hub
        self.models = folder / "models"
        checkout.env |= {
            "HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "nobodys"), "HF_TOKEN": "",
            "MODELS_DIR": str(self.models), "COLUMNS": "400",
        }  # fmt: skip

    def words(self, model: str, *more: str) -> tuple[str, ...]:
        return ("seed-models", "--gpu", self.checkout.backend, "--model", model, *more)

    def seed(self, model: str = REPO, *more: str) -> "subprocess.CompletedProcess[str]":
        self.hub.log.clear()
        return self.checkout.inv(*self.words(model, *more), limit=60)

    def begin(self, model: str = REPO, *more: str) -> "subprocess.Popen[str]":
        self.hub.log.clear()
        return self.checkout.begin(*self.words(model, *more))

    def token(self, text: str) -> None:
        (self.checkout.root / ".env").write_text(f"HF_TOKEN={text}\n")

    def folder(self, model: str = REPO) -> Path:
        return self.models / "hub" / f"models--{model.replace('/', '--')}"

    def whole(self, model: str = REPO) -> bool:
        """Whether what is offered to vLLM is the model, byte by byte, and sealed."""
        (snapshot,) = (self.folder(model) / "snapshots").iterdir()
        assert (self.folder(model) / ".seeded" / f"{snapshot.name}.json").is_file()
        source = self.hub.repos.root / model
        return all((source / one.name).read_bytes() == one.read_bytes() for one in found(snapshot))

    def snapshots(self, model: str = REPO) -> list[Path]:
        return list((self.folder(model) / "snapshots").glob("*"))

    def sent(self) -> int:
        """Bytes of weights that the hub sent since the last start."""
        return sum(seen.sent for seen in self.hub.log.of("cdn"))

    def kept(self) -> int:
        """Bytes that are safe on the disk and in a journal."""
        spans = [
            line.split()
            for file in self.folder().glob("blobs/*.part.journal")
            for line in file.read_text().splitlines()
            if re.fullmatch(r"\d+ \d+", line)
        ]
        return sum(int(end) - int(start) for start, end in spans)

    def until(self, count: int, process: "subprocess.Popen[str]") -> None:
        """Wait until so many bytes of weights are on the disk."""
        deadline = time.monotonic() + 20
        while self.on_disk() < count:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, self.on_disk()
            time.sleep(0.02)

    def on_disk(self) -> int:
        total = 0
        for part in (self.folder() / "blobs").glob("*.part"):
            # A small file gets its name, and is no part any more, while we look.
            with contextlib.suppress(FileNotFoundError):
                total += part.stat().st_blocks * 512
        return total


def found(snapshot: Path) -> list[Path]:
    files = sorted(snapshot.iterdir())
    assert [one.name for one in files if one.suffix != ".safetensors"] == [
        "config.json", "tokenizer.json",
    ]  # fmt: skip
    return files


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One copy for all that start no server: what was compiled once serves each of them."""
    return Checkout.copy(tmp_path_factory.mktemp("seeding"), "seeding", free_port())


@pytest.fixture
def desk(copied: Checkout, tmp_path: Path) -> Iterator[Desk]:
    root = tmp_path / "hub"
    repo(root, REPO, SIZE)
    repo(root, GATED, MIB, gated=True)
    copied.env = {"LIFECYCLE_HOME": str(tmp_path / "home")}
    with FakeHub(root, tokens=TOKENS) as hub:
        yield Desk(copied, hub, tmp_path)
    (copied.root / ".env").unlink(missing_ok=True)


# It comes, once


def test_the_first_run_brings_it_and_the_second_asks_once(desk: Desk) -> None:
    done = desk.seed()
    assert done.returncode == 0, done.stderr
    assert desk.whole()
    assert f"{REPO} is here: {desk.models}" in done.stderr
    assert re.search(r"3 files, 41\.9 MB, all verified; 41\.9 MB came in \d+\.\d s, ", done.stderr)

    again = desk.seed()
    assert again.returncode == 0
    assert "is here already" in again.stderr
    assert len(desk.hub.log) == 1

    commit = desk.snapshots()[0].name
    pinned = desk.seed(REPO, "--revision", commit)
    assert "is here already" in pinned.stderr
    assert len(desk.hub.log) == 0

    desk.checkout.env["HF_HUB_OFFLINE"] = "1"
    offline = desk.seed()
    assert (offline.returncode, len(desk.hub.log)) == (0, 0), offline.stderr
    assert "nothing to do" in offline.stderr


def test_what_hf_download_left_is_checked_and_taken_over(desk: Desk, tmp_path: Path) -> None:
    """The library compares sizes only: one file it left is wrong."""
    assert desk.seed().returncode == 0
    theirs = tmp_path / "nobodys" / "hub" / desk.folder().name
    shutil.copytree(desk.folder() / "blobs", theirs / "blobs")
    tokenizer = theirs / "blobs" / (desk.snapshots()[0] / "tokenizer.json").readlink().name
    tokenizer.write_text("[]")
    shutil.rmtree(desk.models)
    done = desk.seed()
    assert done.returncode == 0, done.stderr
    assert desk.whole()
    assert "tokenizer.json was not what it should be" in done.stderr
    assert desk.sent() == 0


def test_a_model_of_many_files_is_asked_for_once_only(desk: Desk) -> None:
    """Its index of weights is here, too."""
    folder = repo(desk.hub.repos.root, "acme/shards", MIB, MIB)
    names = {f"layer.{number}": f"model-{number}.safetensors" for number in (1, 2)}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    assert desk.seed("acme/shards").returncode == 0
    again = desk.seed("acme/shards")
    assert "is here already" in again.stderr, again.stderr
    assert len(desk.hub.log) == 1


@pytest.mark.parametrize("words", [("--dry-run",), ()])
def test_a_dry_run_lists_and_changes_nothing(desk: Desk, words: tuple[str, ...]) -> None:
    before = () if words else ("--dry",)
    done = desk.checkout.inv(*before, *desk.words(REPO, *words))
    assert done.returncode == 0, done.stderr
    assert re.search(r"model-1\.safetensors +41\.9 MB", done.stdout)
    assert "41.9 MB are still to come" in done.stdout
    assert "left out: 2 files vLLM does not load" in done.stdout
    assert not desk.models.exists()
    assert not desk.hub.log.of("cdn")


def test_a_short_name_asks_for_the_commit_of_the_catalogue(desk: Desk) -> None:
    done = desk.seed("qwen3-0.6b", "--dry-run")
    assert done.returncode == ModelUnavailable.exit_code
    assert "there is no Qwen/Qwen3-0.6B on the hub" in done.stderr
    (asked,) = desk.hub.log.all()
    assert re.fullmatch(r"/api/models/Qwen/Qwen3-0\.6B/revision/[0-9a-f]{40}", asked.path)


# It is interrupted


def test_after_kill_9_it_goes_on(desk: Desk) -> None:
    slow = Fault(path=WEIGHTS, where="cdn", rate=8 * MIB)
    desk.hub.fault(slow)
    process = desk.begin()
    desk.until(16 * MIB, process)
    process.kill()
    process.communicate()
    arrived = desk.sent()
    assert not desk.snapshots()

    doctor = desk.checkout.inv("up", "--gpu", desk.checkout.backend, "--model", REPO, "--dry")
    assert re.search(rf"\d+\.\d MB of 41\.9 MB of {REPO} were fetched so far", doctor.stderr)

    desk.hub.faults.clear()
    done = desk.seed()
    assert done.returncode == 0, done.stderr
    assert desk.whole()
    assert arrived + desk.sent() - SIZE <= 16 * MIB


def test_ctrl_c_keeps_what_came(desk: Desk) -> None:
    desk.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=8 * MIB))
    process = desk.begin()
    desk.until(12 * MIB, process)
    out = interrupt(process)
    assert process.returncode in INTERRUPTED | {EXIT_INTERRUPTED}
    assert "The same command goes on from here" in out
    assert "Traceback" not in out
    assert desk.kept() >= 12 * MIB - MIB
    assert not desk.snapshots()


def test_every_harm_on_the_way_is_mended_and_told(desk: Desk) -> None:
    """One run: each file suffers something else."""
    name = "acme/harmed"
    repo(desk.hub.repos.root, name, *[2 * MIB] * 6)
    harms = (
        {"cut_after": MIB, "times": 2}, {"lie": 7, "times": 1}, {"no_range": True},
        {"corrupt": MIB + 5, "times": 1}, {"status": 416, "times": 1},
        {"status": 429, "retry_after": 1, "times": 1},
    )  # fmt: skip
    for number, harm in enumerate(harms, 1):
        desk.hub.fault(Fault(path=f"*model-{number}.safetensors", where="cdn", **harm))  # type: ignore[arg-type]
    desk.hub.fault(Fault(path="/api/models/*", status=429, retry_after=1, times=1))
    done = desk.seed(name)
    assert done.returncode == 0, done.stderr
    assert desk.whole(name)
    assert "the hub limits requests: waiting 1 s, as it asks" in done.stderr
    assert "model-4.safetensors was not what it should be" in done.stderr
    assert len(list(desk.folder(name).glob("blobs/*.corrupt"))) == 1


def test_two_at_once_fetch_it_once(desk: Desk) -> None:
    desk.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=10 * MIB))
    both = [desk.checkout.begin(*desk.words(REPO)) for _ in range(2)]
    said = [one.communicate(timeout=60)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert desk.whole()
    assert desk.sent() < SIZE + MIB
    assert any("fetches the same model; waiting for it" in text for text in said), said


# It is refused


@pytest.mark.parametrize(
    ("token", "words", "said", "todo"),
    [
        ("", GATED, "is gated, and no token was sent", f"huggingface.co/{GATED}"),
        ("hf_wrong", GATED, "does not accept the token from .env:1", "settings/tokens"),
        (FRESH, GATED, "licence of acme/gated is not accepted yet", f"huggingface.co/{GATED}"),
        (FINE, GATED, "may not read gated repositories", "Read access to contents"),
        ("", "acme/none", "there is no acme/none on the hub", "Look for it"),
        ("", f"{REPO} --revision v9", "has no revision v9", "commits/main"),
    ],
)
def test_a_refusal_says_what_to_do(
    desk: Desk, token: str, words: str, said: str, todo: str
) -> None:
    if token:
        desk.token(token)
    done = desk.seed(*words.split())
    assert done.returncode == ModelUnavailable.exit_code
    assert said in done.stderr
    assert todo in done.stderr
    assert not desk.models.exists()
    assert not token or token not in done.stdout + done.stderr


def test_offline_and_not_here_sends_nothing(desk: Desk) -> None:
    desk.checkout.env["HF_HUB_OFFLINE"] = "1"
    done = desk.seed()
    assert done.returncode == HostNotReady.exit_code
    assert "HF_HUB_OFFLINE" in done.stderr
    assert len(desk.hub.log) == 0


def test_the_token_opens_the_gate_and_shows_nowhere(desk: Desk) -> None:
    desk.token(GOOD)
    desk.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=MIB))
    process = desk.begin(GATED)
    argv = b""
    while process.poll() is None:
        argv += b"".join(
            file.read_bytes()
            for one in below(process.pid)
            if (file := Path(f"/proc/{one}/cmdline")).exists()
        )
        time.sleep(0.05)
    out, _ = process.communicate()
    assert process.returncode == 0, out
    assert desk.whole(GATED)
    assert b"seed-models" in argv
    assert GOOD.encode() not in argv
    assert GOOD not in out
    assert holding(GOOD, desk.checkout.root) == [desk.checkout.root / ".env"]
    assert not holding(GOOD, desk.models.parent)
    assert any(seen.authorized for seen in desk.hub.log.of("hub"))
    assert not any(seen.authorized for seen in desk.hub.log.of("cdn"))


def below(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in below(int(child)))]


def holding(text: str, folder: Path) -> list[Path]:
    """Files in which a text stands."""
    files = (one for one in folder.rglob("*") if one.is_file())
    return [one for one in files if text.encode() in one.read_bytes()]


# There is no room


@pytest.fixture
def small_disk(desk: Desk) -> Iterator[Path]:
    if os.geteuid():
        pytest.skip("only root makes a small disk")
    desk.models.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", str(desk.models))
    subprocess.run(mount, check=True)
    yield desk.models
    subprocess.run(("umount", str(desk.models)), check=True)


def resize(disk: Path, size: str) -> None:
    subprocess.run(("mount", "-o", f"remount,size={size}", str(disk)), check=True)


def test_a_disk_that_is_too_small_is_refused_before_and_survived_after(
    desk: Desk, small_disk: Path
) -> None:
    resize(small_disk, "900m")
    before = desk.seed()
    assert before.returncode == ModelUnavailable.exit_code
    assert f"there is no room for {REPO}" in before.stderr
    assert not desk.hub.log.of("cdn")

    resize(small_disk, "2g")
    desk.hub.fault(Fault(path=WEIGHTS, where="cdn", rate=10 * MIB))
    process = desk.begin()
    desk.until(12 * MIB, process)
    resize(small_disk, "20m")  # somebody else filled it meanwhile
    out, _ = process.communicate(timeout=60)
    assert process.returncode == ModelUnavailable.exit_code, out
    assert "there is no room left" in out
    assert "it goes on where it stopped" in out
    kept = desk.kept()
    assert kept >= 8 * MIB

    resize(small_disk, "2g")
    desk.hub.faults.clear()
    done = desk.seed()
    assert done.returncode == 0, done.stderr
    assert desk.whole()
    assert desk.sent() <= SIZE - kept + MIB


# The whole way


def test_up_fetches_a_model_from_nothing_and_serves_it(checkout: Checkout, tmp_path: Path) -> None:
    """Plan, seed, start, answer: with the engine of this machine and an empty models folder."""
    root = tmp_path / "hub"
    shutil.copytree(places().models / MODEL, root / REPO)
    (root / REPO / ".hub.json").write_text('{"gated": "manual"}')
    with FakeHub(root, tokens={GOOD: Token(accepted=frozenset({REPO}))}) as hub:
        desk = Desk(checkout, hub, tmp_path)
        (checkout.root / ".env").write_text(f"HF_TOKEN={GOOD}\n")
        checkout.env["HF_TOKEN"] = GOOD
        up = checkout.up("--model", REPO)
    assert up.returncode == 0, up.stderr
    assert (desk.folder() / "refs" / "main").is_file()
    server = checkout.status()
    assert server["phase"] == "ready"
    served = requests.get(
        f"http://127.0.0.1:{checkout.port}/v1/models",
        headers={"Authorization": f"Bearer {checkout.key}"}, timeout=10,
    ).json()  # fmt: skip
    assert [one["id"] for one in served["data"]] == [REPO]
    chat = checkout.inv("chat", "Say hello.", "--gpu", checkout.backend, limit=60)
    assert chat.returncode == 0, chat.stderr
    assert chat.stdout.strip()
    first, *others = [environment(one) for one in below(int(server["pid"]))]
    assert "HF_HUB_OFFLINE=1" in first
    # vLLM's engine process writes its title over its environment: that shows no more than this.
    assert not any("HF_TOKEN=" in line or GOOD in line for one in (first, *others) for line in one)
    assert not holding(GOOD, Path(server["log"]).parent)


def environment(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
