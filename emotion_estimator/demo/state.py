"""What the demo has received so far, shared by the ROS thread, the view and the video."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import NONE, Roi
from emotion_estimator.frame import RgbImage

#: Readings kept for chart and summary: an hour at 30 frames per second.
_HISTORY = 108_000
#: Frames queued for the video, about two seconds; a full queue means that encoding is too slow.
VIDEO_QUEUE = 64


@dataclass(frozen=True)
class EmotionReading:
    """One message of the topic ``emotion``.

    :param stamp: the image's, in seconds.
    :param probabilities: probability of each label; empty if there is no face.
    :param latency: seconds from the stamp to publication.
    """

    stamp: float
    label: str
    confidence: float = 0.0
    probabilities: Mapping[str, float] = field(default_factory=dict)
    latency: float = 0.0
    roi: Roi | None = None
    model: str = ''


@dataclass(frozen=True, eq=False)
class AnnotatedFrame:
    """An annotated image with its stamp in seconds."""

    stamp: float
    image: RgbImage


@dataclass(frozen=True)
class DemoHistory:
    """Everything that was received, in order of arrival.

    :param truth: (stamp, true label) of each frame, if the source knows it.
    :param health: each node's last diagnostics: node, key, value.
    :param received: number of readings, including those no longer kept.
    :param video_dropped: frames missing from the video because encoding was too slow.
    """

    readings: tuple[EmotionReading, ...] = ()
    truth: tuple[tuple[float, str], ...] = ()
    actions: tuple[DialogueAction, ...] = ()
    health: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    received: int = 0
    video_dropped: int = 0


@dataclass(frozen=True, eq=False)
class LiveSnapshot:
    """What the live view shows.

    :param recent: readings of the last seconds, newest last.
    """

    recent: tuple[EmotionReading, ...]
    truth: str | None
    actions: tuple[DialogueAction, ...]
    health: Mapping[str, Mapping[str, str]]
    frame: AnnotatedFrame | None
    received: int

    @property
    def label(self) -> str:
        """The newest label; ``none`` before the first."""
        return self.recent[-1].label if self.recent else NONE


class DemoState:
    """Collects messages; every method can be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readings: deque[EmotionReading] = deque(maxlen=_HISTORY)
        self._truth: deque[tuple[float, str]] = deque(maxlen=_HISTORY)
        self._actions: deque[DialogueAction] = deque(maxlen=1000)
        self._health: dict[str, dict[str, str]] = {}
        self._frame: AnnotatedFrame | None = None
        self._video_queue: deque[AnnotatedFrame] = deque()
        self._received = 0
        self._video_dropped = 0
        self._last_reading = time.monotonic()

    def add_reading(self, reading: EmotionReading) -> None:
        """Add a message of the topic ``emotion``."""
        with self._lock:
            self._readings.append(reading)
            self._received += 1
            self._last_reading = time.monotonic()

    def add_truth(self, stamp: float, label: str) -> None:
        """Add a message of the topic ``ground_truth``."""
        with self._lock:
            self._truth.append((stamp, label))

    def add_action(self, action: DialogueAction) -> None:
        """Add a message of the topic ``dialogue/action``."""
        with self._lock:
            self._actions.append(action)

    def add_health(self, node: str, values: Mapping[str, str]) -> None:
        """Replace a node's diagnostics."""
        with self._lock:
            self._health[node] = dict(values)

    def add_frame(self, frame: AnnotatedFrame) -> None:
        """Add a frame for view and video; a full video queue drops its oldest frame."""
        with self._lock:
            self._frame = frame
            self._video_queue.append(frame)
            if len(self._video_queue) > VIDEO_QUEUE:
                self._video_queue.popleft()
                self._video_dropped += 1

    def take_frame(self, age: float) -> AnnotatedFrame | None:
        """Return the next frame for the video if it is ``age`` seconds older than the newest."""
        with self._lock:
            queue = self._video_queue
            if queue and queue[-1].stamp - queue[0].stamp >= age:
                return queue.popleft()
            return None

    def scene_at(self, stamp: float) -> tuple[str | None, DialogueAction | None]:
        """Return the true label of the frame with ``stamp``, and the last action until then."""
        with self._lock:
            # Newest first: frames are recorded shortly after they arrive.
            truth = next((t for at, t in reversed(self._truth) if at <= stamp + 1e-6), None)
            action = next((a for a in reversed(self._actions) if a.stamp <= stamp + 1e-6), None)
        return truth, action

    def expect_readings(self) -> None:
        """Restart :meth:`silence` at 0, because the camera starts now."""
        with self._lock:
            self._last_reading = time.monotonic()

    def silence(self) -> float:
        """Return the seconds since the last reading, or since :meth:`expect_readings`."""
        with self._lock:
            return time.monotonic() - self._last_reading

    def snapshot(self, seconds: float = 3.0) -> LiveSnapshot:
        """Return what the live view shows, with the readings of the last ``seconds``."""
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
                frame=self._frame,
                received=self._received,
            )

    def history(self) -> DemoHistory:
        """Return everything received so far."""
        with self._lock:
            return DemoHistory(
                readings=tuple(self._readings),
                truth=tuple(self._truth),
                actions=tuple(self._actions),
                health={node: dict(values) for node, values in self._health.items()},
                received=self._received,
                video_dropped=self._video_dropped,
            )
