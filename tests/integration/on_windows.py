"""Runs an Invoke command in a Python that is as much like Windows' as one on Linux can be.

    python on_windows.py <checkout> <task> [arguments]

What is pretended: the platform's name, and that POSIX's modules and functions are absent. What is
not: paths (pathlib refuses to make Windows' on Linux), processes, the console. The standard library
is loaded before, as its own choice of modules is not under test; and so is filelock, whose other
half calls Windows' kernel.
"""

import ctypes
import importlib
import os
import platform
import runpy
import signal
import sys
import sysconfig
import types
from importlib.abc import MetaPathFinder
from typing import Any

ABSENT_MODULES = {
    "crypt", "curses", "fcntl", "grp", "nis", "ossaudiodev", "posix", "pty", "pwd", "readline",
    "resource", "spwd", "syslog", "termios", "tty",
}  # fmt: skip
ABSENT_FUNCTIONS = (
    "chown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getgroups", "getpgid", "getsid",
    "getuid", "initgroups", "killpg", "mkfifo", "pidfd_open", "sched_getaffinity", "setsid",
    "statvfs", "uname", "wait4",
)  # fmt: skip
ABSENT_SIGNALS = ("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGWINCH")
BEFORE = (
    "asyncio", "code", "concurrent.futures", "ctypes.util", "email.message", "filelock", "getpass",
    "http.client", "importlib.metadata", "inspect", "logging.handlers", "multiprocessing", "pdb",
    "pathlib", "queue", "selectors", "shutil", "socket", "ssl", "subprocess", "tempfile", "tomllib",
    "unittest.mock", "urllib.request", "uuid", "webbrowser", "zipfile",
)  # fmt: skip


class Refuse(MetaPathFinder):
    """No POSIX module is there."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Refuse its name before anybody else finds it."""
        if fullname in ABSENT_MODULES:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


class WindowsOs(types.ModuleType):
    """Python's `os` with Windows' name: for our modules only, pathlib could not live with it."""

    name = "nt"

    def __getattr__(self, wanted: str) -> object:
        """All the rest is the real one's."""
        return getattr(os, wanted)


def pretend() -> None:
    """Make this Python look like one on Windows."""
    for module in BEFORE:
        importlib.import_module(module)
    sysconfig.get_config_vars()  # It knows this platform only by its own name.
    for module in ABSENT_MODULES:
        sys.modules.pop(module, None)
    sys.meta_path.insert(0, Refuse())
    for name in ABSENT_FUNCTIONS:
        if hasattr(os, name):
            delattr(os, name)
    for name in ABSENT_SIGNALS:
        delattr(signal, name)
    sys.platform = "win32"
    platform.system = lambda: "Windows"
    platform.release = lambda: "11"
    ctypes.windll = types.SimpleNamespace()  # type: ignore[attr-defined]
    sys.getwindowsversion = lambda: types.SimpleNamespace(  # type: ignore[attr-defined]
        major=10, minor=0, build=26100, platform_version=(10, 0, 26100), service_pack=""
    )
    msvcrt = types.ModuleType("msvcrt")
    msvcrt.LK_NBLCK, msvcrt.LK_UNLCK = 2, 0  # type: ignore[attr-defined]
    msvcrt.locking = lambda *_: None  # type: ignore[attr-defined]
    msvcrt.get_osfhandle = lambda number: number  # type: ignore[attr-defined]
    sys.modules["msvcrt"] = msvcrt
    rich: Any = importlib.import_module("rich._windows")
    # As Windows 10 and 11 have it: a console that understands colours.
    rich.get_windows_console_features = lambda: rich.WindowsConsoleFeatures(vt=True)
    for ours in ("programs", "shell", "processes", "facts.os", "facts.cpu", "paths"):
        importlib.import_module(f"lifecycle.{ours}").os = WindowsOs("os")  # type: ignore[attr-defined]
    # psutil would load its other half, which is compiled for Windows.
    importlib.import_module("lifecycle.processes").ram = lambda: 32 * 1024**3  # type: ignore[attr-defined]


if __name__ == "__main__":
    checkout, *words = sys.argv[1:]
    sys.path.insert(0, checkout)
    pretend()
    sys.argv = ["inv", "--search-root", checkout, *words]
    runpy.run_module("invoke", run_name="__main__")
