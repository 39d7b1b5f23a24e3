"""The bag player: publishes a bag's images, and ``/clock`` for nodes with use_sim_time.

Unlike `ros2 bag play` it plays only images, works without rosbag2, and can wait for the estimator's
answer to each image (``--lockstep``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import rclpy
from rclpy.clock import Clock as RosClock
from rclpy.clock import ClockType  # type: ignore[attr-defined]  # Humble has it here only
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.time import Time
from rclpy.utilities import remove_ros_args
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image

from emotion_estimator.bags.files import need_rosbags
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.msg import Emotion
from emotion_estimator.nodes import qos, shared_memory
from emotion_estimator.nodes.complaints import Complaints
from emotion_estimator.untrusted import as_line

if TYPE_CHECKING:
    from emotion_estimator.bags.reader import ImageBag, StampedImage

#: Seconds between two checks for subscribers.
_POLL = 0.02
#: Seconds for the subscribers to discover the player, too; there is no way to check that.
_DISCOVERY = 0.5


class BagPlayerNode(Node):
    """Plays a bag into the ROS graph; driven by :func:`emotion_estimator.bags.player.play`."""

    def __init__(self, bag: ImageBag, *, lockstep: bool) -> None:
        super().__init__('bag_player')
        kind = Image if bag.topics[bag.topic] == 'sensor_msgs/msg/Image' else CompressedImage
        self._images = self.create_publisher(kind, bag.topic, qos.images())
        self._clock_topic = self.create_publisher(Clock, '/clock', QoSProfile(depth=10))
        self._answers: Subscription[Emotion] | None = None
        self._answered = -1
        self._gave_up = False
        self._complain = Complaints('images left out')
        if lockstep:
            self._answers = self.create_subscription(
                Emotion, 'emotion', self._on_answer, qos.results()
            )
        # By the steady clock: the bag's time stands still in lockstep.
        self.create_timer(1.0, self._say_rest, clock=RosClock(clock_type=ClockType.STEADY_TIME))
        self._spinner = SingleThreadedExecutor()
        self._spinner.add_node(self)

    def wait_for_listeners(self, first: int, timeout: float) -> None:
        """Wait until a node subscribes to the images and, in lockstep, publishes answers.

        :param first: time to publish on ``/clock`` meanwhile, in nanoseconds.
        :param timeout: seconds; 0 does not wait.
        :raises InputError: no node does in time.
        """
        deadline = self.now() + timeout
        while timeout and not self._connected():
            if self.now() > deadline:
                answers = f' and answers on {self._answers.topic_name}' if self._answers else ''
                raise InputError(
                    f'no node subscribes to {self._images.topic_name}{answers}; start the '
                    "estimator with the bag's topics and image_transport"
                )
            self.publish_time(first)
            self.wait(self.now() + _POLL, self._connected)
        self.wait(self.now() + _DISCOVERY, lambda: False)

    def now(self) -> float:
        """Return the steady clock's time in seconds."""
        return time.monotonic()

    def wait(self, until: float, done: Callable[[], bool]) -> None:
        """Handle messages until that time, or until ``done()``."""
        while not done() and (left := until - self.now()) > 0:
            self._spinner.spin_once(timeout_sec=left)
            if not self.context.ok():
                raise ExternalShutdownException

    def publish_time(self, nanoseconds: int) -> None:
        """Publish the time on ``/clock``."""
        self._clock_topic.publish(Clock(clock=Time(nanoseconds=nanoseconds).to_msg()))

    def show(self, image: StampedImage, message: bytes) -> None:
        """Publish an image, as serialized in the bag."""
        self._images.publish(message)

    def answered(self, nanoseconds: int) -> bool:
        """Return whether the newest answer is to the image with this stamp."""
        return self._answered == nanoseconds

    def give_up(self, image: StampedImage) -> None:
        """Log the first image that was not answered."""
        if not self._gave_up:
            self._gave_up = True
            self.get_logger().warning(
                f'no answer to the image of {image.stamp:.6f} s; further ones are not logged'
            )

    def leave_out(self, image: StampedImage, problem: str) -> None:
        """Log an image that cannot be played."""
        line = self._complain(f'image of {image.stamp:.6f} s left out', problem)
        if line:
            self.get_logger().warning(line)

    def _say_rest(self) -> None:
        """Log the number of images left out that were not logged one by one."""
        if line := self._complain.rest():
            self.get_logger().warning(line)

    def _on_answer(self, answer: Emotion) -> None:
        self._answered = Time.from_msg(answer.header.stamp).nanoseconds

    def _connected(self) -> bool:
        answering = self._answers is None or self.count_publishers(self._answers.topic_name) > 0
        return answering and self._images.get_subscription_count() > 0


@click.command()
@click.argument('bag', type=click.Path(path_type=Path))
@click.option('--topic', help='Image topic; required if the bag has several.')
@click.option(
    '--rate',
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help='Playback speed relative to real time.',
)
@click.option('--loop', is_flag=True, help='Start again at the end.')
@click.option(
    '--lockstep',
    is_flag=True,
    help='After each image, stop time until it is answered on the topic emotion.',
)
@click.option(
    '--answer-timeout',
    default=5.0,
    show_default=True,
    type=click.FloatRange(0),
    help='Seconds after which an image counts as lost, in lockstep.',
)
@click.option(
    '--wait',
    default=30.0,
    show_default=True,
    type=click.FloatRange(0),
    help='Seconds to wait for an estimator; 0 starts at once.',
)
def _command(
    bag: Path, topic: str | None, rate: float, loop: bool, lockstep: bool, answer_timeout: float,
    wait: float,
) -> int:  # fmt: skip
    """Publish the images of BAG with their stamps, and the time on /clock.

    With --lockstep the exit status is 1 if images were not answered: they were lost, or skipped by
    an estimator with max_rate_hz above 0; use --rate without --lockstep for such an estimator.

    ROS arguments follow --ros-args.
    """
    need_rosbags()
    from emotion_estimator.bags.player import play, rounds
    from emotion_estimator.bags.reader import open_bag

    with open_bag(bag, topic) as opened:
        node = BagPlayerNode(opened, lockstep=lockstep)
        shared_memory.keep_private()
        first = next(iter(opened.images()), None)
        if first is None:
            raise InputError(f'bag {bag} has no readable image')
        node.wait_for_listeners(first.nanoseconds, wait)
        start = node.now()
        played = play(
            rounds(opened, loop), node, rate=rate, lockstep=lockstep, answer_timeout=answer_timeout
        )
        for problem in opened.problems:
            node.get_logger().warning(as_line(problem))
        account = played.account(opened)
        say = node.get_logger().info if account.complete else node.get_logger().warning
        say(as_line(str(account)))
        lost = f', {played.unanswered} not answered' if lockstep else ''
        node.get_logger().info(
            f'{played.shown} images of {opened.topic} in {node.now() - start:.1f} s{lost}'
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

    0 at the end of the bag, or after a signal. With one line on standard error: 1 if images were
    not answered in lockstep, 2 if the bag cannot be played or no node subscribes.
    """
    problem, initialised, status = '', False, 0
    try:
        shared_memory.remove_dead()
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
        # rclpy's: unusable arguments or, after a signal, a context that has been shut down.
        if initialised and rclpy.ok():
            raise
        problem = '' if initialised else f'ROS 2 cannot start this node: {first_line(error)}'
    finally:
        rclpy.try_shutdown()
        shared_memory.remove_dead()
    if problem:
        print(as_line(problem), file=sys.stderr)
    return 2 if problem else status
