"""The stand-in hub is honest, and what we ask of a hub works against it."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from lifecycle.errors import HostNotReady, LifecycleError, ModelUnavailable
from lifecycle.hub import waiting
from lifecycle.hub.client import Hub
from lifecycle.hub.token import Token
from lifecycle.models import cache, selection, verifying
from tests.fake_hub import FakeHub, Fault
from tests.fake_hub import Token as Known
from tests.integration.checkout import ROOT, free_port
from tests.unit.models.folder import weights_of

REPO, GATED = "org/model", "org/gated"
LFS = "model-00001-of-00001.safetensors"
INDEX = "model.safetensors.index.json"
GOOD, FINE, FRESH, WAITING, FALSE = "hf_good", "hf_fine", "hf_fresh", "hf_waiting", "hf_false"
TOKENS = {
    GOOD: Known(accepted=frozenset({GATED})),
    FINE: Known(accepted=frozenset({GATED}), reads_gated=False),
    FRESH: Known(),
    WAITING: Known(pending=frozenset({GATED})),
}
BIG = 24 << 20


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hub")
    repo = made / REPO
    (repo / "sub").mkdir(parents=True)
    (repo / "config.json").write_text(json.dumps({"architectures": ["Thing"], "pad": "x" * 5000}))
    (repo / "empty.txt").write_text("")
    (repo / "sub" / "deep file.txt").write_text("below")
    (repo / "broken.json").write_text("{")
    (repo / INDEX).write_text(json.dumps({"weight_map": {"a": LFS}}))
    (repo / LFS).write_bytes(weights_of("x"))
    (repo / "other.bin").write_bytes(os.urandom(BIG))
    old = made / f"{REPO}@v1"
    old.mkdir()
    (old / "config.json").write_text("{}")
    gated = made / GATED
    gated.mkdir()
    (gated / ".hub.json").write_text('{"gated": "manual"}')
    (gated / "config.json").write_text("{}")
    (gated / "README.md").write_text("open to all")
    return made


@pytest.fixture
def hub(root: Path) -> Iterator[FakeHub]:
    with FakeHub(root, tokens=TOKENS, page=3) as made:
        yield made


def ours(hub: FakeHub, token: str = "") -> Hub:
    return Hub(hub.url, Token(token, ".env:3" if token else ""))


def same(snapshot: Path, repo: Path) -> bool:
    files = [one.relative_to(repo) for one in repo.rglob("*") if one.is_file()]
    return all((snapshot / one).read_bytes() == (repo / one).read_bytes() for one in files)


# What huggingface_hub makes of the stand-in: another process, for the library reads its
# environment once.


def library(hub: FakeHub, home: Path, *argv: str, token: str = "") -> str:
    env = {
        "PATH": os.environ["PATH"], "HF_ENDPOINT": hub.url, "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_TOKEN": token,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, *argv], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else f"failed: {done.stderr[-2000:]}"


FETCH = "import sys, huggingface_hub as h; print(h.snapshot_download(sys.argv[1]))"


def test_snapshot_download_works_with_the_stand_in(
    hub: FakeHub, root: Path, tmp_path: Path
) -> None:
    place = Path(library(hub, tmp_path, "-c", FETCH, REPO))
    assert same(place, root / REPO)
    assert not any(seen.authorized for seen in hub.log.all())
    hub.log.clear()
    library(hub, tmp_path, "-c", FETCH, REPO)
    assert [seen.path for seen in hub.log.all()] == [f"/api/models/{REPO}/revision/main"]


def test_hf_download_works_with_the_stand_in_and_keeps_the_token_at_home(
    hub: FakeHub, root: Path, tmp_path: Path
) -> None:
    library(hub, tmp_path, "-m", "huggingface_hub.cli.hf", "download", REPO, token=GOOD)
    (place,) = (tmp_path / "hub" / "models--org--model" / "snapshots").iterdir()
    assert same(place, root / REPO)
    assert all(seen.authorized for seen in hub.log.of("hub") if REPO in seen.path)
    assert hub.log.of("cdn")
    assert not any(seen.authorized for seen in hub.log.of("cdn"))


def test_hf_cache_verify_agrees_about_the_digests(hub: FakeHub, tmp_path: Path) -> None:
    library(hub, tmp_path, "-c", FETCH, REPO)
    said = library(hub, tmp_path, "-m", "huggingface_hub.cli.hf", "cache", "verify", REPO)
    assert "failed" not in said


def test_our_note_of_what_was_selected_does_not_disturb_the_library(
    hub: FakeHub, tmp_path: Path
) -> None:
    place = Path(library(hub, tmp_path, "-c", FETCH, REPO))
    # As after a transfer of ours: what was verified is known, then what was selected.
    assert verifying.damaged(place, verifying.of_cache(place), lambda _: None, ours=True) == []
    cache.seal(place, ours(hub).info(REPO).files)
    assert cache.sealed(place)
    scan = (
        "import huggingface_hub as h; print(h.scan_cache_dir().warnings, h.scan_cache_dir().repos)"
    )
    said = library(hub, tmp_path, "-c", scan)
    assert said.startswith("[]")
    assert REPO in said


def test_the_library_sees_the_gate(hub: FakeHub, tmp_path: Path) -> None:
    assert "GatedRepoError: 401" in library(hub, tmp_path, "-c", FETCH, GATED)
    assert "GatedRepoError: 403" in library(hub, tmp_path, "-c", FETCH, GATED, token=FRESH)
    assert "failed" not in library(hub, tmp_path, "-c", FETCH, GATED, token=GOOD)


# What we make of it.


def test_a_repo_is_one_request(hub: FakeHub, root: Path) -> None:
    found = ours(hub).info(REPO)
    assert len(hub.log) == 1
    assert {file.path for file in found.files} == {
        one.relative_to(root / REPO).as_posix() for one in (root / REPO).rglob("*") if one.is_file()
    }
    assert {file.digest.split(":")[0] for file in found.files} == {"git", "sha256"}
    assert found.gated == ""


def test_a_revision_by_name_and_by_commit(hub: FakeHub) -> None:
    old = ours(hub).info(REPO, "v1")
    assert [file.path for file in old.files] == ["config.json"]
    assert ours(hub).info(REPO, old.sha).files == old.files
    assert ours(hub).config(REPO, old.sha) == {}


def test_small_files_and_headers_come_without_the_weights(hub: FakeHub) -> None:
    asking = ours(hub, GOOD)
    repo = asking.info(REPO)
    assert asking.config(REPO, repo.sha)["architectures"] == ["Thing"]
    assert asking.read(REPO, repo.sha, "empty.txt") == b""
    assert asking.read(REPO, repo.sha, "sub/deep file.txt") == b"below"
    index = asking.config(REPO, repo.sha, selection.index_in(repo.files))
    chosen = selection.select(REPO, repo.files, index)
    assert chosen.weights == (LFS,)
    (header,) = asking.headers(REPO, repo.sha, chosen.weights).values()
    assert header["a"]["dtype"] == "U8"
    assert not any(seen.authorized for seen in hub.log.of("cdn"))
    assert asking.read(REPO, repo.sha, "other.bin", 100)
    assert sum(seen.sent for seen in hub.log.all()) < 1 << 20


def test_a_range_that_is_ignored_does_not_bring_the_weights(hub: FakeHub) -> None:
    hub.fault(Fault(path="*/other.bin", where="cdn", no_range=True))
    asking = ours(hub)
    began = time.monotonic()
    assert len(asking.read(REPO, asking.info(REPO).sha, "other.bin", 100)) == 100
    assert time.monotonic() - began < 5


def failure(asking: Hub, repo: str, path: str = "config.json") -> LifecycleError:
    with pytest.raises(LifecycleError) as caught:
        asking.read(repo, asking.info(repo).sha, path)
    error = caught.value
    assert not [one for one in TOKENS if one in f"{error.what} {error.why} {error.fix}"]
    assert error.fix
    return error


@pytest.mark.parametrize(
    ("token", "repo", "said"),
    [
        ("", GATED, "is gated, and no token was sent"),
        (FALSE, REPO, "does not accept the token from .env:3"),
        (FRESH, GATED, "the licence of org/gated is not accepted yet"),
        (WAITING, GATED, "is under review"),
        (FINE, GATED, "may not read gated repositories"),
        ("", "org/nothing", "there is no org/nothing on the hub for us to see"),
        (GOOD, "org/nothing", "there is no org/nothing on the hub"),
    ],
)
def test_refusals_are_told_apart(hub: FakeHub, token: str, repo: str, said: str) -> None:
    found = failure(ours(hub, token), repo)
    assert isinstance(found, ModelUnavailable)
    assert said in found.what


def test_a_gate_is_seen_before_anything_is_fetched(hub: FakeHub) -> None:
    assert ours(hub).info(GATED).gated == "manual"
    ours(hub, GOOD).access(GATED)
    with pytest.raises(ModelUnavailable, match="licence"):
        ours(hub, FRESH).access(GATED)


def test_a_missing_revision_and_a_missing_file(hub: FakeHub) -> None:
    with pytest.raises(ModelUnavailable, match="no revision v9"):
        ours(hub).info(REPO, "v9")
    assert "has no params.json" in failure(ours(hub), REPO, "params.json").what


def test_a_config_that_is_broken(hub: FakeHub) -> None:
    with pytest.raises(ModelUnavailable, match=r"broken\.json of org/model is broken"):
        ours(hub).config(REPO, ours(hub).info(REPO).sha, "broken.json")


def test_a_rate_limit_is_waited_for(hub: FakeHub) -> None:
    hub.fault(Fault(status=429, retry_after=1, times=1))
    said: list[str] = []
    Hub(hub.url, tell=said.append).info(REPO)
    assert said == ["the hub limits requests: waiting 1 s, as it asks"]
    assert [seen.status for seen in hub.log.all()] == [429, 200]


def test_a_hub_that_recovers(hub: FakeHub) -> None:
    hub.fault(Fault(status=502, times=1))
    assert ours(hub).info(REPO).files


@pytest.mark.parametrize("fault", [Fault(cut_after=10, times=1), Fault(lie=100, times=1)])
def test_an_answer_that_is_cut_off_is_asked_for_again(hub: FakeHub, fault: Fault) -> None:
    hub.fault(fault)
    assert ours(hub).info(REPO).files
    assert len(hub.log) == 2


def test_nobody_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PAUSES", (0.01,))
    with pytest.raises(HostNotReady, match="cannot reach"):
        Hub(f"http://127.0.0.1:{free_port()}").info(REPO)


# The faults that helpers of the transfer rely on.


def fetched(hub: FakeHub, path: str = "other.bin", **headers: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"{hub.url}/{REPO}/resolve/main/{path}", headers=headers, timeout=10)


def test_a_part_of_a_file(hub: FakeHub, root: Path) -> None:
    whole = (root / REPO / "other.bin").read_bytes()
    part = fetched(hub, Range="bytes=1000-1999")
    assert (part.status_code, part.content) == (206, whole[1000:2000])
    assert part.headers["Content-Range"] == f"bytes 1000-1999/{BIG}"
    assert fetched(hub, Range="bytes=-5").content == whole[-5:]
    assert fetched(hub, Range=f"bytes={BIG}-").status_code == 416
    changed = {"Range": "bytes=5-", "If-Range": '"another"'}
    assert fetched(hub, **changed).status_code == 200
    same = {"Range": "bytes=5-", "If-Range": part.headers["ETag"]}
    assert fetched(hub, **same).status_code == 206


def test_text_is_packed_for_who_accepts_it(hub: FakeHub, root: Path) -> None:
    packed = fetched(hub, "config.json")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Length" not in packed.headers
    assert packed.content == (root / REPO / "config.json").read_bytes()


def test_a_signed_url_expires(root: Path) -> None:
    with FakeHub(root, url_seconds=0.3) as hub:
        first = requests.head(f"{hub.url}/{REPO}/resolve/main/other.bin", timeout=10)
        url = first.headers["Location"]
        assert requests.get(url, headers={"Range": "bytes=0-1"}, timeout=10).status_code == 206
        with_token = {"Authorization": f"Bearer {GOOD}", "Range": "bytes=0-1"}
        assert requests.get(url, headers=with_token, timeout=10).status_code == 400
        time.sleep(0.4)
        assert requests.get(url, timeout=10).status_code == 403


def test_faults_of_a_body(hub: FakeHub, root: Path) -> None:
    whole = (root / REPO / "other.bin").read_bytes()
    hub.fault(Fault(where="cdn", cut_after=5000, times=1))
    with pytest.raises(requests.RequestException):
        fetched(hub)
    assert hub.log.of("cdn")[-1].sent == 5000
    hub.faults.clear()
    hub.fault(Fault(where="cdn", corrupt=7000))
    bad = fetched(hub).content
    assert [at for at in range(BIG) if bad[at] != whole[at]] == [7000]
    assert fetched(hub, Range="bytes=7001-7010").content == whole[7001:7011]
    hub.faults.clear()
    hub.fault(Fault(where="cdn", rate=100_000))
    began = time.monotonic()
    fetched(hub, Range="bytes=0-49999")
    assert 0.3 < time.monotonic() - began < 3


def test_a_fault_may_befall_a_later_request_alone(hub: FakeHub) -> None:
    hub.fault(Fault(path="*/other.bin", where="hub", status=503, after=1, times=1))
    assert [fetched(hub, Range="bytes=0-1").status_code for _ in range(3)] == [206, 503, 206]


def test_it_runs_as_a_server_of_its_own(root: Path, tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('[{"status": 404, "path": "*/v1"}]')
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.fake_hub", "--root", str(root), "--faults", str(faults)],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    stop = threading.Timer(20, server.kill)
    stop.start()
    try:
        assert server.stdout
        url = server.stdout.readline().removeprefix("fake hub: ").strip()
        assert Hub(url).info(REPO).files
        with pytest.raises(ModelUnavailable):
            Hub(url).info(REPO, "v1")
        server.terminate()
        seen = [json.loads(line) for line in server.stdout]
    finally:
        stop.cancel()
        server.kill()
        server.communicate()
    assert [one["status"] for one in seen] == [200, 404]
