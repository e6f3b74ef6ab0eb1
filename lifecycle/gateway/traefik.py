"""Traefik's static configuration: what takes a new start to change.

https://doc.traefik.io/traefik/v3.7/reference/install-configuration/configuration-options/
"""

import json

from lifecycle import tables
from lifecycle.gateway.files import ERRORS

MODULE = "lifecycle/door"
LOOPBACK = "127.0.0.1"
KEPT = (
    "StartUTC", "Duration", "ClientHost", "RequestMethod", "RequestPath", "RequestContentSize",
    "ServiceName", "DownstreamStatus", "DownstreamContentSize",
)  # fmt: skip
"""What the access log says of a request, beside what the door adds."""
TOLD = ("Gateway-Key", "Gateway-Model", "Gateway-First-Byte-Ms")
"""Headers that the door sets once the answer is out: for the log alone."""


def ports(port: int) -> tuple[int, int, int]:
    """All it takes: where clients come in; for looking only; and where the door leads clients."""
    return port, port + 1, port + 2


def front(port: int, address: str = LOOPBACK) -> str:
    """Where the door lets clients in, and where it leads them: JSON.

    Args:
        address: 127.0.0.1, or this machine's on the tailnet.
    """
    inside = f"{LOOPBACK}:{ports(port)[2]}"
    return json.dumps({"outside": f"{address}:{port}", "inside": inside}) + "\n"


def text(port: int, runtime: str = "venv") -> str:
    """The whole file: JSON, which is YAML, too.

    Args:
        port: where clients come in; the two above it are the gateway's own, on 127.0.0.1.
        runtime: where it runs; that says who keeps the access log.
    """
    limits = tables.gateway.limits()
    _, looking, inside = ports(port)
    front = {
        "address": f"{LOOPBACK}:{inside}",
        # The door says in front of each connection who it is from.
        "proxyProtocol": {"trustedIPs": [LOOPBACK]},
        "http": {
            # The door compares addresses as they were sent.
            "sanitizePath": False,
            # No X_Gateway_Route for X-Gateway-Route.
            "aliasHeadersStrategy": "delete",
            "maxHeaderBytes": limits.header_bytes,
        },
        "transport": {
            "respondingTimeouts": {
                "readTimeout": f"{limits.read_seconds}s",
                "writeTimeout": "0s",  # an answer may take as long as it takes
                "idleTimeout": f"{limits.idle_seconds}s",
            },
            "lifeCycle": {"graceTimeOut": f"{limits.grace_seconds}s"},
        },
    }
    internal = {
        "address": f"{LOOPBACK}:{looking}",
        "http": {"aliasHeadersStrategy": "delete"},
    }
    whole = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {
            "level": "WARN", "format": "json", "filePath": ERRORS, "maxSize": 10, "maxBackups": 3,
        },
        "providers": {
            "providersThrottleDuration": "100ms",
            "file": {"directory": "routes", "watch": True},
        },
        "entryPoints": {"front": front, "internal": internal},
        "ping": {"entryPoint": "internal"},
        "metrics": {
            "prometheus": {
                "entryPoint": "internal", "addServicesLabels": True, "addRoutersLabels": True,
            }
        },
        "accessLog": _access_log(runtime),
        "experimental": {"localPlugins": {"door": {"moduleName": MODULE}}},
    }  # fmt: skip
    return json.dumps(whole, indent=1) + "\n"


def listens(written: str) -> tuple[str, int]:
    """Where clients come in by a file that was written; "" and 0 when it does not say."""
    try:
        whole = json.loads(written)
        # The second is of a gateway that was started before the door opened the port.
        outside = whole.get("outside") or whole["entryPoints"]["front"]["address"]
        address, _, port = outside.rpartition(":")
        return address, int(port)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", 0


def _access_log(runtime: str) -> dict[str, object]:
    # supervisord or Docker keeps it, and turns it over when it is large: Traefik does not. Docker
    # gets it from the standard output, which a container may not open by a name.
    kept = {"filePath": "/dev/stderr"} if runtime == "venv" else {}
    return {
        **kept,
        "format": "json",
        "fields": {
            "defaultMode": "drop",
            "names": dict.fromkeys(KEPT, "keep"),
            # A question mark may be followed by a key.
            "queryParameters": {"defaultMode": "drop"},
            "headers": {"defaultMode": "drop", "names": dict.fromkeys(TOLD, "keep")},
        },
    }
