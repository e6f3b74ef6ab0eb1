"""Waiting for the hub: as long as it asks, and no longer than a person would."""

import os
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus

import httpx2
from huggingface_hub.utils import parse_ratelimit_headers

from lifecycle.errors import HostNotReady, LifecycleError

PAUSES = (1.0, 2.0, 4.0)
"""Seconds before each new attempt after an error that may pass."""
PATIENCE = 900.0
"""Seconds in all that are waited because the hub asks for it; its windows are of 300."""
RATE_WINDOW = 60.0
"""Seconds to wait when the hub limits and does not say how long."""
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
LATER = "Run the same command again later; what was fetched is kept."


class Waiting:
    """What one question has waited for so far."""

    def __init__(self, endpoint: str, tell: Callable[[str], None]) -> None:
        self._endpoint = endpoint
        self._tell = tell
        self._pauses = iter(PAUSES)
        self._waited = 0.0

    def for_answer(self, status: int, headers: Mapping[str, str]) -> bool:
        """Wait where the hub limits or fails for now; False for an answer that stays.

        Raises:
            HostNotReady: it went on for too long.
        """
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            self._as_told(asked_to_wait(headers))
            return True
        if status != HTTPStatus.REQUEST_TIMEOUT and status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return False
        trouble = HostNotReady(
            f"{self._endpoint} answers HTTP {status}",
            why="the hub itself has a problem",
            fix=f"See https://status.huggingface.co. {LATER}",
        )
        self._pause(f"the hub answers HTTP {status}", trouble)
        return True

    def for_network(self, error: httpx2.TransportError) -> None:
        """Wait for a network that may come back.

        Raises:
            HostNotReady: it did not, or it is nothing that passes.
        """
        why = f"{type(error).__name__}: {error}"
        proxy = next((name for name in PROXIES if os.environ.get(name)), "")
        if isinstance(error, httpx2.ProxyError):
            raise HostNotReady(
                f"the proxy does not let us reach {self._endpoint}", why=why,
                fix=f"Check {proxy or 'HTTPS_PROXY'} (name, port, password), or unset it.",
            )  # fmt: skip
        if isinstance(error, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError):
            raise HostNotReady(
                f"{self._endpoint} is no address of a hub",
                fix="Write HF_ENDPOINT like https://huggingface.co.",
            )
        if "CERTIFICATE_VERIFY_FAILED" in why:
            raise HostNotReady(
                f"the certificate of {self._endpoint} is not trusted", why=why,
                fix="Behind a company's proxy: set SSL_CERT_FILE to its certificates.",
            )  # fmt: skip
        through = f" The proxy in {proxy} is used." if proxy else ""
        trouble = HostNotReady(
            f"cannot reach {self._endpoint}", why=why,
            fix=f"Check the network.{through} {LATER}",
        )  # fmt: skip
        self._pause("the hub cannot be reached", trouble)

    def _as_told(self, seconds: float) -> None:
        if self._waited + seconds > PATIENCE:
            raise HostNotReady(
                f"the hub limits requests and asks to wait {seconds:.0f} s",
                why="too many came from this address or token",
                fix="Run the same command again after that time. With a token the limit is higher.",
            )
        self._tell(f"the hub limits requests: waiting {seconds:.0f} s, as it asks")
        self._sleep(seconds)

    def _pause(self, what: str, trouble: LifecycleError) -> None:
        seconds = next(self._pauses, None)
        if seconds is None:
            raise trouble
        self._tell(f"{what}: again in {seconds:.0f} s")
        self._sleep(seconds)

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)
        self._waited += seconds


def asked_to_wait(headers: Mapping[str, str]) -> float:
    """Seconds that a 429 asks for: Retry-After, else the hub's own RateLimit header.

    https://huggingface.co/docs/hub/rate-limits
    """
    asked = {name.lower(): value for name, value in headers.items()}.get("retry-after", "")
    if asked.strip().isdigit():
        return max(1.0, float(asked))
    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0:
        return float(limit.reset_in_seconds) + 1
    return RATE_WINDOW
