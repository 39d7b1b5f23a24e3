"""The camera node: publishes the frames of a source, stamped at capture."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rclpy.lifecycle import LifecyclePublisher
from rclpy.qos import QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Bool, Header

from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.msg import Emotion
from emotion_estimator.nodes import qos
from emotion_estimator.nodes.conversion import (
    camera_info_message,
    camera_info_topic,
    compressed_image_message,
    image_message,
)
from emotion_estimator.nodes.diagnostics import Health
from emotion_estimator.nodes.lifecycle import ManagedNode, until_shutdown
from emotion_estimator.nodes.running import run
from emotion_estimator.settings import CameraSettings
from emotion_estimator.sources.calibration import (
    Calibration,
    calibration_path,
    read_calibration,
)
from emotion_estimator.sources.capture import Capture
from emotion_estimator.timing import SlidingWindow
from emotion_estimator.untrusted import as_line

if TYPE_CHECKING:
    from rclpy.type_support import MsgT

_ENDED = 'source ended'
#: Seconds to wait for a subscriber of the ground truth once there is one of the images.
_TRUTH_SUBSCRIBER = 1.0


class CameraNode(ManagedNode[CameraSettings]):
    """Publishes each frame in the capturing thread: raw, compressed, or both, as subscribed to."""

    kind = CameraSettings
    core_log = 'emotion_estimator.sources'

    def __init__(self) -> None:
        super().__init__('camera')
        #: Called with header and image of each frame, in the capturing thread, by which an
        #: estimator in this process gets images without messages.
        self.reader: Callable[[Header, RgbImage], None] | None = None
        #: Returns whether it wants them.
        self.reader_wants: Callable[[], bool] = lambda: True
        self._capture: Capture | None = None
        self._calibration: Calibration | None = None
        self._info: CameraInfo | None = None
        self._topics: tuple[LifecyclePublisher[Any], ...] = ()
        self._rate = SlidingWindow()
        self._ended = False
        self._subscribed_since: float | None = None

    def configure(self) -> None:
        """Check the source, and open it unless it is a camera, which may come later."""
        self._capture = Capture(
            self.settings,
            clock=self._now,
            publish=self._publish,
            listened_to=self._listened_to,
            wanted=self._wanted,
            ended=self._source_ended,
            log=self._log_problem,
        )
        url = self.settings.camera_info_url
        self._calibration = read_calibration(calibration_path(url)) if url else None
        self._info = None
        self._capture.open()
        reliability = self.settings.image_reliability
        self._images = self._publisher(Image, 'image_raw', qos.images(reliability))
        # image_transport's convention: it follows the image topic, even when that is remapped.
        self._compressed = self._publisher(
            CompressedImage, f'{self._images.topic_name}/compressed', qos.images(reliability)
        )
        self._camera_info = self._publisher(
            CameraInfo, camera_info_topic(self._images.topic_name), qos.images(reliability)
        )
        self._truth = self._publisher(Emotion, 'ground_truth', qos.results())
        self._speech = self._publisher(Bool, 'ground_truth/speaking', qos.results())
        self._topics = (
            self._images, self._compressed, self._camera_info, self._truth, self._speech
        )  # fmt: skip

    def activate(self) -> None:
        """Start capturing."""
        assert self._capture is not None
        self._ended = False
        self._capture.start()
        self.get_logger().info(f'capturing from {self._capture.name}')

    def deactivate(self) -> None:
        """Stop capturing and release the device."""
        if self._capture is not None and not self._capture.stop():
            raise InputError(
                f'camera {self._capture.name} hangs and was not released; unplug it, or stop '
                'this process'
            )

    def clean_up(self) -> None:
        """Close the source and destroy the publishers."""
        if self._capture is not None:
            self._capture.close()
        for publisher in self._topics:
            self.destroy_lifecycle_publisher(publisher)
        self._topics = ()

    def health(self) -> Health:
        """Report source, rate and losses."""
        capture = self._capture
        problem = (capture.problem if capture else '') or (_ENDED if self._ended else '')
        return Health(
            values={
                'source': capture.name if capture else '',
                'given': capture.given if capture else '',
                'frames_published': capture.published if capture else 0,
                'frames_skipped': capture.skipped if capture else 0,
                'seconds_behind': capture.behind if capture else 0.0,
                'times_lost': capture.lost if capture else 0,
                'fps': self._rate.rate(time.monotonic()),
                'idle': bool(self._topics) and not self._wanted(),
            },
            problem=problem,
            failed=problem != _ENDED,
        )

    def _publisher(
        self, kind: type[MsgT], topic: str, profile: QoSProfile
    ) -> LifecyclePublisher[MsgT]:
        return self.create_lifecycle_publisher(
            kind, topic, profile, qos_overriding_options=qos.OVERRIDABLE
        )

    def _now(self) -> float:
        return float(self.get_clock().now().nanoseconds) * 1e-9

    def _log_problem(self, line: str) -> None:
        self.get_logger().error(as_line(line))

    def _takes_images(self) -> bool:
        if self.reader is not None and self.reader_wants():
            return True
        return any(topic.get_subscription_count() for topic in (self._images, self._compressed))

    def _wanted(self) -> bool:
        # The calibration says the size of the images.
        return self._takes_images() or self._camera_info.get_subscription_count() > 0

    def _listened_to(self) -> bool:
        if not self._takes_images():
            self._subscribed_since = None
            return False
        now = time.monotonic()
        self._subscribed_since = self._subscribed_since or now
        # A subscriber of the ground truth usually arrives together with those of the images.
        waited = now > self._subscribed_since + _TRUTH_SUBSCRIBER
        return waited or self._truth.get_subscription_count() > 0

    def _source_ended(self, problem: str) -> None:
        self._ended = True
        if self.settings.exit_at_end:
            self.finish(1 if problem else 0, problem)
        elif problem:
            # Another attempt would only repeat the source up to the place where it is broken.
            self.break_down(problem, try_again=False)
        elif self._capture is not None:
            self.get_logger().info(f'{self._capture.name}: {_ENDED}')

    def _publish(self, frame: Frame, stamp: float) -> None:
        header = Header(
            stamp=Time(nanoseconds=round(stamp * 1e9)).to_msg(), frame_id=self.settings.frame_id
        )
        with until_shutdown(self):
            if frame.truth is not None:
                self._truth.publish(
                    Emotion(
                        header=header,
                        label=frame.truth,
                        confidence=float(frame.truth != NONE),
                        model='ground truth',
                    )
                )
            if frame.truth_speaking is not None:
                self._speech.publish(Bool(data=frame.truth_speaking))
            if self.reader is not None:
                self.reader(header, frame.image)
            if self._camera_info.get_subscription_count():
                self._camera_info.publish(self._camera_info_message(frame.image, header))
            # A message costs a copy, a JPEG some milliseconds: only for subscribers.
            if self._images.get_subscription_count():
                self._images.publish(image_message(frame.image, header))
            if self._compressed.get_subscription_count():
                self._compressed.publish(
                    compressed_image_message(frame.image, header, self.settings.jpeg_quality)
                )
        self._rate.add(time.monotonic())

    def _camera_info_message(self, image: RgbImage, header: Header) -> CameraInfo:
        """Return the message made for the first image of this size, with this header."""
        height, width = image.shape[:2]
        if self._info is None or (self._info.width, self._info.height) != (width, height):
            known = self._calibration
            if known is not None and (known.width, known.height) != (width, height):
                self.get_logger().warning(
                    f'{self.settings.camera_info_url} is of images of {known.width}x'
                    f'{known.height}, these are {width}x{height}: published as not calibrated; '
                    'set width and height to match, or calibrate again'
                )
                known = None
            self._info = camera_info_message(known or Calibration(width, height), header)
        self._info.header = header
        return self._info


def main() -> int:
    """Run the node until it is stopped, or until its source ends if ``exit_at_end`` is set."""
    return run(lambda: [CameraNode()])
