"""Starts one server and leaves no process behind, whichever of them dies first.

Run by supervisord with the engine's Python; standard library only, since the checkout may be
gone by the time of a restart. usage: guard.py FOLDER COMMAND...

Our own, because no kept tool does all three: die when supervisord dies, take the server along,
and remove a vLLM engine process whose API server was killed (it keeps all its memory otherwise).
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1  # https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
STARTS, SESSION = "starts", "session"


def main(folder: Path, command: list[str]) -> int:
    """Run the command until it ends or we are asked to stop; returns its exit code."""
    die_with_parent(signal.SIGTERM)
    sweep()
    number = count(folder / STARTS)
    (folder / SESSION).write_text(session())
    print(f"=== start {number} at {time.strftime('%Y-%m-%d %H:%M:%S')} ===", flush=True)
    server = subprocess.Popen(
        command,
        env=with_own_programs(os.environ),
        preexec_fn=lambda: die_with_parent(signal.SIGKILL),
    )
    asked: list[int] = []

    def stop(signum: int, _frame: object) -> None:
        asked.append(signum)
        server.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    code = server.wait()
    sweep()
    print(f"=== end: exit {code} ===", flush=True)
    return 0 if asked else code if code >= 0 else 128 - code


def with_own_programs(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with the engine's programs first on its PATH.

    What compiles for the card at the start (FlashInfer, DeepGEMM) calls `ninja` by its name:
    https://github.com/flashinfer-ai/flashinfer/blob/main/flashinfer/jit/cpp_ext.py
    """
    # Not resolved: the engine's Python is a link to the one it was made with.
    own = str(Path(sys.executable).parent)
    return {**environ, "PATH": os.pathsep.join(filter(None, (own, environ.get("PATH", ""))))}


def die_with_parent(signum: int) -> None:
    """Have the kernel send us a signal when our parent dies."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signum)


def count(starts: Path) -> int:
    """Number this start, so that a restart can be told from a first one."""
    try:
        number = int(starts.read_text()) + 1
    except (OSError, ValueError):
        number = 1
    starts.write_text(str(number))
    return number


def session() -> str:
    """Our session (supervisord leads it) and the tick of its leader's start, which tells a
    later process of the same number apart.
    """
    leader = os.getsid(0)
    stat = Path(f"/proc/{leader}/stat").read_text()
    return f"{leader} {stat.rpartition(')')[2].split()[19]}"


def sweep() -> None:
    """End every process of our session but ourselves and supervisord.

    The session is what a process cannot lose by outliving its parent. (Its environment would
    not do: vLLM's engine process overwrites that with its title.)
    """
    spared = {os.getpid(), os.getppid(), os.getsid(0)}
    for _ in range(50):
        left = [pid for pid in processes() if pid not in spared]
        if not left:
            return
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def processes() -> list[int]:
    """Living processes of our session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            ended = ") Z " in (folder / "stat").read_text()
            if os.getsid(int(folder.name)) == os.getsid(0) and not ended:
                found.append(int(folder.name))
    return found


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
