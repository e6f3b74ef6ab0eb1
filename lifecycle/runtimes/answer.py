"""What a running server says of itself: its phase from the log, its models from the API."""

from lifecycle import http
from lifecycle.backend import Backend
from lifecycle.errors import ServerUnhealthy
from lifecycle.host import Launch
from lifecycle.runtimes import boot_log


def look(backend: Backend, started: Launch, log: str) -> tuple[str, tuple[str, ...], str]:
    """Phase, models and the last word on it. The API decides, the log only explains."""
    try:
        # Where it was started, which may not be where the next start would put it.
        port = started.settings.get("PORT", str(backend.port))
        models = http.models(f"http://127.0.0.1:{port}", backend.api_key)
    except ServerUnhealthy as error:
        return "unanswering", (), f"{error.what}: {error.why}"
    if models is not None:
        return "ready", models, ""
    phase = boot_log.phase(log)
    if phase == "ready":
        return "unanswering", (), "its log says it is ready, but it does not answer"
    return phase, (), boot_log.last_line(log)
