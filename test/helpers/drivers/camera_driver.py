"""A camera driver: publishes noise, or one picture, at a rate, with the stamps asked for."""

from __future__ import annotations

import argparse
import time
from array import array

import numpy as np
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('--topic', default='image_raw')
    parser.add_argument('--size', type=int, nargs=2, default=(640, 480))
    parser.add_argument('--picture', help='.npy file with an image, uint8 (H, W, 3) RGB')
    parser.add_argument('--best-effort', action='store_true')
    parser.add_argument('--rate', type=float, default=15.0)
    parser.add_argument('--count', type=int, default=60)
    parser.add_argument('--stamps', choices=['now', 'zero', 'stuck'], default='now')
    parser.add_argument('--jitter', type=float, default=0.0, help='seconds, of the order')
    parser.add_argument('--drop', type=float, default=0.0, help='share lost on the way')
    options, ros = parser.parse_known_args()
    rclpy.init(args=ros)
    node = rclpy.create_node('driver')
    kind = ReliabilityPolicy.BEST_EFFORT if options.best_effort else ReliabilityPolicy.RELIABLE
    images = node.create_publisher(Image, options.topic, QoSProfile(depth=10, reliability=kind))
    noise = np.random.default_rng(0)
    if options.picture:
        picture = np.load(options.picture)
    else:
        picture = noise.integers(0, 255, (options.size[1], options.size[0], 3), dtype=np.uint8)
    while images.get_subscription_count() == 0:
        time.sleep(0.05)
    # A subscriber that would rather subscribe otherwise does so now.
    time.sleep(1.5)
    start, period = time.time(), 1.0 / options.rate
    taken = [start + n * period for n in range(options.count)]
    for stamp in sorted(taken, key=lambda stamp: stamp + noise.uniform(0.0, options.jitter)):
        message = Image(encoding='rgb8', height=picture.shape[0], width=picture.shape[1])
        message.step = 3 * message.width
        message.header.frame_id = 'eye'
        shown = {'now': stamp, 'zero': 0.0, 'stuck': start}[options.stamps]
        message.header.stamp.sec = int(shown)
        message.header.stamp.nanosec = int(shown % 1 * 1e9)
        data = array('B')
        data.frombytes(picture.tobytes())
        message.data = data
        if noise.random() >= options.drop:
            images.publish(message)
        time.sleep(period)
    print('published', options.count, flush=True)
    # Until the last reliable image is acknowledged.
    time.sleep(2.0)


if __name__ == '__main__':
    main()
