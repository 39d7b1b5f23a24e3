"""What the demo has heard so far, shared between the ROS thread, the view and the film."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import NONE, Roi
from emotion_estimator.frame import RgbImage

#: Readings kept for picture and summary: an hour at 30 frames per second.
KEPT = 108_000
#: Frames that wait for the film, about two seconds; more means that encoding cannot keep up.
WAITING = 64


@dataclass(frozen=True)
class EmotionReading:
    """One message of the topic ``emotion``.

    :param stamp: of the image, in seconds.
    :param probabilities: by label; empty without a face.
    :param latency: seconds from stamp to publication.
    """

    stamp: float
    label: str
    confidence: float = 0.0
    probabilities: Mapping[str, float] = field(default_factory=dict)
    latency: float = 0.0
    roi: Roi | None = None
    model: str = ''


@dataclass(frozen=True, eq=False)
class Shot:
    """An annotated image with its stamp in seconds."""

    stamp: float
    image: RgbImage


@dataclass(frozen=True)
class DemoHistory:
    """Everything that happened, in order of arrival.

    :param truth: (stamp, label) where the source knows.
    :param health: the nodes' last diagnostics, by node and key.
    :param received: readings received, also those no longer kept.
    :param unfilmed: frames that the film left out because encoding could not keep up.
    """

    readings: tuple[EmotionReading, ...] = ()
    truth: tuple[tuple[float, str], ...] = ()
    actions: tuple[DialogueAction, ...] = ()
    health: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    received: int = 0
    unfilmed: int = 0


@dataclass(frozen=True, eq=False)
class LiveSnapshot:
    """What a live view shows.

    :param recent: readings of the last seconds, the newest last.
    """

    recent: tuple[EmotionReading, ...]
    truth: str | None
    actions: tuple[DialogueAction, ...]
    health: Mapping[str, Mapping[str, str]]
    shot: Shot | None
    received: int

    @property
    def label(self) -> str:
        """Return the newest label, ``none`` before the first."""
        return self.recent[-1].label if self.recent else NONE


class DemoState:
    """Collects messages; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: deque[EmotionReading] = deque(maxlen=KEPT)
        self._truth: deque[tuple[float, str]] = deque(maxlen=KEPT)
        self._actions: deque[DialogueAction] = deque(maxlen=1000)
        self._health: dict[str, dict[str, str]] = {}
        self._shot: Shot | None = None
        self._waiting: deque[Shot] = deque()
        self._received = 0
        self._unfilmed = 0
        self._heard = time.monotonic()

    def add_reading(self, reading: EmotionReading) -> None:
        """Take a message of the topic ``emotion``."""
        with self._lock:
            self._readings.append(reading)
            self._received += 1
            self._heard = time.monotonic()

    def add_truth(self, stamp: float, label: str) -> None:
        """Take a message of the topic ``ground_truth``."""
        with self._lock:
            self._truth.append((stamp, label))

    def add_action(self, action: DialogueAction) -> None:
        """Take a message of the topic ``dialogue/action``."""
        with self._lock:
            self._actions.append(action)

    def add_health(self, node: str, values: Mapping[str, str]) -> None:
        """Take a node's diagnostics."""
        with self._lock:
            self._health[node] = dict(values)

    def add_shot(self, shot: Shot) -> None:
        """Take an annotated image; the oldest that waits for the film gives way."""
        with self._lock:
            self._shot = shot
            self._waiting.append(shot)
            if len(self._waiting) > WAITING:
                self._waiting.popleft()
                self._unfilmed += 1

    def take_shot(self, age: float) -> Shot | None:
        """Return the oldest image not yet filmed that is ``age`` seconds behind the newest."""
        with self._lock:
            if self._waiting and self._waiting[-1].stamp - self._waiting[0].stamp >= age:
                return self._waiting.popleft()
            return None

    def scene_at(self, stamp: float) -> tuple[str | None, DialogueAction | None]:
        """Return the truth of the frame with ``stamp``, and the last action decided by then."""
        with self._lock:
            # Both are looked for from the newest: frames are filmed shortly after they arrive.
            truth = next((t for at, t in reversed(self._truth) if at <= stamp + 1e-6), None)
            action = next((a for a in reversed(self._actions) if a.stamp <= stamp + 1e-6), None)
        return truth, action

    def expect_readings(self) -> None:
        """Count :meth:`silence` from now on: the camera starts."""
        with self._lock:
            self._heard = time.monotonic()

    def silence(self) -> float:
        """Return the seconds since the last reading, or since they are expected."""
        with self._lock:
            return time.monotonic() - self._heard

    def moment(self, seconds: float = 3.0) -> LiveSnapshot:
        """Return what a live view shows; ``recent`` covers the last ``seconds`` of stamps."""
        with self._lock:
            recent: list[EmotionReading] = []
            for reading in reversed(self._readings):
                if reading.stamp < self._readings[-1].stamp - seconds or len(recent) > 1000:
                    break
                recent.append(reading)
            return LiveSnapshot(
                recent=tuple(reversed(recent)),
                truth=self._truth[-1][1] if self._truth else None,
                actions=tuple(self._actions)[-6:],
                health={node: dict(values) for node, values in self._health.items()},
                shot=self._shot,
                received=self._received,
            )

    def course(self) -> DemoHistory:
        """Return everything heard so far."""
        with self._lock:
            return DemoHistory(
                readings=tuple(self._readings),
                truth=tuple(self._truth),
                actions=tuple(self._actions),
                health={node: dict(values) for node, values in self._health.items()},
                received=self._received,
                unfilmed=self._unfilmed,
            )
