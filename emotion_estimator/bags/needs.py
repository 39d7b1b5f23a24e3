"""What only some verbs need, so that the others work without it."""

from __future__ import annotations

import importlib.util

from emotion_estimator.errors import InputError


def need_rosbags() -> None:
    """Return when bags can be read and written here.

    :raises InputError: the library is missing; says how to get it.
    """
    if importlib.util.find_spec('rosbags') is None:
        raise InputError(
            'bags need the library rosbags, which no distribution of ROS has: '
            "pip install 'rosbags>=0.11,<0.12'"
        )
