"""What an exit code of a server says, in words.

Below zero and from 129 on it is a signal: https://tldp.org/LDP/abs/html/exitcodes.html,
https://man7.org/linux/man-pages/man7/signal.7.html.
"""

SIGNALS = {
    2: "killed by signal 2 (Ctrl-C, or a program that sends the same)",
    4: "killed by signal 4 (an instruction that this processor does not have)",
    6: "ended by signal 6 (it aborted: a failed check in native code, or memory it did not get)",
    7: "killed by signal 7 (a page it could not have: shared memory or the disk is full)",
    9: "killed by signal 9 (perhaps out of memory)",
    11: "killed by signal 11 (a fault in native code: a library, a kernel or a driver)",
    15: "ended by signal 15 (somebody asked it to stop)",
    24: "killed by signal 24 (its limit of processor time, ulimit -t)",
    25: "killed by signal 25 (its limit of a file's size, ulimit -f)",
}
CODES = {
    126: "exit code 126 (its program may not be run: no permission, or not for this machine)",
    127: "exit code 127 (its program, or a library that it needs, is missing)",
}
OUT_OF_MEMORY = "killed by signal 9 (out of memory: the kernel ended it)"
BEYOND, LAST = 128, 64
"""What shells, and Docker, add to the number of a signal, and the highest one of Linux."""


def signal(code: int) -> int:
    """The signal that ended a program; 0 when none did."""
    number = -code if code < 0 else code - BEYOND
    return number if 0 < number <= LAST else 0


def named(code: int, *, out_of_memory: bool = False) -> str:
    """How a program ended.

    Args:
        code: negative for a signal, as Python has it, or above 128, as a shell does.
        out_of_memory: somebody who knows says that it was memory.
    """
    number = signal(code)
    if number == 9 and out_of_memory:
        return OUT_OF_MEMORY
    if number:
        return SIGNALS.get(number, f"killed by signal {number}")
    return CODES.get(code, f"exit code {code}")
