"""Start a program of this package so that Ctrl-C is no error, also while it is being imported."""

from __future__ import annotations

import importlib
import sys


def start(module: str) -> None:
    """Import ``module``, run its ``main`` and end the process with the status it returns.

    :param module: full name; its ``main`` takes no arguments. Importing perception takes a second.
    """
    try:
        status = importlib.import_module(module).main()
    except KeyboardInterrupt:
        status = 0
    sys.exit(status)
