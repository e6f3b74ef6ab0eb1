"""`inv doctor`: what this machine is, what it lacks, and the next step."""

import getpass
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from invoke import Context

from lifecycle.cmd.command import GPU_OR_BEST_HELP, command

if TYPE_CHECKING:
    from lifecycle.cmd.examine import Examination
    from lifecycle.machine import Here
    from lifecycle.steps.findings import Finding


@command(help={
    "gpu": GPU_OR_BEST_HELP,
    "all": "also show what is as it should be",
    "json": "print JSON for programs",
    "record": "also write what was read into this folder, without names, serials and tokens",
    "replay": "look at the machine recorded in this folder instead of this one",
})  # fmt: skip
def doctor(  # noqa: PLR0913 - each is an option of the command
    context: Context,
    gpu: str = "auto",
    record: str = "",
    replay: str = "",
    *,
    all_: bool = False,
    json: bool = False,
) -> None:
    """Look at this machine: what is there, what is missing, and the exact next step."""
    del context
    from lifecycle import recording, report
    from lifecycle.cmd.examine import examine
    from lifecycle.errors import ConfigError
    from lifecycle.machine import HURRY, Here, Replay
    from lifecycle.shell import Shell

    if record and replay:
        raise ConfigError("--record and --replay exclude each other", fix="Take one of them.")
    here = Here(Shell(), HURRY)
    machine = Replay(recording.read(Path(replay))) if replay else here
    seen = examine(gpu, machine, HURRY)
    if record:
        _record(here, Path(record), seen.host.windows.home)
    if json:
        report.document(_as_data(seen))
    else:
        report.checkup(
            seen.backend, seen.host, seen.found, startable=seen.startable, everything=all_
        )
    if not seen.ready:
        _refuse(seen.found)


def _record(here: "Here", folder: Path, windows_home: str) -> None:
    from lifecycle import recording, report
    from lifecycle.cmd import choose
    from lifecycle.shell import Shell
    from lifecycle.step import WriteFile

    day = datetime.now(tz=UTC).date().isoformat()
    account = windows_home.replace("\\", "/").rpartition("/")[2]
    host = platform.node()
    private = (getpass.getuser(), account, host, host.partition(".")[0])
    names = [name for name in private if name not in recording.COMMON]
    text = recording.dump(here.recorded(), f"recorded {day} by inv doctor --record", names)
    # Where somebody keeps his projects, and what he calls them, is nobody's business.
    text = text.replace(recording.scrub(str(choose.places().root), names), "/checkout")
    Shell().write(WriteFile(folder / recording.FILE, text))
    report.note(
        f"written: {folder / recording.FILE}. Names, serials, addresses and tokens were taken out; "
        "read it before you send it."
    )


def _refuse(found: list["Finding"]) -> None:
    from lifecycle.errors import HostNotReady
    from lifecycle.steps.findings import PERSON, UNREAD

    todo = [one for one in found if one.state == PERSON]
    late = [one for one in found if one.state == UNREAD]
    first, *more = todo or late
    count = f"{len(more) + 1} things" if more else "one thing"
    what = f"{count} need{'' if more else 's'} you" if todo else f"{count} could not be asked"
    raise HostNotReady(f"{what}: {first.name}", why=first.detail, fix=first.fix)


def _as_data(seen: "Examination") -> dict[str, object]:
    import dataclasses

    from lifecycle.machine import plain

    machine = plain(dataclasses.replace(seen.host, api_key=""))
    machine.pop("api_key")
    return {
        "backend": seen.backend.name,
        "gpu": seen.backend.gpu,
        "runtime": seen.backend.runtime,
        "startable": seen.startable,
        "ready": seen.ready,
        "steps": [dataclasses.asdict(one) for one in seen.found],
        "unread": seen.host.unread,
        "machine": machine,
    }
