"""The ROS 2 nodes: messages, parameters and lifecycle around the core.

Nothing is imported here, so that :func:`start` is in control before a node's imports begin.
"""

from __future__ import annotations

import importlib
import sys


def start(module: str) -> None:
    """Import ``module``, run its ``main``, and exit with the status it returns.

    Ctrl-C is not an error, even during the imports, which take a second.

    :param module: full name of a module whose ``main`` takes no arguments.
    """
    try:
        status = importlib.import_module(module).main()
    except KeyboardInterrupt:
        status = 0
    sys.exit(status)
