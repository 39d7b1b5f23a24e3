"""Estimate in a thread of its own, always on the newest image; what is left out is counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.timing import RateLimit

T = TypeVar('T')


class Latest(Generic[T]):
    """Hand the newest item over; the reader never works on an older one."""

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._item: T | None = None
        self._closed = False
        self.dropped = 0

    def put(self, item: T) -> None:
        """Offer ``item``; one still waiting is dropped and counted in ``dropped``."""
        with self._ready:
            if self._item is not None:
                self.dropped += 1
            self._item = item
            self._ready.notify()

    def take(self) -> T | None:
        """Wait for an item and return it; None once :meth:`close` was called."""
        with self._ready:
            self._ready.wait_for(lambda: self._closed or self._item is not None)
            if self._closed:
                return None
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Wake the reader for good."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()


Header = TypeVar('Header')


@dataclass(frozen=True)
class Picture(Generic[Header]):
    """An image that waits to be worked on, not decoded yet: most of a busy stream never is.

    :param stamp: capture time in seconds.
    :param header: whatever the caller wants to have back with the answer.
    :param decode: returns the image, or raises InputError.
    """

    stamp: float
    header: Header
    decode: Callable[[], RgbImage]


@dataclass
class Counts:
    """What became of the pictures since the worker was made.

    :param processed: answered.
    :param dropped: replaced by a newer one before their turn.
    :param skipped: left out to keep to ``max_rate_hz``.
    :param bad: undecodable, or refused by the estimator.
    """

    processed: int = 0
    dropped: int = 0
    skipped: int = 0
    bad: int = 0


class EstimatorWorker(Generic[Header]):
    """Runs an estimator on the pictures it is offered, between :meth:`start` and :meth:`stop`.

    The callbacks run in the worker's thread: ``answer`` for each picture worked on, ``reject``
    with one line for each that could not be, ``fail`` when the estimator itself cannot go on,
    after which nothing more is worked on.
    """

    def __init__(
        self,
        estimator: EmotionEstimator,
        settings: Callable[[], EstimatorSettings],
        *,
        answer: Callable[[Picture[Header], RgbImage, tuple[FaceEmotion, ...]], None],
        reject: Callable[[Picture[Header], str], None],
        fail: Callable[[str], None],
    ) -> None:
        """Take the estimator over; whoever made it closes it.

        :param settings: asked before each picture, so that a change counts from the next one on.
        """
        self._estimator = estimator
        self._settings = settings
        self._answer = answer
        self._reject = reject
        self._fail = fail
        self._counts = Counts()
        self._limit = RateLimit()
        self._newest: Latest[Picture[Header]] | None = None
        #: Nobody waits any more for what the thread may yet come to.
        self._left_behind = False
        self._dropped_before = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin. Whether what is offered now goes on where it ended is for the stamps to tell."""
        newest: Latest[Picture[Header]] = Latest()
        self._thread = threading.Thread(
            target=self._work, args=(newest,), name='estimator', daemon=True
        )
        self._newest = newest
        self._thread.start()

    def offer(self, picture: Picture[Header]) -> None:
        """Hand a picture over, which replaces one still waiting; any thread, any time."""
        newest = self._newest
        if newest is not None:
            newest.put(picture)

    def stop(self, patience: float = 5.0) -> bool:
        """Finish the picture at hand and end the thread.

        :param patience: most seconds to wait for it.
        :returns: False where the thread hangs; the estimator must not be closed then.
        """
        newest, self._newest = self._newest, None
        if newest is None or self._thread is None:
            return True
        newest.close()
        self._thread.join(patience)
        self._dropped_before += newest.dropped
        self._left_behind = self._thread.is_alive()
        return not self._left_behind

    @property
    def counts(self) -> Counts:
        """Return the counts until now."""
        waiting = self._newest.dropped if self._newest is not None else 0
        self._counts.dropped = self._dropped_before + waiting
        return self._counts

    def _work(self, newest: Latest[Picture[Header]]) -> None:
        applied: EstimatorSettings | None = None
        try:
            while (picture := newest.take()) is not None:
                settings = self._settings()
                if settings is not applied:
                    self._estimator.apply(settings)
                    applied = settings
                if self._limit(picture.stamp, settings.max_rate_hz):
                    self._estimate(picture)
                else:
                    self._counts.skipped += 1
        except Exception as error:
            if self._left_behind:
                return
            self._fail(f'the estimator cannot go on: {first_line(error)}')

    def _estimate(self, picture: Picture[Header]) -> None:
        try:
            image = picture.decode()
            faces = self._estimator(Frame(image, picture.stamp))
        except InputError as error:
            self._counts.bad += 1
            self._reject(picture, str(error))
        except Exception as error:
            # MediaPipe's graph failed on this image; a fresh one may do better on the next.
            self._counts.bad += 1
            self._reject(picture, f'landmark source failed, started anew: {first_line(error)}')
            self._estimator.reset()
        else:
            if self._left_behind:
                return
            self._counts.processed += 1
            self._answer(picture, image, faces)
