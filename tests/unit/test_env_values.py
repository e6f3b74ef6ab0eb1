"""Values that cannot be used are refused where they stand, with what to write instead."""

import sys

import pytest

from lifecycle.errors import ConfigError
from lifecycle.keys import KEYS
from lifecycle.redact import without_credentials
from tests.unit.given import Checkout
from tests.unit.test_env_errors import everything, mistake

SECRET = "sk-distinctive-4Hn"


@pytest.fixture(autouse=True)
def on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (f"\u201c{SECRET}\u201d", "holds typographic quotes"),
        (f"{SECRET}密码123", "holds characters beyond ASCII"),
        (f"{SECRET}é", "holds characters beyond ASCII"),
        (f"{SECRET}☃", "holds characters beyond ASCII"),
        (f"{SECRET}\u200b", "holds characters beyond ASCII"),
    ],
)
@pytest.mark.parametrize("pattern", ["VLLM_API_KEY={}", "REMOTE_KEYS=4090=sk-good,cpu={}"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(
    checkout: Checkout, pattern: str, key: str, problem: str
) -> None:
    name, _, value = pattern.format(key).partition("=")
    for error, source in (
        (mistake(checkout, **{name: value}), "process environment"),
        (mistake(checkout.secrets(f"# mine\n{name}={value}\n")), ".env:2"),
    ):
        assert error.what == f"{source}: {name}=…: {problem}"
        assert SECRET not in everything(error)
        assert error.exit_code == 2


@pytest.mark.parametrize(
    "key", [f"{SECRET} {SECRET}", f"{SECRET}\t1", f"\x7f{SECRET}", f"a\x1b{SECRET}"]
)
def test_a_key_with_white_space_within_is_refused(checkout: Checkout, key: str) -> None:
    error = mistake(checkout, VLLM_API_KEY=key)
    assert error.what.endswith("VLLM_API_KEY=…: holds spaces or control characters")
    assert SECRET not in everything(error)


@pytest.mark.parametrize("ending", ["\r", " ", "\r\n", "\xa0"])
def test_white_space_around_a_key_is_no_part_of_it(checkout: Checkout, ending: str) -> None:
    """A file with Windows' line ends that a shell has sourced; a blank within the quotes."""
    assert checkout.load(VLLM_API_KEY=f"{SECRET}{ending}").api_key == SECRET
    checkout.secrets(f'VLLM_API_KEY="{SECRET} "\n')
    assert checkout.load().api_key == SECRET


def test_a_key_of_white_space_alone_is_none(checkout: Checkout) -> None:
    assert checkout.secrets('VLLM_API_KEY=" "\n').load(VLLM_API_KEY=" ").api_key == ""


@pytest.mark.parametrize(
    ("written", "here"),
    [
        (r"C:\models\hf", "/mnt/c/models/hf"),
        ("D:/models", "/mnt/d/models"),
        ("c:", "/mnt/c"),
        (r'"C:\new\table"', "/mnt/c/new/table"),
        (r"'C:\Users\Me and You\models'", "/mnt/c/Users/Me and You/models"),
        (r"\\wsl.localhost\Ubuntu-24.04\home\me\models", "/home/me/models"),
        (r"\\wsl$\Ubuntu\data", "/data"),
        ("//wsl.localhost/Ubuntu/data", "/data"),
        (r"\\server\share\models", "(a share: mount it first)"),
    ],
)
@pytest.mark.parametrize("key", ["MODELS_DIR", "LIFECYCLE_HOME", "CHAT_TEMPLATE", "MODEL"])
def test_a_path_of_windows_is_refused_with_what_it_is_called_here(
    checkout: Checkout, key: str, written: str, here: str
) -> None:
    error = mistake(checkout.secrets(f"{key}={written}\n"))
    assert error.what.startswith(f".env:1: {key}=")
    assert error.what.endswith(": is a path of Windows, and this is Linux")
    assert here in error.why
    assert "read slowly" in error.why
    assert error.fix.startswith("Take a folder of Linux, such as ~/models")
    assert not any(sign in everything(error) for sign in "\t\r$") or "$" in written
    assert "\n" not in error.what


def test_on_windows_itself_its_paths_are_fine(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert checkout.secrets("MODELS_DIR=C:\\models\n").load().get("MODELS_DIR") == r"C:\models"


@pytest.mark.parametrize(
    ("value", "problem", "instead"),
    [
        ("file:///data/models", "is an address, not a path", "Write /data/models"),
        ("file://localhost/data", "is an address, not a path", "Write /data"),
        (
            "https://huggingface.co/org/name/tree/main",
            "is an address, not a path",
            "Write org/name",
        ),
        ("https://example.org/a", "is an address, not a path", "a name or a path"),
        ("~somebody/models", "begins with the home of an account", "~/…"),
        (r"models\hf", "has \\ where a path of Linux has /", "Write models/hf"),
        (r"%USERPROFILE%\models", "has \\ where a path of Linux has /", "Write %USERPROFILE%/"),
    ],
)
@pytest.mark.parametrize("key", ["MODELS_DIR", "LIFECYCLE_HOME", "CHAT_TEMPLATE", "MODEL"])
def test_what_is_no_path_of_this_account_is_refused(
    checkout: Checkout, key: str, value: str, problem: str, instead: str
) -> None:
    error = mistake(checkout.secrets(f"{key}={value}\n"))
    assert f"{key}={value}: {problem}" in error.what
    assert instead in error.fix


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ('"a\\tb$"', r"MODEL=a\tb$: "),
        ('"a\\nb"', r"MODEL=a\nb: "),
        ("a\u200bb", r"MODEL=a\u200bb: holds a character that cannot be seen (U+200B)"),
        ("a\u202eb", r"MODEL=a\u202eb: holds a character that cannot be seen (U+202E)"),
        ("a\xa0b", r"MODEL=a\xa0b: holds a character that cannot be seen (U+00A0)"),
        ("\u201corg/name\u201d", ": begins with \u201c, which is no quote"),
        ("\u2018org/name\u2019", ": begins with \u2018, which is no quote"),
    ],
)
def test_a_refusal_shows_what_nobody_sees(checkout: Checkout, value: str, shown: str) -> None:
    error = mistake(checkout.env("cpu", f"GPU=cpu\nPORT=8000\nMODEL={value}\n"))
    assert shown in error.what
    assert error.what.isprintable()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("PORT=\uff18\uff10\uff10\uff10", r"PORT=\uff18\uff10\uff10\uff10: must be a whole number"),
        (f"PORT={'9' * 5000}", f"PORT={'9' * 120}…: must be a whole number from 1024"),
        ("PORT=8_000", "PORT=8_000: must be a whole number"),
        ("PORT='8000 '", "PORT=8000 : must be a whole number"),
        ("MAX_MODEL_LEN=32k", "MAX_MODEL_LEN=32k: must be a whole number"),
        ("KV_CACHE_GIB=4GiB", "KV_CACHE_GIB=4GiB: must be a number from 0.1"),
        ("KV_CACHE_GIB=1,5", "KV_CACHE_GIB=1,5: must be a number"),
        ("DTYPE=BF16", "DTYPE=BF16: must be one of"),
    ],
)
def test_a_number_is_of_plain_digits_without_a_unit(
    checkout: Checkout, line: str, problem: str
) -> None:
    assert problem in mistake(checkout.env("cpu", f"GPU=cpu\n{line}\n")).what


@pytest.mark.parametrize(
    "line",
    [
        "PORT=8000",
        "export PORT=8000",
        "  PORT = 8000  ",
        "PORT=8000 # why",
        "PORT='8000'",
        '\tPORT="8000"',
        "PORT=8000\r",
    ],
)
def test_a_line_may_be_written_in_many_ways(checkout: Checkout, line: str) -> None:
    text = f"\ufeffGPU=cpu\n{line}\nMODEL=m\n"
    assert checkout.env("cpu", text).load().port == 8000


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("0,0", "names card 0 twice"),
        ("0,1,0", "names card 0 twice"),
        ("0,,1", "has an empty place between its commas"),
        ("0,", "has an empty place between its commas"),
        (",", "has an empty place between its commas"),
        ("0, 1", "must be written like 0 or 0,1"),
        ("00", "must be written like 0 or 0,1"),
        ("-1", "must be written like 0 or 0,1"),
        ("all", "must be written like 0 or 0,1"),
        ("GPU-3f1c4b0e-1111-2222-3333-444455556666", "only numbers are taken"),
        ("MIG-3f1c4b0e-1111-2222-3333-444455556666", "only numbers are taken"),
        ("mig-1g.10gb", "only numbers are taken"),
    ],
)
def test_devices_are_numbers_each_once(checkout: Checkout, value: str, problem: str) -> None:
    checkout.env("x", f"GPU=cuda\nPORT=8001\nMODEL=m\nDEVICES={value}\n")
    with pytest.raises(ConfigError) as caught:
        checkout.load("x")
    assert caught.value.what.startswith(f"env/x.env:4: DEVICES={value}: ")
    assert problem in caught.value.what


@pytest.mark.parametrize(
    "revision",
    ["main", "v1.0+x", "refs/pr/1", "1.0.0+cu130.x", "feature/a_b", "größe", "a#b", "a%b", "@a"],
)
def test_a_revision_is_what_git_takes(revision: str) -> None:
    assert KEYS["REVISION"].check(revision) == ""


@pytest.mark.parametrize(
    "revision",
    ["..", "a..b", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[b", "a\\b", "/a", "a/", "a//b",
     "a.", ".a", "a/.b", "a.lock", "a.lock/b", "a@{1}", "@", "-x", "a\x7f"],
)  # fmt: skip
def test_a_revision_that_git_refuses_is_refused(revision: str) -> None:
    assert "as git takes it" in KEYS["REVISION"].check(revision)


def test_two_spellings_of_one_port_are_one_port(checkout: Checkout) -> None:
    error = mistake(checkout.env("other", "GPU=cuda\nPORT=08000\nMODEL=m\n"))
    assert error.what == "env/other.env:2: PORT=08000 is also in env/cpu.env:2"


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{SECRET}@hub.example.org",
        f"https://{SECRET}@hub.example.org/path",
        f"http://user:{SECRET}/x@hub.example.org",
        f"http://user:{SECRET}#@hub.example.org",
        f"http://user:{SECRET}@{SECRET}@hub.example.org",
    ],
)
@pytest.mark.parametrize(
    "key", ["HF_ENDPOINT", "ENDPOINT", "MODEL", "KV_CACHE_GIB", "GATEWAY_PORT"]
)
def test_a_password_in_an_address_is_not_repeated(checkout: Checkout, key: str, url: str) -> None:
    error = mistake(checkout, **{key: url})
    assert error.what.startswith(f"process environment: {key}=http")
    assert "://…@hub.example.org" in error.what
    assert SECRET not in everything(error)


@pytest.mark.parametrize(
    "text",
    [
        "http://host:8000/v1/x@y",
        "https://host/?mail=a@b",
        "git@github.com:a/b",
        "a:b@c",
        "http://a b@c",
    ],
)
def test_what_is_no_password_stays(text: str) -> None:
    assert without_credentials(text) == text


def test_a_password_is_hidden_in_every_failure() -> None:
    error = ConfigError(
        f"http://u:{SECRET}@h", why=f"ftp://{SECRET}@h/x", fix=f"a b://x:{SECRET}@y"
    )
    assert SECRET not in everything(error) + str(error)
    assert error.what == "http://…@h"


@pytest.mark.parametrize(
    "image",
    [
        "vllm/vllm-openai:v0.33.0",
        "ubuntu",
        "localhost:5000/a/b-c__d:T_1.x",
        "registry.example.org/vllm@sha256:" + "0" * 64,
        "me/vllm:1@sha256:" + "a" * 64,
        "sha256:0123456789ab",
        "rocm/vllm-dev:rocm7.2.1_navi_ubuntu24.04_py3.12_pytorch_2.9_vllm_0.14.0rc0",
    ],
)
def test_an_image_is_what_docker_takes(image: str) -> None:
    assert KEYS["IMAGE"].check(image) == KEYS["GATEWAY_IMAGE"].check(image) == ""


@pytest.mark.parametrize(
    "image", ["My/Image", "a b", "https://docker.io/a", "a:", "a@", "/a", "a//b", "a/", "a:-x", "é"]
)
def test_what_docker_takes_for_no_image_is_refused(checkout: Checkout, image: str) -> None:
    error = mistake(checkout, IMAGE=image)
    assert error.what == (
        f"process environment: IMAGE={image}: must be written like vllm/vllm-openai:v0.33.0"
    )


def test_a_value_with_windows_line_ends_is_told_so(checkout: Checkout) -> None:
    error = mistake(checkout, PORT="8000\r")
    assert error.what == r"process environment: PORT=8000\r: ends with a carriage return"
    assert "Windows line ends" in error.why
