"""Everything a person sees: plans at work, tables, errors. Only this package imports rich."""

from lifecycle.report.answers import answers, answers_data
from lifecycle.report.downloads import Downloads, fetched, order
from lifecycle.report.exposure import Listening, clients, exposed, how_to
from lifecycle.report.fitting import models, plan
from lifecycle.report.gateway import gateway, gateway_address, gateway_data, shortened
from lifecycle.report.layers import Layers, so_far
from lifecycle.report.machine import checkup
from lifecycle.report.progress import Progress
from lifecycle.report.serving import endpoint, memory, servers, settings, visible
from lifecycle.report.terminal import document, duration, failure, line, megabytes, note
from lifecycle.report.tuning import trials

__all__ = [
    "Downloads",
    "Layers",
    "Listening",
    "Progress",
    "answers",
    "answers_data",
    "checkup",
    "clients",
    "document",
    "duration",
    "endpoint",
    "exposed",
    "failure",
    "fetched",
    "gateway",
    "gateway_address",
    "gateway_data",
    "how_to",
    "line",
    "megabytes",
    "memory",
    "models",
    "note",
    "order",
    "plan",
    "servers",
    "settings",
    "shortened",
    "so_far",
    "trials",
    "visible",
]
