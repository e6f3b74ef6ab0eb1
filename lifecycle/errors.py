"""Every intended failure and its exit code. A failure that is not here is a bug (exit 1).

A message answers three questions: what happened, why, and what to type next. Credentials in
addresses are hidden in all three, wherever the text came from.
"""

from lifecycle.redact import without_credentials

INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as every shell expects."""
READER_GONE = 141
"""Exit code when nobody reads the output any more (`| head`): 128 + SIGPIPE, as in a shell."""


class LifecycleError(Exception):
    """The base of all intended failures.

    Args:
        what: what happened, in one line.
        why: what is known about the cause; may have several lines.
        fix: what to type or do next.

    Attributes:
        log: the file with all that the command did; "" when there is none.
    """

    exit_code = 1
    log = ""

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        self.what = without_credentials(what)
        self.why = without_credentials(why)
        self.fix = without_credentials(fix)
        super().__init__(self.what)


class ConfigError(LifecycleError):
    """An env file or an argument is wrong."""

    exit_code = 2


class HostNotReady(LifecycleError):
    """A person must act before this can go on."""

    exit_code = 3


class RestartNeeded(LifecycleError):
    """All done so far; after a restart, run the same command again."""

    exit_code = 4


class CommandFailed(LifecycleError):
    """A command failed; it is shown so that it can be pasted."""

    exit_code = 5


class StepFailed(LifecycleError):
    """The commands of a step succeeded, the state they should bring did not follow."""

    exit_code = 6


class NotSupported(LifecycleError):
    """There is no row in the tables for this card, runtime or system."""

    exit_code = 7


class ServerUnhealthy(LifecycleError):
    """The server does not answer as it should."""

    exit_code = 8


class ServerDied(ServerUnhealthy):
    """The server ended while it was starting."""


class ModelUnavailable(LifecycleError):
    """The model is missing, gated, broken, or has no room."""

    exit_code = 9


class UnknownKind(ModelUnavailable):
    """The model may be good, and the planner does not know its kind."""


class OutputLost(LifecycleError):
    """The output could not be written, e.g. to a full disk."""

    exit_code = 10
