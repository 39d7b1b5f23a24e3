"""The camera node: reads a source and publishes its frames, stamped when they were captured."""

from __future__ import annotations

import threading
import time

from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.frame import Frame
from emotion_estimator.msg import Emotion
from emotion_estimator.nodes.conversion import image_message
from emotion_estimator.nodes.diagnostics import Health, publish_diagnostics
from emotion_estimator.nodes.parameters import declare_settings
from emotion_estimator.nodes.running import StoppableNode, run, until_shutdown
from emotion_estimator.settings import CameraSettings
from emotion_estimator.sources.backoff import Backoff
from emotion_estimator.sources.base import Source, SourceLost
from emotion_estimator.sources.open_source import is_device, open_source
from emotion_estimator.statistics import SlidingWindow

#: Seconds without an image after which a device is reported.
_SILENCE = 2.0
_ENDED = 'source ended'


class CameraNode(StoppableNode):
    """Captures and publishes from one loop, so that no frame waits for a timer."""

    def __init__(self) -> None:
        super().__init__('camera')
        self.settings = declare_settings(self, CameraSettings)
        self._images = self.create_publisher(Image, 'image_raw', qos_profile_sensor_data)
        self._truth = self.create_publisher(Emotion, 'ground_truth', 10)
        self._published = 0
        #: Frames that the source could not decode.
        self._skipped = 0
        #: Seconds that a source slower than its rate has fallen behind.
        self._behind = 0.0
        self._last_frame = time.monotonic()
        self._lost = 0
        self._problem = ''
        self._rate = SlidingWindow()
        self._stop = threading.Event()
        self._backoff = Backoff(self.settings.retry_min, self.settings.retry_max)
        # A file that cannot be read is a mistake to report at once; a device may yet be plugged in.
        source = None if is_device(self.settings.source) else self._open()
        self.report = publish_diagnostics(self, self._health)
        self._thread = threading.Thread(target=self._work, args=(source,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop capturing; a device that hangs is given back by the end of the process."""
        self._stop.set()
        self._thread.join(timeout=5.0)
        super().stop()

    def _open(self) -> Source:
        wanted = self.settings
        source = open_source(
            wanted.source,
            fps=wanted.fps,
            width=wanted.width or None,
            height=wanted.height or None,
            loop=wanted.loop,
            clock=self._now,
        )
        self.get_logger().info(f'publishing {source.name} at {source.fps:g} frames per second')
        return source

    def _now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def _work(self, source: Source | None) -> None:
        self._wait_for_subscribers(time.monotonic() + self.settings.wait_for_subscribers)
        while not self._stop.is_set():
            try:
                source = source or self._open()
                self._publish_all(source)
            except Exception as error:
                # Whatever a driver or decoder raises, somebody must hear of it.
                if not isinstance(error, InputError):
                    error = InputError(f'{self.settings.source}: {first_line(error)}')
                if not is_device(self.settings.source):
                    self._end(str(error))
                    return
                self._wait_for_device(error)
            else:
                self._end('')
                return
            finally:
                if source is not None:
                    source.close()
                source = None

    def _wait_for_subscribers(self, deadline: float) -> None:
        while time.monotonic() < deadline and not self._stop.wait(0.05):
            if self._images.get_subscription_count() and self._truth.get_subscription_count():
                return

    def _wait_for_device(self, error: InputError) -> None:
        wait = self._backoff.next()
        self._lost += isinstance(error, SourceLost)
        self._problem = str(error)
        self.get_logger().error(f'{error}; trying again in {wait:g} s')
        self._stop.wait(wait)

    def _end(self, problem: str) -> None:
        if self._stop.is_set():
            return
        self._problem = problem or _ENDED
        if problem and self.settings.exit_at_end:
            self.fail(problem)
            return
        log = self.get_logger()
        (log.error if problem else log.info)(f'{self.settings.source}: {self._problem}')
        if self.settings.exit_at_end:
            self.finished.set_result(0)

    def _publish_all(self, source: Source) -> None:
        self._last_frame = begun = time.monotonic()
        for frame in source.frames():
            if not source.live:
                late = self._wait_until(begun + frame.stamp)
                if late > 1.0 / source.fps:
                    # Slower than its rate: the rest comes that much later, none of it is lost.
                    self._behind += late
                    begun += late
            if self._stop.is_set():
                return
            with until_shutdown(self):
                self._publish(frame, frame.stamp if source.live else self._now())
            self._skipped = getattr(source, 'skipped', 0)
            self._last_frame = time.monotonic()
            self._backoff.reset()
            self._problem = ''

    def _wait_until(self, due: float) -> float:
        """Wait until ``due`` on the monotonic clock; return the seconds it is past."""
        late = time.monotonic() - due
        if late < 0:
            self._stop.wait(-late)
            return 0.0
        return late

    def _publish(self, frame: Frame, stamp: float) -> None:
        header = Header(
            stamp=Time(nanoseconds=round(stamp * 1e9)).to_msg(), frame_id=self.settings.frame_id
        )
        if frame.truth is not None:
            self._truth.publish(
                Emotion(
                    header=header,
                    label=frame.truth,
                    confidence=float(frame.truth != NONE),
                    model='ground truth',
                )
            )
        self._images.publish(image_message(frame.image, header))
        self._published += 1
        self._rate.add(stamp)

    def _health(self) -> Health:
        device = is_device(self.settings.source)
        silent = time.monotonic() - self._last_frame
        problem = self._problem
        if device and not problem and silent > _SILENCE:
            problem = f'no image from camera {self.settings.source} for {silent:.0f} s; check it'
        return Health(
            values={
                'source': self.settings.source,
                'frames_published': self._published,
                'frames_skipped': self._skipped,
                'seconds_behind': self._behind,
                'times_lost': self._lost,
                'fps': self._rate.rate(),
                'last_error': problem,
            },
            problem=problem,
            failed=problem != _ENDED,
        )


def main() -> int:
    """Run the node until it is stopped, or its source ends where ``exit_at_end`` is set."""
    return run(CameraNode)
