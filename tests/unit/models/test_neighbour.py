"""What another machine says it has, and why ssh does not let us ask."""

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lifecycle.errors import CommandFailed, ConfigError, HostNotReady, ModelUnavailable
from lifecycle.models import cache, copying, login, neighbour
from lifecycle.models.login import Login
from lifecycle.models.seed import Order
from lifecycle.models.source import Source
from lifecycle.paths import Paths
from lifecycle.shell import Output, Shell
from lifecycle.step import Command
from tests.unit.models.cache import COMMIT, REPO, link

GIT, SHA = "1" * 40, "2" * 64
FOLDER = "/home/anna/hub/models--acme--tiny"
CONFIG, MODEL = f"2 {GIT} config.json", f"1000 {SHA} model.safetensors"
SOURCE = Source(REPO, ("v1", "main"))


def said(*files: str, seal: str = "") -> str:
    """What LOOK prints, after what a login script did."""
    head = ("Welcome!", neighbour.BEGIN, FOLDER, "main", COMMIT, seal)
    return "".join(f"{line}\n" for line in (*head, *files))


@dataclass(frozen=True)
class There(Login):
    """Another machine that gives one answer."""

    answer: Output
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def ask(self, *words: str) -> Output:
        self.asked.append(words)
        return self.answer


def there(answer: Output, folder: str = "", shell: Shell | None = None) -> There:
    return There("anna@tower", folder, Path("/run/socket"), shell or Shell(dry=True), answer)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(root=tmp_path, home=tmp_path, models=tmp_path / "models")


@pytest.mark.parametrize(
    ("address", "host", "folder"),
    [
        ("tower", "tower", ""),
        ("anna@tower", "anna@tower", ""),
        ("anna@192.168.0.7:/data/models", "anna@192.168.0.7", "/data/models"),
        ("anna@tower:~/models/", "anna@tower", "models"),
        ("anna@[fe80::1%eth0]:/m", "anna@fe80::1%eth0", "/m"),
        ("tower:", "tower", ""),
    ],
)
def test_an_address_is_read_as_scp_reads_it(address: str, host: str, folder: str) -> None:
    assert login.parse(address) == (host, folder)


@pytest.mark.parametrize("address", ["", "-oProxyCommand=x", "-a@tower", "a b", "a@-b", "/models"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="is no address"):
        login.parse(address)


def test_a_name_before_a_path_has_brackets_where_it_needs_them() -> None:
    plain = Login("anna@tower", "", Path(), Shell())
    numbers = Login("anna@fe80::1", "", Path(), Shell())
    assert (plain.in_path, numbers.in_path) == ("anna@tower", "anna@[fe80::1]")


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("ssh: Could not resolve hostname tower: x", "no machine is called", "IP address"),
        ("anna@tower: Permission denied (publickey).", "does not let us in", "ssh-copy-id"),
        ("Host key verification failed.", "the key of", "ssh-keygen -R tower"),
        ("connect to host tower port 22: Connection timed out", "cannot be reached", "sshd"),
        ("", "cannot be reached", "sshd"),
    ],
)
def test_sshs_words_become_a_thing_to_do(text: str, what: str, fix: str) -> None:
    error = login.refused("anna@tower", text)
    assert what in error.what
    assert fix in error.fix
    assert text in error.why


def test_a_sealed_model_is_what_its_seal_says() -> None:
    seal = json.dumps({"config.json": 2, "model.safetensors": 1000})
    found = neighbour.parsed(said(CONFIG, MODEL, f"9 {GIT} README.md", seal=seal))
    assert found.sealed
    assert {file.path: file.digest for file in found.files} == {
        "config.json": f"git:{GIT}", "model.safetensors": f"sha256:{SHA}",
    }  # fmt: skip


@pytest.mark.parametrize(
    "seal", ["", "{", "[]", '{"config.json": 3}', '{"config.json": 2, "gone.json": 1}']
)
def test_a_seal_that_does_not_hold_is_none(seal: str) -> None:
    found = neighbour.parsed(said(CONFIG, MODEL, seal=seal))
    assert not found.sealed
    assert len(found.files) == 2


def test_a_file_without_a_digest_for_a_name_is_left_out() -> None:
    found = neighbour.parsed(said(CONFIG, "1000  my model.safetensors"))
    assert [file.path for file in found.files] == ["config.json"]


def test_an_order_says_where_each_file_comes_from(paths: Paths) -> None:
    tower = there(Output(0, said(CONFIG, MODEL)), "models")
    wanted = neighbour.order(tower, SOURCE, paths)
    assert (wanted.place.commit, wanted.revision, wanted.proven) == (COMMIT, "main", False)
    assert {item.url for item in wanted.items} == {f"anna@tower:{FOLDER}/blobs/"}
    ((*_, repo, revisions, first, second),) = tower.asked
    assert (repo, revisions) == ("models--acme--tiny", "v1 main")
    assert (first, second) == ("models", "models/hub")


@pytest.mark.parametrize(
    ("answer", "failure", "told"),
    [
        (Output(neighbour.NOT_THERE, ""), ModelUnavailable, "acme/tiny is not on anna@tower"),
        (Output(neighbour.NO_RSYNC, ""), HostNotReady, "rsync is missing on anna@tower"),
        (Output(255, "", "closed"), HostNotReady, "looking at anna@tower failed"),
        (Output(0, said(CONFIG)), ModelUnavailable, "is not complete on anna@tower"),
        (Output(0, said(MODEL)), ModelUnavailable, "is not complete on anna@tower"),
        (Output(0, said(CONFIG, "1 ../../etc model.safetensors")), ModelUnavailable, "checked"),
    ],
)
def test_what_cannot_be_copied_is_told_apart(
    paths: Paths, answer: Output, failure: type[Exception], told: str
) -> None:
    with pytest.raises(failure, match=told):
        neighbour.order(there(answer), SOURCE, paths)


class Rsync(Shell):
    """Instead of the program: puts files where it would, or fails."""

    def __init__(self, contents: dict[str, bytes], fails: str = "") -> None:
        super().__init__()
        self.contents = contents
        self.fails = fails

    def run(self, command: Command, on_line: object = None) -> None:
        del on_line
        target = Path(command.argv[-1])
        wanted = next(one for one in command.argv if one.startswith("--files-from="))
        for name in Path(wanted.partition("=")[2]).read_text().split():
            (target / name).write_bytes(self.contents[name])
        if self.fails:
            raise CommandFailed("failed", why=self.fails)


@pytest.fixture
def contents(tmp_path: Path) -> dict[str, bytes]:
    """The blobs of a model, by their names."""
    blobs = [
        link(tmp_path / "theirs", "config.json", b"{}"),
        link(tmp_path / "theirs", "model.safetensors", b"weights"),
    ]
    return {blob.name: blob.read_bytes() for blob in blobs}


def ordered(contents: dict[str, bytes], paths: Paths) -> Order:
    names = ("config.json", "model.safetensors")
    files = [
        f"{len(content)} {blob} {path}"
        for path, (blob, content) in zip(names, contents.items(), strict=True)
    ]
    seal = json.dumps({"config.json": 2, "model.safetensors": 7})
    return neighbour.order(there(Output(0, said(*files, seal=seal))), SOURCE, paths)


def test_a_copy_is_verified_linked_and_sealed(contents: dict[str, bytes], paths: Paths) -> None:
    tower = there(Output(0, ""), shell=Rsync(contents))
    wanted = ordered(contents, paths)
    place = copying.copy(tower, wanted, lambda _: None)
    assert (place / "model.safetensors").read_bytes() == b"weights"
    assert cache.sealed(place)
    assert not (wanted.place.repo / ".coming").exists()


def test_a_wrong_file_is_named_and_nothing_is_linked(
    contents: dict[str, bytes], paths: Paths
) -> None:
    *_, weights = contents
    tower = there(Output(0, ""), shell=Rsync({**contents, weights: b"WEIGHTS"}))
    wanted = ordered(contents, paths)
    with pytest.raises(ModelUnavailable, match=r"1 of 2 files .* model\.safetensors"):
        copying.copy(tower, wanted, lambda _: None)
    assert not wanted.place.snapshot.exists()
    assert (wanted.place.blobs / f"{weights}.corrupt").read_bytes() == b"WEIGHTS"


@pytest.mark.parametrize(
    ("why", "failure", "told"),
    [
        ("write failed: No space left on device (28)", ModelUnavailable, "no room left"),
        ("client_loop: send disconnect: Broken pipe", HostNotReady, "from anna@tower broke off"),
    ],
)
def test_a_copy_that_breaks_off_keeps_what_came(
    contents: dict[str, bytes], paths: Paths, why: str, failure: type[Exception], told: str
) -> None:
    tower = there(Output(0, ""), shell=Rsync(contents, fails=why))
    wanted = ordered(contents, paths)
    with pytest.raises(failure, match=told):
        copying.copy(tower, wanted, lambda _: None)
    assert not wanted.place.snapshot.exists()
    assert {one.name for one in (wanted.place.repo / ".coming").iterdir()} > set(contents)


def test_the_command_can_be_pasted(contents: dict[str, bytes], paths: Paths) -> None:
    tower = there(Output(0, ""))
    shown = shlex.split(str(copying.command(tower, ordered(contents, paths))))
    assert shown[0] == "rsync"
    assert "--append-verify" in shown
    assert shown[-2] == f"anna@tower:{FOLDER}/blobs/"
