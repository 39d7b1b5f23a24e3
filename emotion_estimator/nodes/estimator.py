"""The estimator node: subscribes to images, publishes the emotion of each face."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from rclpy.clock import (  # type: ignore[attr-defined]  # Humble has ClockType here only
    Clock,
    ClockType,
    JumpHandle,
    JumpThreshold,
)
from rclpy.duration import Duration
from rclpy.lifecycle import LifecyclePublisher
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from emotion_estimator.annotation import annotate
from emotion_estimator.emotion import FaceEmotion, primary
from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage
from emotion_estimator.msg import Emotion, EmotionArray
from emotion_estimator.nodes import qos
from emotion_estimator.nodes.complaints import Complaints
from emotion_estimator.nodes.conversion import (
    camera_info_topic,
    emotion_message,
    image_message,
    intrinsics_from_message,
    rgb_from_message,
    seconds,
)
from emotion_estimator.nodes.diagnostics import Health
from emotion_estimator.nodes.image_topic import ImageTopic
from emotion_estimator.nodes.lifecycle import ManagedNode, until_shutdown
from emotion_estimator.nodes.listeners import Listeners
from emotion_estimator.nodes.ros4hri import Ros4hri, open_ros4hri
from emotion_estimator.nodes.running import run
from emotion_estimator.perception.capture_times import CaptureTimes
from emotion_estimator.perception.dropped_frames import FrameCounts
from emotion_estimator.perception.head_pose import Intrinsics
from emotion_estimator.perception.image import rgb_from_compressed
from emotion_estimator.perception.lost_images import LostImages
from emotion_estimator.perception.mounting import Mounting, look_around, turned, turned_camera
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.perception.worker import EstimatorWorker, PendingImage
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.timing import SlidingWindow, Watchdog
from emotion_estimator.weights import stated

if TYPE_CHECKING:
    from rclpy.type_support import MsgT

#: Seconds between looks at who subscribes to the results.
_LISTENERS_PERIOD = 0.2
#: Minimum seconds between two log lines about camera_info.
_CAMERA_INFO_PERIOD = 10.0
#: So many resets in so many seconds are worth a warning.
_MANY_RESETS, _RESETS_WINDOW = 5, 60.0
#: Share of lost images that is worth a warning, and what to do, by reliability.
_MUCH_LOST = 0.1
_ADVICE = {
    'reliable': 'use compressed images, or give the middleware more shared memory '
    '(config/fastdds.xml)',
    'best_effort': 'have the driver publish reliably, use compressed images, or give the '
    'middleware more shared memory (config/fastdds.xml)',
}
#: Latency in seconds above which camera and node must have different clocks.
_MAX_LATENCY = 60.0


class EstimatorNode(ManagedNode[EstimatorSettings]):
    """Processes the newest image in a thread of its own, and counts dropped ones."""

    kind = EstimatorSettings

    def __init__(self, *, subscribe: bool = True) -> None:
        """Create the node; without ``subscribe`` it gets images only by :meth:`read`."""
        super().__init__('estimator')
        self._subscribe = subscribe
        self._estimator: EmotionEstimator | None = None
        self._worker: EstimatorWorker[Header] | None = None
        self._images: ImageTopic | None = None
        self._jump: JumpHandle | None = None
        self._camera_info: Subscription[CameraInfo] | None = None
        self._known_camera: CameraInfo | None = None
        self._unturned_camera: Intrinsics | None = None
        self._mounting = Mounting()
        self._debug: Publisher[Image] | None = None
        self._ros4hri: Ros4hri | None = None
        self._topics: tuple[LifecyclePublisher[Any], ...] = ()
        #: Nobody subscribes to the results, so no images are read.
        self.idle = False
        self._listeners = Listeners()
        self._listeners_timer: Timer | None = None
        self._reset_counts()

    def _reset_counts(self) -> None:
        self._faces = 0
        self._image_problem = ''
        self._complaints = Complaints('bad images')
        self._latency = SlidingWindow()
        self._resets = SlidingWindow(_RESETS_WINDOW)
        self._counted_resets = 0
        self._watchdog = Watchdog('image')
        self._times = CaptureTimes('message')
        self._lost = LostImages()

    def configure(self) -> None:
        """Load the models and create the publishers."""
        self._reset_counts()
        self._mounting = Mounting(self.settings.rotate)
        self._estimator = EmotionEstimator.load(self.settings)
        self._worker = EstimatorWorker(
            self._estimator,
            lambda: self.settings,
            answer=self._answer,
            reject=self._reject,
            fail=self.break_down,
        )
        self._emotion = self._publisher(Emotion, 'emotion')
        self._emotions = self._publisher(EmotionArray, 'emotions')
        self._topics = (self._emotion, self._emotions)
        self.settings_changed()
        if self.settings.ros4hri:
            self._ros4hri = open_ros4hri(self, self.settings)

    def activate(self) -> None:
        """Start the worker and subscribe to the images."""
        assert self._worker is not None
        self._worker.start()
        self.idle = False
        self._listeners = Listeners()
        self._subscribe_to_camera()
        self._listeners_timer = self.create_timer(
            _LISTENERS_PERIOD,
            self._look_for_listeners,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        self._times = CaptureTimes(self.settings.stamp_source)
        self._lost = LostImages()
        # A simulation or bag that starts again: its first image is not a late one.
        back = JumpThreshold(
            min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=True
        )
        self._jump = self.get_clock().create_jump_callback(
            back, post_callback=lambda _: self._time_went_back()
        )

    def deactivate(self) -> None:
        """Unsubscribe, and finish the current image."""
        if self._jump is not None:
            self._jump.unregister()
            self._jump = None
        if self._listeners_timer is not None:
            self.destroy_timer(self._listeners_timer)
            self._listeners_timer = None
        self._unsubscribe_from_camera()
        self._use_camera(None)
        self.idle = False
        if self._worker is not None and not self._worker.stop():
            # Its thread still uses the models, which therefore must not be freed.
            self._worker = self._estimator = None
            raise RuntimeError('the landmark source hangs; its thread was abandoned')
        if self._ros4hri is not None:
            self._ros4hri.clear()
        self._faces = 0
        self._image_problem = ''

    def clean_up(self) -> None:
        """Free the models and destroy the publishers."""
        self._worker = None
        if self._ros4hri is not None:
            self._ros4hri.close()
            self._ros4hri = None
        if self._estimator is not None:
            self._estimator.close()
            self._estimator = None
        if self._debug is not None:
            self.destroy_publisher(self._debug)
            self._debug = None
        for publisher in self._topics:
            self.destroy_lifecycle_publisher(publisher)
        self._topics = ()

    def settings_changed(self) -> None:
        """Create the debug image's publisher; other settings are read with each image."""
        if self.settings.debug_image and self._debug is None and self._estimator is not None:
            self._debug = self.create_publisher(
                Image, 'debug_image', qos.images(), qos_overriding_options=qos.OVERRIDABLE
            )

    def read(self, header: Header, image: RgbImage) -> None:
        """Process an image of a camera in this process, without a message."""
        if not self.idle:
            self._offer(header, lambda: image)

    def health(self) -> Health:
        """Report rate, latency, losses, faces, and the models in use."""
        counts = self._worker.counts if self._worker is not None else FrameCounts()
        model, ros4hri = self._estimator, self._ros4hri
        budget = self._worker.budget if self._worker is not None else None
        if line := self._complaints.rest():
            self.get_logger().error(line)
        now = time.monotonic()
        latency = self._latency.percentile(50, now)
        return Health(
            values={
                'landmark_source': model.landmark_source if model else '',
                'landmark_reason': model.landmark_reason if model else '',
                'model': model.model if model else '',
                'model_sha256': model.model_sha256 if model else '',
                **(
                    {f'weights_{k}': stated(v) for k, v in model.checksums.items()} if model else {}
                ),
                'branches': model.branches if model else '',
                'vocabulary': '' if not model or self.settings.model else self.settings.vocabulary,
                'frames_processed': counts.processed,
                'frames_dropped': counts.dropped,
                'frames_skipped': counts.skipped,
                'frames_late': counts.late,
                'images_lost_percent': 100.0 * self._lost.share(time.monotonic()),
                'image_reliability': self._images.reliability if self._images else '',
                'frames_bad': counts.bad,
                'frames_bad_by_kind': self._complaints.summary(),
                'state_resets': model.resets if model else 0,
                'faces': self._faces,
                'rotate': self._mounting.degrees,
                'idle': self.idle,
                'cpu_share': budget.share if budget else 0.0,
                'cpu_rate_limit_hz': budget.rate if budget else 0.0,
                'crops_reused': model.reused if model else 0,
                'ros4hri': ros4hri.role if ros4hri else 'off',
                'ros4hri_faces': ros4hri.count if ros4hri else 0,
                'fps': self._latency.rate(now),
                'latency_p50_ms': latency,
                'latency_p95_ms': self._latency.percentile(95, now),
            },
            problem=self._image_problem,
            warning=self._stream_problem(1e-3 * latency) or (ros4hri.warning if ros4hri else ''),
        )

    def _stream_problem(self, latency: float) -> str:
        """Return what is wrong with the stream of images, the cause before its effects.

        :param latency: seconds from stamp to answer.
        """
        if self.idle:
            return ''
        topic = self._images.name if self._images is not None else 'the camera'
        reliability = self._images.reliability if self._images is not None else 'reliable'
        if problem := self._images.warning() if self._images is not None else '':
            return problem
        if problem := self._watchdog.problem():
            there = ', '.join(self._images.established()) if self._images is not None else ''
            if not there:
                return problem
            return (
                f'{problem}, though {there} publishes there: it is idle, or all are lost on the '
                f'way; then {_ADVICE[reliability]}'
            )
        if self._worker is not None and self._worker.mixed:
            return (
                f'the images on {topic} come from two clocks, and only the later one is followed; '
                'give each camera a topic of its own'
            )
        if self._times.problem:
            return (
                f'{self._times.problem} on {topic}, so their time of arrival is used; have the '
                'driver stamp them at capture'
                if self.settings.stamp_source == 'auto'
                else f'{self._times.problem} on {topic}; set stamp_source to auto'
            )
        if problem := _clock_problem(latency):
            return problem
        resets = self._resets.count(time.monotonic())
        if resets >= _MANY_RESETS:
            return (
                f'time jumped {resets} times on {topic} within {_RESETS_WINDOW:.0f} s, and each '
                'time all faces were forgotten; if images pause, raise reset_gap'
            )
        lost = self._lost.share(time.monotonic())
        if lost > _MUCH_LOST:
            return (
                f'{lost:.0%} of the images on {topic} are lost before they arrive; '
                + _ADVICE[reliability]
            )
        return self._mounting.hint

    def _publisher(self, kind: type[MsgT], topic: str) -> LifecyclePublisher[MsgT]:
        return self.create_lifecycle_publisher(
            kind, topic, qos.results(), qos_overriding_options=qos.OVERRIDABLE
        )

    def _look_for_listeners(self) -> None:
        """Stop reading images while nobody wants the results, so that nobody sends them either."""
        debug = [self._debug] if self._debug is not None and self.settings.debug_image else []
        wanted = (
            not self.settings.lazy
            or self._ros4hri is not None
            or self._listeners.present((*self._topics, *debug))
        )
        if wanted != self.idle:
            return
        self.idle = not wanted
        if wanted:
            self._subscribe_to_camera()
            self.get_logger().info('somebody subscribes: images are read')
        else:
            self._unsubscribe_from_camera()
            self._faces = 0
            self.get_logger().info(
                'nobody subscribes to the results: no images are read until somebody does (lazy)'
            )

    def _subscribe_to_camera(self) -> None:
        if self._subscribe:
            self._images = self._subscribe_to_images()
            self._camera_info = self.create_subscription(
                CameraInfo,
                camera_info_topic(self.resolve_topic_name('image_raw')),
                self._on_camera_info,
                qos.images('best_effort'),
                qos_overriding_options=qos.OVERRIDABLE,
            )
        topic = self._images.name if self._images is not None else 'the camera'
        self._watchdog = Watchdog(f'image from {topic}')

    def _unsubscribe_from_camera(self) -> None:
        if self._images is not None:
            self._images.close()
            self._images = None
        if self._camera_info is not None:
            self.destroy_subscription(self._camera_info)
            self._camera_info = self._known_camera = None

    def _subscribe_to_images(self) -> ImageTopic:
        topic, reliability = self.resolve_topic_name('image_raw'), self.settings.image_reliability
        if self.settings.image_transport == 'raw':
            return ImageTopic(self, Image, topic, self._on_raw, self._on_lost, reliability)
        # image_transport's convention: it follows the image topic, even when that is remapped.
        return ImageTopic(
            self,
            CompressedImage,
            f'{topic}/compressed',
            self._on_compressed,
            self._on_lost,
            reliability,
        )

    def _on_lost(self, count: int) -> None:
        self._lost.report(count, time.monotonic())

    def _on_raw(self, message: Image) -> None:
        most = self.settings.max_image_pixels
        self._offer(message.header, lambda: rgb_from_message(message, most))

    def _on_compressed(self, message: CompressedImage) -> None:
        most = self.settings.max_image_pixels
        self._offer(message.header, lambda: rgb_from_compressed(message, most))

    def _on_camera_info(self, message: CameraInfo) -> None:
        """Take over the camera, which nearly always is the one already known."""
        known, self._known_camera = self._known_camera, message
        if self._estimator is None or (known is not None and _same_camera(known, message)):
            return
        # image_transport's and image_proc's names: image_raw, image_rect, image_rect_color.
        topic = self.resolve_topic_name('image_raw').rpartition('/')[2]
        try:
            self._use_camera(intrinsics_from_message(message, rectified='rect' in topic))
        except InputError as error:
            self._use_camera(None)
            if not np.any(message.k):
                self.get_logger().info(
                    'the camera is not calibrated (camera_info is zero), so angles are relative '
                    'to the line of sight',
                    throttle_duration_sec=_CAMERA_INFO_PERIOD,
                )
                return
            self.get_logger().warning(
                f'camera_info is not used, angles are relative to the line of sight: {error}',
                throttle_duration_sec=_CAMERA_INFO_PERIOD,
            )

    def _time_went_back(self) -> None:
        if self._worker is not None:
            self._worker.time_went_back()

    def _use_camera(self, camera: Intrinsics | None) -> None:
        """Take over the camera of the images as they arrive, before they are turned."""
        self._unturned_camera = camera
        if self._estimator is not None:
            degrees = self._mounting.degrees
            self._estimator.camera = turned_camera(camera, degrees) if camera else None

    def _look_around(self, image: RgbImage, stamp: float) -> None:
        """Now and then, while there is no upright face, look for one in the image turned."""
        assert self._estimator is not None
        if look_around(self._mounting, image, stamp, self._estimator):
            self._use_camera(self._unturned_camera)
            degrees = self._mounting.degrees
            self.get_logger().info(
                f'images are turned by {degrees} degrees clockwise, since faces appear so; '
                f'rotate:={degrees} does so from the start'
            )

    def _offer(self, header: Header, decode: Callable[[], RgbImage]) -> None:
        self._watchdog.reset()
        stamp, now = seconds(header.stamp), self.get_clock().now()
        self._lost.add(stamp, time.monotonic())
        name = f'image {header.stamp.sec}.{header.stamp.nanosec:09d}'
        captured = self._times(stamp, now.nanoseconds * 1e-9, time.monotonic())
        if captured != stamp:
            header = Header(stamp=now.to_msg(), frame_id=header.frame_id)
        worker = self._worker
        if worker is not None:
            worker.offer(
                PendingImage(
                    captured, header, lambda: turned(decode(), self._mounting.degrees), name
                )
            )

    def _reject(self, picture: PendingImage[Header], problem: str, kind: str) -> None:
        where = f' on {self._images.name}' if self._images is not None else ''
        # Not by rclpy's throttle, which each place in the code has for itself.
        line = self._complaints(f'{picture.name}{where} dropped', problem, kind)
        if line:
            self.get_logger().error(line)
        self._image_problem = problem

    def _answer(
        self, picture: PendingImage[Header], image: RgbImage, faces: tuple[FaceEmotion, ...]
    ) -> None:
        with until_shutdown(self):
            self._publish(picture, image, faces)

    def _publish(
        self, picture: PendingImage[Header], image: RgbImage, faces: tuple[FaceEmotion, ...]
    ) -> None:
        assert self._estimator is not None
        header = picture.header
        now = self.get_clock().now().nanoseconds * 1e-9
        latency = now - picture.stamp
        main = primary(faces)
        messages = {
            face: emotion_message(
                face,
                header,
                model=self._estimator.model,
                latency=latency,
                with_blendshapes=self.settings.publish_blendshapes,
            )
            for face in faces or (main,)
        }
        self._emotion.publish(messages[main])
        self._emotions.publish(
            EmotionArray(header=header, emotions=[messages[face] for face in faces])
        )
        if self._ros4hri is not None:
            turn = self._mounting.degrees
            self._ros4hri.publish(header, faces, image, self._estimator.camera, turn)
        debug = self._debug
        if debug is not None and self.settings.debug_image and debug.get_subscription_count():
            debug.publish(image_message(annotate(image, faces), header))
        self._faces = len(faces)
        self._image_problem = ''
        if self._estimator.resets > self._counted_resets:
            self._resets.add(time.monotonic())
        self._counted_resets = self._estimator.resets
        self._latency.add(time.monotonic(), 1e3 * latency)
        self._look_around(image, picture.stamp)


def _same_camera(a: CameraInfo, b: CameraInfo) -> bool:
    return (a.width, a.height, a.roi) == (b.width, b.height, b.roi) and all(
        np.array_equal(x, y) for x, y in ((a.k, b.k), (a.p, b.p))
    )


def _clock_problem(latency: float) -> str:
    """Return what an impossible latency (in seconds) means, or an empty text."""
    if -1.0 < latency < _MAX_LATENCY:
        return ''
    return (
        f"image stamps are {latency:.1f} s behind this node's clock; set use_sim_time if they come "
        'from a bag or a simulation, stamp_source to arrival if a driver stamps them with another '
        'clock'
    )


def main() -> int:
    """Run the node until it is stopped."""
    return run(lambda: [EstimatorNode()])
