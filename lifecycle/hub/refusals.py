"""Why the hub refused, told apart, each with the thing to do.

The hub says it in two headers, X-Error-Code and X-Error-Message. A repo that is missing and one
that is private look alike on purpose. https://huggingface.co/docs/hub/models-gated
"""

from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote

from lifecycle.env_file import nearest
from lifecycle.errors import LifecycleError, ModelUnavailable
from lifecycle.hub.repo import ENDPOINT
from lifecycle.hub.token import Token

TOKENS = f"{ENDPOINT}/settings/tokens"
AGAIN = "then run the same command again."


@dataclass(frozen=True)
class Refusal:
    """What the hub answered: status, X-Error-Code, X-Error-Message."""

    status: int
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class Asked:
    """What was asked for, and how.

    Args:
        path: the file; "" when it was about the whole repo.
        token: the one that was sent.
        withheld: why a token that is there was not sent; "" when it was.
        known: names to compare a wrong one with.
    """

    repo: str
    revision: str = "main"
    path: str = ""
    token: Token = field(default_factory=Token)
    withheld: str = ""
    known: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """Where a person opens the repo: licences are accepted at the hub, not at a mirror."""
        return f"{ENDPOINT}/{self.repo}"


def explain(refusal: Refusal, asked: Asked) -> LifecycleError:
    """The failure to raise for a refusal that waiting does not mend."""
    if "disabled" in refusal.message:
        return ModelUnavailable(
            f"the hub has disabled {asked.repo}", why=refusal.message, fix=_another(asked)
        )
    match refusal.status:
        case HTTPStatus.UNAUTHORIZED:
            return _unauthorized(refusal, asked)
        case HTTPStatus.FORBIDDEN:
            return _forbidden(refusal, asked)
        case HTTPStatus.NOT_FOUND:
            return _not_found(refusal, asked)
        case _:
            return _other(refusal, asked)


def _unauthorized(refusal: Refusal, asked: Asked) -> LifecycleError:
    if asked.token:
        return _bad_token(refusal, asked)
    return _no_token(asked) if refusal.code == "GatedRepo" else _missing(asked)


def _not_found(refusal: Refusal, asked: Asked) -> LifecycleError:
    if refusal.code == "RevisionNotFound":
        return _no_revision(asked)
    if refusal.code == "EntryNotFound" and asked.path:
        return ModelUnavailable(
            f"{asked.repo} has no {asked.path}",
            why=f"at revision {asked.revision}", fix=f"Look at {asked.page}/tree/main.",
        )  # fmt: skip
    return _missing(asked)


def _other(refusal: Refusal, asked: Asked) -> LifecycleError:
    return ModelUnavailable(
        f"the hub refuses {asked.path or asked.repo} with HTTP {refusal.status}",
        why=refusal.message,
        fix=f"Look at {asked.page}.",
    )


def _no_token(asked: Asked) -> LifecycleError:
    first = f"Open {asked.page}, log in and accept its licence."
    return ModelUnavailable(
        f"{asked.repo} is gated, and no token was sent",
        why=asked.withheld or "its files go only to accounts that accepted its licence",
        fix=f"{first}\nMake a token with the right to read: {TOKENS}\n"
        f"Write it to .env as HF_TOKEN=…, {AGAIN}",
    )


def _bad_token(refusal: Refusal, asked: Asked) -> LifecycleError:
    return ModelUnavailable(
        f"the hub does not accept the token from {asked.token.source}",
        why=f"it is mistyped, expired or revoked ({refusal.message or 'HTTP 401'})",
        fix=f"Make a new one: {TOKENS}\nWrite it to .env as HF_TOKEN=…, {AGAIN}",
    )


def _forbidden(refusal: Refusal, asked: Asked) -> LifecycleError:
    source, said = asked.token.source, refusal.message.lower()
    if "fine-grained" in said or "public gated repositories" in said:
        return ModelUnavailable(
            f"the token from {source} may not read gated repositories",
            why="it is a fine-grained token without that right",
            fix=f"Edit it: {TOKENS}\nTick “Read access to contents of all public gated repos you "
            f"can access”, {AGAIN}",
        )
    if "awaiting a review" in said:
        return ModelUnavailable(
            f"the request to read {asked.repo} is under review",
            why=refusal.message, fix=f"Wait for its authors ({asked.page} tells), {AGAIN}",
        )  # fmt: skip
    if "rejected" in said:
        return ModelUnavailable(
            f"the request to read {asked.repo} was rejected",
            why=refusal.message, fix=_another(asked),
        )  # fmt: skip
    if refusal.code == "GatedRepo":
        return ModelUnavailable(
            f"the licence of {asked.repo} is not accepted yet",
            why=f"the token from {source} is good; its account is not among those that may read",
            fix=f"Open {asked.page} with the account of that token, accept the licence, {AGAIN}",
        )
    return ModelUnavailable(
        f"the token from {source} may not read {asked.repo}" if source
        else f"the hub does not let us read {asked.repo}",
        why=refusal.message or "HTTP 403", fix=f"Give it the right to read: {TOKENS}",
    )  # fmt: skip


def _missing(asked: Asked) -> LifecycleError:
    if asked.token:
        seen, private = "", "or is private and not of the token's account"
    else:
        seen, private = " for us to see", "or is private, and no token was sent"
    near = nearest(asked.repo, asked.known, "Did you mean {}?\n")
    search = quote(asked.repo.rsplit("/", 1)[-1])
    return ModelUnavailable(
        f"there is no {asked.repo} on the hub{seen}",
        why=f"it is misspelled, was removed, {private}"
        + (f"\n{asked.withheld}" if asked.withheld else ""),
        fix=f"{near}Look for it: {ENDPOINT}/models?search={search}\n"
        "If it is private, write HF_TOKEN=… of its owner to .env.",
    )


def _no_revision(asked: Asked) -> LifecycleError:
    return ModelUnavailable(
        f"{asked.repo} has no revision {asked.revision}",
        why="it is neither a branch, nor a tag, nor a commit of it",
        fix=f"Choose one: {asked.page}/commits/main; or leave --revision out.",
    )


def _another(asked: Asked) -> str:
    return nearest(asked.repo, asked.known, "Take {} or another model.") or "Take another model."
