"""Estimate in a separate thread, always on the newest image."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from emotion_estimator.emotion import FaceEmotion
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception.cpu_budget import CpuBudget
from emotion_estimator.perception.dropped_frames import FrameCounts, NewestSlot
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.perception.stream_order import StreamOrder
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.timing import RateLimit

Header = TypeVar('Header')


@dataclass(frozen=True)
class PendingImage(Generic[Header]):
    """An image not decoded yet, since most images of a busy stream never are.

    :param stamp: capture time in seconds.
    :param header: anything the caller wants back with the answer.
    :param decode: returns the image, or raises InputError.
    :param name: how to call it in a message.
    """

    stamp: float
    header: Header
    decode: Callable[[], RgbImage]
    name: str = ''


class EstimatorWorker(Generic[Header]):
    """Run an estimator on the images it is offered, between :meth:`start` and :meth:`stop`.

    The callbacks run in the worker's thread: ``answer`` for each image processed, ``reject`` with
    one line and the kind of fault (as of :class:`InputError`) for each that could not be, ``fail``
    when the estimator itself is broken, after which nothing more is processed.
    """

    def __init__(
        self,
        estimator: EmotionEstimator,
        settings: Callable[[], EstimatorSettings],
        *,
        answer: Callable[[PendingImage[Header], RgbImage, tuple[FaceEmotion, ...]], None],
        reject: Callable[[PendingImage[Header], str, str], None],
        fail: Callable[[str], None],
    ) -> None:
        """Use ``estimator``, which the caller closes.

        :param settings: called before each image, so that a change applies from the next one on.
        """
        self._estimator = estimator
        self._settings = settings
        self._answer = answer
        self._reject = reject
        self._fail = fail
        self._counts = FrameCounts()
        self._order = StreamOrder()
        self._limit = RateLimit()
        #: What keeps to the setting ``cpu_budget``.
        self.budget = CpuBudget()
        self._newest: NewestSlot[PendingImage[Header]] | None = None
        #: The thread hung when it was stopped: its result is no longer wanted.
        self._abandoned = False
        self._dropped_before = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; the stamps decide whether the stream continues or is a new one."""
        self._order.restart()
        newest: NewestSlot[PendingImage[Header]] = NewestSlot()
        self._thread = threading.Thread(
            target=self._work, args=(newest,), name='estimator', daemon=True
        )
        self._newest = newest
        self._thread.start()

    def offer(self, image: PendingImage[Header]) -> None:
        """Offer an image, which replaces one still waiting; from any thread, at any time.

        A late one (:class:`StreamOrder`) is only counted.
        """
        newest = self._newest
        if newest is not None and self._order(image.stamp):
            newest.put(image)

    def time_went_back(self) -> None:
        """Take the next image whatever its stamp, as after a jump of the clock."""
        self._order.restart()

    def stop(self, patience: float = 5.0) -> bool:
        """Finish the current image and end the thread.

        :param patience: maximum seconds to wait for it.
        :returns: False if the thread hangs; the estimator must not be closed then.
        """
        newest, self._newest = self._newest, None
        if newest is None or self._thread is None:
            return True
        newest.close()
        self._thread.join(patience)
        self._dropped_before += newest.dropped
        self._abandoned = self._thread.is_alive()
        return not self._abandoned

    @property
    def mixed(self) -> bool:
        """Return whether images of more than one stream have come lately."""
        return self._order.mixed

    @property
    def counts(self) -> FrameCounts:
        """Return the counts so far."""
        current = self._newest.dropped if self._newest is not None else 0
        self._counts.dropped = self._dropped_before + current
        self._counts.late = self._order.late
        return self._counts

    def _work(self, newest: NewestSlot[PendingImage[Header]]) -> None:
        applied: EstimatorSettings | None = None
        try:
            while (image := newest.take()) is not None:
                settings = self._settings()
                if settings is not applied:
                    self._estimator.apply(settings)
                    applied = settings
                self.budget.offered()
                if self._limit(image.stamp, _lower(settings.max_rate_hz, self.budget.rate)):
                    self._estimate(image)
                    self.budget.processed(settings.cpu_budget)
                    self._estimator.thrifty = self.budget.thrifty
                else:
                    self._counts.skipped += 1
        except Exception as error:
            if self._abandoned:
                return
            self._fail(f'the estimator cannot continue: {first_line(error)}')

    def _estimate(self, pending: PendingImage[Header]) -> None:
        try:
            image = pending.decode()
            faces = self._estimator(Frame(image, pending.stamp))
        except InputError as error:
            self._counts.bad += 1
            self._reject(pending, str(error), error.kind)
        except Exception as error:
            # MediaPipe's graph failed on this image; a restarted one may succeed on the next.
            self._counts.bad += 1
            problem = f'landmark source failed and was restarted: {first_line(error)}'
            self._reject(pending, problem, 'landmark_source')
            self._estimator.reset()
        else:
            if self._abandoned:
                return
            self._counts.processed += 1
            self._answer(pending, image, faces)


def _lower(rate: float, other: float) -> float:
    """Return the lower of two limits, of which 0 is none."""
    return min(rate, other) if rate and other else rate or other
