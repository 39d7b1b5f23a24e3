"""Where the page's moments come from, and what the page may ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from emotion_estimator.live.history import History


class Feed(Protocol):
    """A session in this process, or the topics of a robot.

    :ivar history: what the page shows.
    :ivar title: what is looked at, in a few words.
    :ivar can: what may be asked besides settings: ``source``, ``record``.
    """

    history: History
    title: str
    can: frozenset[str]

    @property
    def recording(self) -> bool:
        """Return whether images are being recorded."""

    def watch(self, viewers: int) -> None:
        """Take the number of open pages: without any, nothing need be computed."""

    def status(self) -> str:
        """Return what is wrong or worth knowing, on one line; empty if nothing is."""

    def changeable(self) -> Mapping[str, Any]:
        """Return the settings that can be changed, by name."""

    def change(self, name: str, value: Any) -> None:
        """Change a setting.

        :raises InputError: it cannot have that value.
        """

    def choose_source(self, source: str) -> None:
        """Read another source from now on.

        :raises InputError: there is no such source; the present one is read on.
        """

    def say(self, words: str) -> None:
        """Take what the person says."""

    def record(self, on: bool) -> str:
        """Begin or end a recording; return the bag's path, empty if there is none.

        :raises InputError: it cannot be written.
        """
