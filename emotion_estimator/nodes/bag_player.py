"""The bag player: a bag's images on their topic, with ``/clock``, for nodes with use_sim_time.

`ros2 bag play` does this too. This one plays images only, is there without rosbag2, and can wait
for the estimator's answer to each image (``--lockstep``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.time import Time
from rclpy.utilities import remove_ros_args
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from emotion_estimator.bags.files import need_rosbags
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.msg import Emotion
from emotion_estimator.nodes import qos

if TYPE_CHECKING:
    from emotion_estimator.bags.reader import ImageBag, StampedImage

#: Seconds between two looks for listeners.
POLL = 0.02
#: Seconds for those who were found to find the player, which nobody can ask them.
BEFOREHAND = 0.5


class BagPlayerNode(Node):
    """The stage of :func:`emotion_estimator.bags.player.play` in a ROS graph."""

    def __init__(self, bag: ImageBag, *, lockstep: bool) -> None:
        super().__init__('bag_player')
        kind = Image if bag.topics[bag.topic] == 'sensor_msgs/msg/Image' else CompressedImage
        self._images = self.create_publisher(kind, bag.topic, qos.IMAGES)
        self._clock_topic = self.create_publisher(Clock, '/clock', QoSProfile(depth=10))
        self._answers: Any = None
        self._answered = -1
        self._gave_up = False
        if lockstep:
            self._answers = self.create_subscription(Emotion, 'emotion', self._hear, qos.RESULTS)
        self._spinner = SingleThreadedExecutor()
        self._spinner.add_node(self)

    def wait_for_listeners(self, first: int, timeout: float) -> None:
        """Wait until somebody takes the images, and answers where answers are waited for.

        :param first: time of the recording meanwhile, in nanoseconds.
        :param timeout: seconds; 0 waits for nobody.
        :raises InputError: nobody does in time.
        """
        deadline = self.now() + timeout
        while timeout and not self._heard():
            if self.now() > deadline:
                answers = f', or answers on {self._answers.topic_name}' if self._answers else ''
                raise InputError(
                    f'nobody listens to {self._images.topic_name}{answers}: start the estimator '
                    'with its topics and image_transport as the bag has them'
                )
            self.publish_time(first)
            self.wait(self.now() + POLL, self._heard)
        self.wait(self.now() + BEFOREHAND, lambda: False)

    def now(self) -> float:
        """Return seconds of the steady clock."""
        return time.monotonic()

    def wait(self, until: float, done: Callable[[], bool]) -> None:
        """Take what is received until that time, or until ``done()``."""
        while not done() and (left := until - self.now()) > 0:
            self._spinner.spin_once(timeout_sec=left)
            if not self.context.ok():
                raise ExternalShutdownException

    def publish_time(self, nanoseconds: int) -> None:
        """Publish the time."""
        self._clock_topic.publish(Clock(clock=Time(nanoseconds=nanoseconds).to_msg()))

    def show(self, image: StampedImage, message: bytes) -> None:
        """Publish an image as it lies in the bag."""
        self._images.publish(message)

    def answered(self, nanoseconds: int) -> bool:
        """Whether the newest answer is to the image with this stamp."""
        return self._answered == nanoseconds

    def give_up(self, image: StampedImage) -> None:
        """Log the first one."""
        if not self._gave_up:
            self._gave_up = True
            self.get_logger().warning(
                f'no answer to the image of {image.stamp:.6f} s; the next ones are not logged'
            )

    def leave_out(self, image: StampedImage, problem: str) -> None:
        """Log it."""
        self.get_logger().warning(f'image of {image.stamp:.6f} s left out: {problem}')

    def _hear(self, answer: Emotion) -> None:
        self._answered = Time.from_msg(answer.header.stamp).nanoseconds

    def _heard(self) -> bool:
        answering = self._answers is None or self.count_publishers(self._answers.topic_name) > 0
        return answering and self._images.get_subscription_count() > 0


@click.command()
@click.argument('bag', type=click.Path(path_type=Path))
@click.option('--topic', help='Of the images; needed where a bag holds several.')
@click.option(
    '--rate',
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help='Speed against real time.',
)
@click.option('--loop', is_flag=True, help='Begin again at the end.')
@click.option(
    '--lockstep',
    is_flag=True,
    help='After each image, hold the time until it was answered on the topic emotion.',
)
@click.option(
    '--answer-timeout',
    default=5.0,
    show_default=True,
    type=click.FloatRange(0),
    help='Seconds after which an image counts as lost in lockstep.',
)
@click.option(
    '--wait',
    default=30.0,
    show_default=True,
    type=click.FloatRange(0),
    help='Seconds to wait for an estimator; 0 begins at once.',
)
def _command(
    bag: Path, topic: str | None, rate: float, loop: bool, lockstep: bool, answer_timeout: float,
    wait: float,
) -> int:  # fmt: skip
    """Play the images of BAG with their stamps, and the time on /clock.

    In lockstep, the status is 1 where images were not answered: lost on the way, or left out by an
    estimator with max_rate_hz above 0; play for that one at a rate, without --lockstep.

    ROS arguments follow after --ros-args.
    """
    need_rosbags()
    from emotion_estimator.bags.player import play, rounds
    from emotion_estimator.bags.reader import open_bag

    with open_bag(bag, topic) as opened:
        node = BagPlayerNode(opened, lockstep=lockstep)
        first = next(iter(opened.images()), None)
        if first is None:
            raise InputError(f'bag {bag} has no image that can be read')
        node.wait_for_listeners(first.nanoseconds, wait)
        begun = node.now()
        played = play(
            rounds(opened, loop), node, rate=rate, lockstep=lockstep, answer_timeout=answer_timeout
        )
        for problem in opened.problems:
            node.get_logger().warning(problem)
        lost = f', {played.unanswered} of them not answered' if lockstep else ''
        node.get_logger().info(
            f'{played.shown} images of {opened.topic} in {node.now() - begun:.1f} s{lost}'
        )
    if not played.unanswered:
        return 0
    print(
        f'{played.unanswered} of {played.shown} images were not answered within '
        f"{answer_timeout:g} s each; in lockstep the estimator's max_rate_hz must be 0",
        file=sys.stderr,
    )
    return 1


def main() -> int:
    """Play a bag; return the process's exit status.

    0 at the bag's end, and when told to stop. With one line on standard error: 1 where images were
    not answered in lockstep, 2 where the bag cannot be played, or nobody listens.
    """
    problem, initialised, status = '', False, 0
    try:
        rclpy.init(args=sys.argv)
        initialised = True
        given = remove_ros_args(sys.argv)[1:]
        status = _command.main(given, 'bag_player_node', standalone_mode=False)
    except (KeyboardInterrupt, ExternalShutdownException, click.Abort):
        pass
    except click.ClickException as error:
        problem = f'{error.format_message().rstrip(".")}; see --help'
    except InputError as error:
        problem = str(error)
    except RuntimeError as error:
        # rclpy's: arguments it cannot use; or, told to stop, a context that is gone.
        if initialised and rclpy.ok():
            raise
        problem = '' if initialised else f'ROS 2 cannot start this node: {first_line(error)}'
    finally:
        rclpy.try_shutdown()
    if problem:
        print(problem, file=sys.stderr)
    return 2 if problem else status
