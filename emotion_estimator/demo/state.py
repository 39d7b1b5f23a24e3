"""What the demo has received so far, shared by the ROS thread, the view and the video."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Reversible
from dataclasses import dataclass, field
from typing import TypeVar

from emotion_estimator.demo.turns import SpokenTurn, person_turns, robot_turns
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.turns import TurnTimes
from emotion_estimator.emotion import NONE, Roi
from emotion_estimator.frame import RgbImage

#: Readings kept for chart and summary: an hour at 30 frames per second.
_HISTORY = 108_000
#: Frames queued for the video, about two seconds; a full queue means that encoding is too slow.
VIDEO_QUEUE = 64
#: Actions, and changes of the person's speech, that view and video look back at.
_RECENT = 12


Known = TypeVar('Known')


def _latest(samples: Reversible[tuple[float, Known]], until: float) -> Known | None:
    """Return the newest value of samples (stamp, value) that is not later than ``until``."""
    return next((value for stamp, value in reversed(samples) if stamp <= until), None)


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
    :param turns: the robot's and the person's, in order of time.
    :param floors: (stamp, floor) where the dialogue manager reported another floor than before.
    :param health: each node's last diagnostics: node, key, value.
    :param received: number of readings, including those no longer kept.
    :param video_dropped: frames missing from the video because encoding was too slow.
    """

    readings: tuple[EmotionReading, ...] = ()
    truth: tuple[tuple[float, str], ...] = ()
    actions: tuple[DialogueAction, ...] = ()
    turns: tuple[SpokenTurn, ...] = ()
    floors: tuple[tuple[float, str], ...] = ()
    health: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    received: int = 0
    video_dropped: int = 0


@dataclass(frozen=True, eq=False)
class LiveSnapshot:
    """What the live view shows.

    :param recent: readings of the last seconds, newest last.
    :param speaking: ground truth: whether the person speaks; None if the source does not know it.
    :param floor: who has the floor, says the dialogue manager; empty before it says anything.
    :param actions: the last ones, newest last.
    :param turns: the robot's and the person's last ones, newest last.
    """

    recent: tuple[EmotionReading, ...]
    truth: str | None
    speaking: bool | None
    floor: str
    actions: tuple[DialogueAction, ...]
    turns: tuple[SpokenTurn, ...]
    health: Mapping[str, Mapping[str, str]]
    frame: AnnotatedFrame | None
    received: int

    @property
    def label(self) -> str:
        """The newest label; ``none`` before the first."""
        return self.recent[-1].label if self.recent else NONE


@dataclass(frozen=True)
class DemoScene:
    """What was known of the conversation at the time of a frame.

    :param truth: the true label; None if the source does not know it.
    :param speaking: whether the person speaks; None if the source does not know it.
    :param floor: who has the floor, says the dialogue manager; empty before it says anything.
    :param action: the last action until then.
    :param turns: what was spoken until then, the newest last.
    """

    truth: str | None = None
    speaking: bool | None = None
    floor: str = ''
    action: DialogueAction | None = None
    turns: tuple[SpokenTurn, ...] = ()


class DemoState:
    """Collects messages; every method can be called from any thread.

    :param words_per_minute: rate at which the robot is taken to speak.
    """

    def __init__(self, words_per_minute: float = TurnTimes().words_per_minute) -> None:
        self._words_per_minute = words_per_minute
        self._lock = threading.Lock()
        self._readings: deque[EmotionReading] = deque(maxlen=_HISTORY)
        self._truth: deque[tuple[float, str]] = deque(maxlen=_HISTORY)
        self._actions: deque[DialogueAction] = deque(maxlen=1000)
        # Changes only, of which there are few.
        self._speech: deque[tuple[float, bool]] = deque(maxlen=1000)
        self._floors: deque[tuple[float, str]] = deque(maxlen=10_000)
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

    def add_speech(self, speaking: bool) -> None:
        """Add a message of the topic ``ground_truth/speaking``, of the frame of the last truth."""
        with self._lock:
            if self._truth and (not self._speech or self._speech[-1][1] != speaking):
                self._speech.append((self._truth[-1][0], speaking))

    def add_floor(self, stamp: float, floor: str) -> None:
        """Add who has the floor, from a message of the topic ``dialogue/context``."""
        with self._lock:
            if not self._floors or self._floors[-1][1] != floor:
                self._floors.append((stamp, floor))

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

    def scene_at(self, stamp: float) -> DemoScene:
        """Return what was known until ``stamp`` in seconds."""
        until = stamp + 1e-6
        with self._lock:
            # Newest first: frames are recorded shortly after they arrive.
            return DemoScene(
                truth=_latest(self._truth, until),
                speaking=_latest(self._speech, until),
                floor=_latest(self._floors, until) or '',
                action=next((a for a in reversed(self._actions) if a.stamp <= until), None),
                turns=self._turns(stamp, last=_RECENT),
            )

    def _turns(self, until: float, last: int = 0) -> tuple[SpokenTurn, ...]:
        """Return what was spoken until then; the robot's last turn may end later.

        :param last: number of actions and of changes of the person's speech to take; 0 for all.
        """
        actions = [a for a in self._actions if a.stamp <= until + 1e-6]
        speech = [each for each in self._speech if each[0] <= until + 1e-6]
        robot = robot_turns(actions[-last:], self._words_per_minute)
        person = person_turns(speech[-last:], until)
        return tuple(sorted((*robot, *person), key=lambda turn: turn.begin))

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
            now = recent[0].stamp if recent else 0.0
            return LiveSnapshot(
                recent=tuple(reversed(recent)),
                truth=self._truth[-1][1] if self._truth else None,
                speaking=self._speech[-1][1] if self._speech else None,
                floor=self._floors[-1][1] if self._floors else '',
                actions=tuple(self._actions)[-6:],
                turns=self._turns(now, last=_RECENT)[-6:],
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
                turns=self._turns(self._readings[-1].stamp if self._readings else 0.0),
                floors=tuple(self._floors),
                health={node: dict(values) for node, values in self._health.items()},
                received=self._received,
                video_dropped=self._video_dropped,
            )
