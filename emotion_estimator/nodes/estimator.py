"""The estimator node: images in, the emotion of each face out."""

from __future__ import annotations

import threading

from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from emotion_estimator.annotation import annotate
from emotion_estimator.emotion import FaceEmotion, primary
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.latest import Latest
from emotion_estimator.msg import Emotion, EmotionArray
from emotion_estimator.nodes.conversion import (
    emotion_message,
    image_message,
    rgb_from_message,
    seconds,
)
from emotion_estimator.nodes.diagnostics import Health, publish_diagnostics
from emotion_estimator.nodes.parameters import declare_settings
from emotion_estimator.nodes.running import StoppableNode, run, until_shutdown
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.statistics import SlidingWindow


class EstimatorNode(StoppableNode):
    """Works on the newest image in a thread of its own and counts those it had to drop."""

    def __init__(self) -> None:
        super().__init__('estimator')
        self.settings = declare_settings(self, EstimatorSettings)
        self._estimator = EmotionEstimator.load(self.settings)
        self._emotion = self.create_publisher(Emotion, 'emotion', 10)
        self._emotions = self.create_publisher(EmotionArray, 'emotions', 10)
        self._debug = (
            self.create_publisher(Image, 'debug_image', qos_profile_sensor_data)
            if self.settings.debug_image
            else None
        )
        self._processed = 0
        self._bad = 0
        self._problem = ''
        self._faces = 0
        self._latency = SlidingWindow()
        self._newest: Latest[Image] = Latest()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self.report = publish_diagnostics(self, self._health)
        images = self.create_subscription(
            Image, 'image_raw', self._newest.put, qos_profile_sensor_data
        )
        self._topic = images.topic_name

    def stop(self) -> None:
        """Finish the image at hand and free the models."""
        self._newest.close()
        self._thread.join(timeout=5.0)
        super().stop()
        self._estimator.close()

    def _work(self) -> None:
        try:
            while (message := self._newest.take()) is not None:
                self._estimate(message)
        except Exception as error:
            self.fail(f'the estimator cannot go on: {first_line(error)}')

    def _estimate(self, message: Image) -> None:
        try:
            image = rgb_from_message(message)
            faces = self._estimator(Frame(image, seconds(message.header.stamp)))
        except InputError as error:
            self._reject(message, str(error))
        except Exception as error:
            # MediaPipe's graph failed on this image; a fresh one may do better on the next.
            self._reject(message, f'landmark source failed, started anew: {first_line(error)}')
            self._estimator.reset()
        else:
            with until_shutdown(self):
                self._publish(message, image, faces)

    def _reject(self, message: Image, problem: str) -> None:
        self._bad += 1
        stamp = message.header.stamp
        line = f'image {stamp.sec}.{stamp.nanosec:09d} on {self._topic} dropped: {problem}'
        if problem != self._problem:
            self.get_logger().error(line)
        else:
            self.get_logger().error(line, throttle_duration_sec=5.0)
        self._problem = problem

    def _publish(self, source: Image, image: RgbImage, faces: tuple[FaceEmotion, ...]) -> None:
        header = source.header
        now = self.get_clock().now().nanoseconds * 1e-9
        latency = now - seconds(header.stamp)
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
        if self._debug is not None and self._debug.get_subscription_count():
            self._debug.publish(image_message(annotate(image, faces), header))
        self._processed += 1
        self._faces = len(faces)
        self._problem = ''
        self._latency.add(now, 1e3 * latency)

    def _health(self) -> Health:
        return Health(
            values={
                'landmark_source': self._estimator.landmark_source,
                'landmark_reason': self._estimator.landmark_reason,
                'model': self._estimator.model,
                'frames_processed': self._processed,
                'frames_dropped': self._newest.dropped,
                'frames_bad': self._bad,
                'state_resets': self._estimator.resets,
                'faces': self._faces,
                'fps': self._latency.rate(),
                'latency_p50_ms': self._latency.percentile(50),
                'latency_p95_ms': self._latency.percentile(95),
                'last_error': self._problem,
            },
            problem=self._problem,
        )


def main() -> int:
    """Run the node until it is stopped."""
    return run(EstimatorNode)
