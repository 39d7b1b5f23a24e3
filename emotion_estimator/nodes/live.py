"""The live node: serves a page that shows what the other nodes publish."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble has it here only
from rclpy.lifecycle import LifecyclePublisher
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Bool, String

from emotion_estimator.errors import InputError
from emotion_estimator.frame import RgbImage
from emotion_estimator.live.history import History
from emotion_estimator.live.moment import Moment
from emotion_estimator.live.page_image import PageImage, page_image
from emotion_estimator.live.remark import PERSON, Remark, of_action
from emotion_estimator.live.server import serving
from emotion_estimator.msg import DialogueAction, Emotion, EmotionArray
from emotion_estimator.nodes import qos
from emotion_estimator.nodes.conversion import (
    action_from_message,
    face_from_message,
    rgb_from_message,
    seconds,
)
from emotion_estimator.nodes.diagnostics import Health
from emotion_estimator.nodes.image_topic import ImageTopic
from emotion_estimator.nodes.lifecycle import ManagedNode
from emotion_estimator.nodes.running import run
from emotion_estimator.perception.image import rgb_from_compressed
from emotion_estimator.settings import EstimatorSettings, LiveSettings
from emotion_estimator.timing import RateLimit
from emotion_estimator.untrusted import MAX_PIXELS, parse_json

if TYPE_CHECKING:
    from rclpy.type_support import MsgT

#: Seconds between looks whether a page is open.
_LOOK = 0.2
#: Seconds between two questions for the estimator's thresholds.
_ASK = 2.0
#: Images kept until their emotions come, and how many a second are shown.
_IMAGES, _IMAGE_RATE = 30, 15.0
#: Faces of one image that are shown.
_MAX_FACES = 16
#: The estimator's parameters that the page may set.
_THRESHOLDS = ('happy_threshold', 'sad_threshold', 'abstain_below')
#: Seconds within which the estimator answers.
_ANSWERS_WITHIN = 2.0


class LiveNode(ManagedNode[LiveSettings]):
    """Serves the page, and subscribes while one is open; a feed of emotion_estimator.live."""

    kind = LiveSettings

    def __init__(self) -> None:
        super().__init__('live')
        self.history = History()
        self.title = ''
        #: Sources and vocabularies are the other nodes' own, recordings `ros2 bag record`'s.
        self.can: frozenset[str] = frozenset()
        self.recording = False
        self._served = ExitStack()
        self._address = ''
        self._viewers = 0
        self._listening: list[Subscription[Any]] = []
        self._images: ImageTopic | None = None
        self._words: LifecyclePublisher[String] | None = None
        self._regularly: list[Timer] = []
        self._estimator: AsyncParameterClient | None = None
        # Until the estimator has told its own.
        defaults = EstimatorSettings()
        self._thresholds = {name: float(getattr(defaults, name)) for name in _THRESHOLDS}
        self._forget()

    def _forget(self) -> None:
        """Forget what was heard last."""
        self._waiting: OrderedDict[tuple[int, int], Callable[[], RgbImage]] = OrderedDict()
        self._truth: str | None = None
        self._speaks: bool | None = None
        self._floor = ''
        self._suppressed: tuple[str, ...] = ()
        self._due = RateLimit()
        self._problem_of_image = ''
        self._last_image: tuple[PageImage, int] = (PageImage(), 480)

    # The node.

    def configure(self) -> None:
        """Begin to serve the page."""
        self._words = self.create_lifecycle_publisher(
            String, 'dialogue/user_said', qos.results(), qos_overriding_options=qos.OVERRIDABLE
        )
        self._address = self._served.enter_context(serving(self, self.settings.port or None))
        # Not into the log, which goes to /rosout, where all of the network may read the key.
        print(self._address, flush=True)
        self.get_logger().info('the page is served; its address is on standard output')

    def activate(self) -> None:
        """Look whether a page is open, and listen while one is."""
        self.title = self.resolve_topic_name('image_raw')
        self._estimator = AsyncParameterClient(self, self.settings.estimator)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._regularly = [
            self.create_timer(_LOOK, self._look, clock=steady),
            self.create_timer(_ASK, self._ask_thresholds, clock=steady),
        ]

    def deactivate(self) -> None:
        """Stop listening; the page stays, and shows what it has."""
        for timer in self._regularly:
            self.destroy_timer(timer)
        self._regularly = []
        self._ignore()
        self._estimator = None

    def clean_up(self) -> None:
        """Stop serving."""
        self._served.close()
        self._address = ''
        if self._words is not None:
            self.destroy_lifecycle_publisher(self._words)
            self._words = None

    def health(self) -> Health:
        """Report whether the page is served and looked at; its address holds a key."""
        return Health(
            values={'pages_open': self._viewers, 'served': bool(self._address)},
            warning=self.status() if self._listening else '',
        )

    # The feed; called by the page's thread.

    def watch(self, viewers: int) -> None:
        """Listen while somebody looks."""
        self._viewers = viewers

    def status(self) -> str:
        """Return what is wrong with the images."""
        images = self._images
        if images is not None and not images.publishers:
            return f'nobody publishes {images.name}'
        return self._problem_of_image

    def changeable(self) -> Mapping[str, Any]:
        """Return the estimator's thresholds as it told them last."""
        return dict(self._thresholds)

    def change(self, name: str, value: Any) -> None:
        """Set a threshold of the estimator.

        :raises InputError: it does not answer, or refuses the value.
        """
        client = self._estimator
        if name not in _THRESHOLDS or client is None:
            raise InputError(f'{name} cannot be changed here')
        answered = threading.Event()
        future = client.set_parameters([Parameter(name, Parameter.Type.DOUBLE, float(value))])
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(_ANSWERS_WITHIN):
            raise InputError(f'{self.settings.estimator} does not answer; is it running?')
        answer: Any = future.result()
        result = answer.results[0]
        if not result.successful:
            raise InputError(result.reason)

    def choose_source(self, source: str) -> None:
        """Refuse: the camera node has its own parameter."""
        raise InputError('set the parameter source of the camera node')

    def say(self, words: str) -> None:
        """Publish what the person says, as a recogniser of speech would."""
        if words.strip() and self._words is not None:
            self._words.publish(String(data=words.strip()))

    def record(self, on: bool) -> str:
        """Refuse: ``ros2 bag record`` is there for that."""
        raise InputError('record with: ros2 bag record -a')

    # What is heard.

    def _look(self) -> None:
        if bool(self._viewers) == bool(self._listening):
            return
        if self._viewers:
            self._listen()
        else:
            self._ignore()

    def _listen(self) -> None:
        raw = self.settings.image_transport == 'raw'
        self._images = ImageTopic(
            self,
            Image if raw else CompressedImage,
            self.title if raw else f'{self.title}/compressed',
            self._on_raw if raw else self._on_compressed,
            lambda _: None,
        )
        self._hear(EmotionArray, 'emotions', self._on_faces)
        self._hear(Emotion, 'ground_truth', self._on_truth)
        self._hear(Bool, 'ground_truth/speaking', self._on_true_speech)
        self._hear(DialogueAction, 'dialogue/action', self._on_action)
        self._hear(String, 'dialogue/context', self._on_context)
        self._hear(String, 'dialogue/user_said', self._on_words)
        self._hear(DiagnosticArray, '/diagnostics', self._on_health)

    def _ignore(self) -> None:
        if self._images is not None:
            self._images.close()
            self._images = None
        for subscription in self._listening:
            self.destroy_subscription(subscription)
        self._listening = []
        self._forget()
        self.history.clear()

    def _hear(self, kind: type[MsgT], topic: str, handle: Callable[[MsgT], None]) -> None:
        self._listening.append(
            self.create_subscription(
                kind, topic, handle, qos.results(), qos_overriding_options=qos.OVERRIDABLE
            )
        )

    def _on_raw(self, message: Image) -> None:
        self._keep(message, lambda: rgb_from_message(message, MAX_PIXELS))

    def _on_compressed(self, message: CompressedImage) -> None:
        self._keep(message, lambda: rgb_from_compressed(message, MAX_PIXELS))

    def _keep(self, message: Any, decode: Callable[[], RgbImage]) -> None:
        stamp = message.header.stamp
        self._waiting[stamp.sec, stamp.nanosec] = decode
        while len(self._waiting) > _IMAGES:
            self._waiting.popitem(last=False)

    def _on_faces(self, message: EmotionArray) -> None:
        stamp = message.header.stamp
        at = seconds(stamp)
        faces = map(face_from_message, message.emotions[:_MAX_FACES])
        image, height = self._image(self._waiting.get((stamp.sec, stamp.nanosec)), at)
        self.history.add(
            Moment(
                at,
                tuple(face for face in faces if face is not None),
                image,
                height,
                truth=self._truth,
                speaks=self._speaks,
                latency=float(message.emotions[0].latency) if message.emotions else 0.0,
                floor=self._floor,
                suppressed=self._suppressed,
            )
        )

    def _image(self, decode: Callable[[], RgbImage] | None, stamp: float) -> tuple[PageImage, int]:
        """Return the shrunk image and its height before; no JPEG if it is not due, or damaged."""
        if decode is not None and self._due(stamp, _IMAGE_RATE):
            try:
                image = decode()
            except InputError as error:
                self._problem_of_image = str(error)
            else:
                self._problem_of_image = ''
                self._last_image = page_image(image), image.shape[0]
                return self._last_image
        # The one before stays on the page.
        before, height = self._last_image
        return before._replace(jpeg=b''), height

    def _on_truth(self, message: Emotion) -> None:
        self._truth = message.label

    def _on_true_speech(self, message: Bool) -> None:
        self._speaks = message.data

    def _on_action(self, message: DialogueAction) -> None:
        self.history.say(of_action(action_from_message(message)))

    def _on_words(self, message: String) -> None:
        now = self.get_clock().now().nanoseconds * 1e-9
        self.history.say(Remark(now, PERSON, message.data))

    def _on_context(self, message: String) -> None:
        try:
            self._floor = str(parse_json(message.data)['turns']['floor'])
        except (ValueError, TypeError, KeyError):
            # Another package's message of that name.
            self._floor = ''

    def _on_health(self, message: DiagnosticArray) -> None:
        for status in message.status:
            for item in status.values:
                if item.key == 'suppressed':
                    self._suppressed = tuple(filter(None, item.value.split('; ')))

    def _ask_thresholds(self) -> None:
        client = self._estimator
        if not self._viewers or client is None or not client.services_are_ready():
            return
        client.get_parameters(list(_THRESHOLDS)).add_done_callback(self._learn_thresholds)

    def _learn_thresholds(self, future: Any) -> None:
        values = [value.double_value for value in future.result().values]
        if len(values) == len(_THRESHOLDS):
            self._thresholds = dict(zip(_THRESHOLDS, values))


def main() -> int:
    """Run the node until it is stopped."""
    return run(lambda: [LiveNode()])
