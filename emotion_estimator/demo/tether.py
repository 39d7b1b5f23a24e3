"""Runs a program that is told to stop when its parent dies, even of SIGKILL.

``python tether.py PARENT PROGRAM [ARGUMENT...]``, PARENT being a process id. Only Linux can do
this; elsewhere the program just runs. It is a program of its own, since code between fork and exec
(``preexec_fn``) may deadlock in a process with threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(parent: int, command: list[str]) -> None:
    """Become ``command``, tied to ``parent``."""
    prctl = getattr(ctypes.CDLL(None), 'prctl', None)
    if prctl is not None:
        # Not SIGINT: the kernel may send it once for each of the parent's threads, and in Python a
        # second one would interrupt the program's own ending.
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            # It died before it could be noticed.
            return
    # Started in the background by a shell without job control, all of us would ignore it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f'{command[0]} cannot be executed: {error.strerror}')


if __name__ == '__main__':
    main(int(sys.argv[1]), sys.argv[2:])
