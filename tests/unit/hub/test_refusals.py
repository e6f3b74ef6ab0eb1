"""Each refusal of the hub has a name, a reason, and a thing to do."""

import pytest

from lifecycle.errors import LifecycleError, ModelUnavailable
from lifecycle.hub.refusals import Asked, Refusal, explain
from lifecycle.hub.token import Token

REPO = "meta-llama/Llama-3.1-8B-Instruct"
PAGE = f"https://huggingface.co/{REPO}"
TOKENS = "https://huggingface.co/settings/tokens"
SECRET = "hf_distinctive9Xw2"
TOKEN = Token(SECRET, ".env:3")
GATED = f"Access to model {REPO} is restricted. You must have access to it and be authenticated"
NOT_LISTED = f"Access to model {REPO} is restricted and you are not in the authorized list."
PENDING = f"Your request to access model {REPO} is awaiting a review from the repo authors."
REJECTED = f"Your request to access model {REPO} has been rejected by the repo's authors."
FINE = (
    "Please enable access to public gated repositories in your fine-grained token settings to "
    "view this repository."
)
INVALID = "Invalid credentials in Authorization header"

CASES = {
    "no token": (Refusal(401, "GatedRepo", GATED), None, "is gated, and no token", PAGE),
    "invalid token": (Refusal(401, "", INVALID), TOKEN, "does not accept the token", TOKENS),
    "licence": (Refusal(403, "GatedRepo", NOT_LISTED), TOKEN, "licence", PAGE),
    "under review": (Refusal(403, "GatedRepo", PENDING), TOKEN, "under review", PAGE),
    "rejected": (Refusal(403, "GatedRepo", REJECTED), TOKEN, "was rejected", "another model"),
    "fine-grained": (Refusal(403, "", FINE), TOKEN, "may not read gated", "Read access to"),
    "forbidden": (Refusal(403, "", "no"), TOKEN, "may not read", TOKENS),
    "missing, anonymous": (
        Refusal(401, "", "Invalid username or password."), None, "for us to see", "HF_TOKEN",
    ),
    "missing, known": (Refusal(404, "RepoNotFound", ""), TOKEN, "there is no", "search=Llama"),
    "missing, no code": (Refusal(404, "", ""), None, "there is no", "search=Llama"),
    "revision": (Refusal(404, "RevisionNotFound", ""), None, "no revision v9", "--revision"),
    "file": (Refusal(404, "EntryNotFound", ""), None, "has no config.json", PAGE),
    "disabled": (
        Refusal(403, "", "Access to this resource is disabled."), None, "disabled", "another",
    ),
    "teapot": (Refusal(418, "", "short and stout"), None, "HTTP 418", PAGE),
}  # fmt: skip


def failure(refusal: Refusal, token: Token | None, *known: str) -> LifecycleError:
    return explain(refusal, Asked(REPO, "v9", "config.json", token or Token(), known=known))


@pytest.mark.parametrize("case", CASES)
def test_it_is_told_apart(case: str) -> None:
    refusal, token, what, fix = CASES[case]
    found = failure(refusal, token)
    assert isinstance(found, ModelUnavailable)
    assert what in found.what
    assert fix in found.fix
    assert SECRET not in f"{found.what}{found.why}{found.fix}"


def test_no_two_are_told_alike() -> None:
    told = {failure(*CASES[case][:2]).what for case in CASES if not case.startswith("missing")}
    assert len(told) == len(CASES) - 3


@pytest.mark.parametrize("case", ["invalid token", "licence", "fine-grained"])
def test_where_the_token_came_from_is_said(case: str) -> None:
    found = failure(*CASES[case][:2])
    assert ".env:3" in f"{found.what} {found.why}"


def test_the_nearest_name_is_told() -> None:
    near = "meta-llama/Llama-3.1-8B-Instruct-AWQ"
    found = failure(Refusal(404, "RepoNotFound"), TOKEN, "Qwen/Qwen3-8B", near)
    assert f"Did you mean {near}?" in found.fix


def test_a_token_that_was_not_sent_is_explained() -> None:
    asked = Asked(REPO, withheld="the token from .env:3 is not sent over plain http")
    assert "plain http" in explain(Refusal(401, "GatedRepo"), asked).why
    assert "plain http" in explain(Refusal(401), asked).why
