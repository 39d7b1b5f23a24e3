"""Run a program that gets SIGTERM when its parent dies, even if the parent was killed.

``python tether.py PARENT PROGRAM [ARGUMENT...]``, where PARENT is a process id. Only Linux supports
this; elsewhere the program just runs. It is a separate program because code between fork and exec
(``preexec_fn``) can deadlock in a process with threads.
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
        # Not SIGINT: the kernel may send the signal once for each of the parent's threads, and a
        # second SIGINT would interrupt the cleanup of a Python program.
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:
            # The parent died before prctl was called.
            return
    # A shell without job control makes its background programs ignore SIGINT.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f'{command[0]} cannot be executed: {error.strerror}')


if __name__ == '__main__':
    main(int(sys.argv[1]), sys.argv[2:])
