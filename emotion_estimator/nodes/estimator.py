"""The estimator node: images in, the emotion of each face out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from emotion_estimator.annotation import annotate
from emotion_estimator.emotion import FaceEmotion, primary
from emotion_estimator.frame import RgbImage
from emotion_estimator.msg import Emotion, EmotionArray
from emotion_estimator.nodes import qos
from emotion_estimator.nodes.conversion import (
    emotion_message,
    image_message,
    rgb_from_message,
    seconds,
)
from emotion_estimator.nodes.diagnostics import Health
from emotion_estimator.nodes.lifecycle import ManagedNode, until_shutdown
from emotion_estimator.nodes.ros4hri import Ros4hri, open_ros4hri
from emotion_estimator.nodes.running import run
from emotion_estimator.perception.dropped_frames import FrameCounts
from emotion_estimator.perception.image import rgb_from_compressed
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.perception.worker import EstimatorWorker, PendingImage
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.timing import Silence, SlidingWindow

#: Seconds of latency beyond which the clocks of camera and node cannot be the same.
_MOST_LATENCY = 60.0


class EstimatorNode(ManagedNode[EstimatorSettings]):
    """Works on the newest image in a thread of its own and counts those it had to drop."""

    kind = EstimatorSettings

    def __init__(self, *, subscribe: bool = True) -> None:
        """Make the node; with ``subscribe`` false images come by :meth:`read` alone."""
        super().__init__('estimator')
        self._subscribe = subscribe
        self._estimator: EmotionEstimator | None = None
        self._worker: EstimatorWorker[Header] | None = None
        self._images: Any = None
        self._debug: Any = None
        self._ros4hri: Ros4hri | None = None
        self._topics: tuple[Any, ...] = ()
        self._reset_counts()

    def _reset_counts(self) -> None:
        self._faces = 0
        self._trouble = ''
        self._latency = SlidingWindow()
        self._silence = Silence('image')

    def configure(self) -> None:
        """Load the models and announce the results."""
        self._reset_counts()
        self._estimator = EmotionEstimator.load(self.settings)
        self._worker = EstimatorWorker(
            self._estimator,
            lambda: self.settings,
            answer=self._answer,
            reject=self._reject,
            fail=self.break_down,
        )
        self._emotion = self.create_lifecycle_publisher(Emotion, 'emotion', qos.RESULTS)
        self._emotions = self.create_lifecycle_publisher(EmotionArray, 'emotions', qos.RESULTS)
        self._topics = (self._emotion, self._emotions)
        self.settings_changed()
        if self.settings.ros4hri:
            self._ros4hri = open_ros4hri(self)

    def activate(self) -> None:
        """Begin to listen and to work."""
        assert self._worker is not None
        self._worker.start()
        if self._subscribe:
            self._images = self._subscribe_to_images()
        topic = self._images.topic_name if self._images is not None else 'the camera'
        self._silence = Silence(f'image from {topic}')

    def deactivate(self) -> None:
        """Finish the image at hand; nothing is received any more."""
        if self._images is not None:
            self.destroy_subscription(self._images)
            self._images = None
        if self._worker is not None and not self._worker.stop():
            # What still runs in there must not be freed.
            self._worker = self._estimator = None
            raise RuntimeError('the landmark source hangs in an image; it is left behind')
        if self._ros4hri is not None:
            self._ros4hri.clear()
        self._faces = 0
        self._trouble = ''

    def clean_up(self) -> None:
        """Free the models' memory and take the topics down."""
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
        """Announce the debug image once it is wanted; the rest is read with each image."""
        if self.settings.debug_image and self._debug is None and self._estimator is not None:
            self._debug = self.create_publisher(Image, 'debug_image', qos.IMAGES)

    def read(self, header: Header, image: RgbImage) -> None:
        """Work on an image of this process's camera, in place of a message."""
        self._offer(header, lambda: image)

    def health(self) -> Health:
        """Report rate, latency, losses, faces, and which models are at work."""
        counts = self._worker.counts if self._worker is not None else FrameCounts()
        model = self._estimator
        now = time.monotonic()
        latency = self._latency.percentile(50, now)
        return Health(
            values={
                'landmark_source': model.landmark_source if model else '',
                'landmark_reason': model.landmark_reason if model else '',
                'model': model.model if model else '',
                'model_sha256': model.model_sha256 if model else '',
                'branches': model.branches if model else '',
                'vocabulary': '' if not model or self.settings.model else self.settings.vocabulary,
                'frames_processed': counts.processed,
                'frames_dropped': counts.dropped,
                'frames_skipped': counts.skipped,
                'frames_bad': counts.bad,
                'state_resets': model.resets if model else 0,
                'faces': self._faces,
                'fps': self._latency.rate(now),
                'latency_p50_ms': latency,
                'latency_p95_ms': self._latency.percentile(95, now),
            },
            problem=self._trouble,
            warning=self._silence.problem() or _clock_trouble(1e-3 * latency),
        )

    def _subscribe_to_images(self) -> Any:
        topic = self.resolve_topic_name('image_raw')
        if self.settings.image_transport == 'raw':
            return self.create_subscription(Image, topic, self._take_raw, qos.IMAGES)
        # As image_transport names it: beside the image, whatever that is remapped to.
        return self.create_subscription(
            CompressedImage, f'{topic}/compressed', self._take_compressed, qos.IMAGES
        )

    def _take_raw(self, message: Image) -> None:
        self._offer(message.header, lambda: rgb_from_message(message))

    def _take_compressed(self, message: CompressedImage) -> None:
        self._offer(message.header, lambda: rgb_from_compressed(message))

    def _offer(self, header: Header, decode: Callable[[], RgbImage]) -> None:
        self._silence.end()
        worker = self._worker
        if worker is not None:
            worker.offer(PendingImage(seconds(header.stamp), header, decode))

    def _reject(self, picture: PendingImage[Header], problem: str) -> None:
        stamp = picture.header.stamp
        where = f' on {self._images.topic_name}' if self._images is not None else ''
        line = f'image {stamp.sec}.{stamp.nanosec:09d}{where} dropped: {problem}'
        if problem != self._trouble:
            self.get_logger().error(line)
        else:
            self.get_logger().error(line, throttle_duration_sec=5.0)
        self._trouble = problem

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
            self._ros4hri.publish(header, faces, image.shape[1], image.shape[0])
        debug = self._debug
        if debug is not None and self.settings.debug_image and debug.get_subscription_count():
            debug.publish(image_message(annotate(image, faces), header))
        self._faces = len(faces)
        self._trouble = ''
        self._latency.add(time.monotonic(), 1e3 * latency)


def _clock_trouble(latency: float) -> str:
    """Say what an impossible latency (seconds) means, nothing where it is possible."""
    if -1.0 < latency < _MOST_LATENCY:
        return ''
    return (
        f"images are stamped {latency:.1f} s before this node's clock: for a bag or a simulation "
        'set use_sim_time, else synchronise the clocks'
    )


def main() -> int:
    """Run the node until it is stopped."""
    return run(lambda: [EstimatorNode()])
