"""A camera driver: publishes noise, or one picture, at a rate, with the stamps asked for."""

from __future__ import annotations

import argparse
import time
from array import array

import cv2
import numpy as np
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image


def grey(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def i420(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)


def nv12(rgb: np.ndarray) -> np.ndarray:
    planes = i420(rgb)
    height, width = rgb.shape[:2]
    luma, chroma = planes[:height], planes[height:].reshape(2, -1)
    return np.vstack([luma, chroma.T.reshape(-1, width)])


def packed_422(rgb: np.ndarray, luma_first: bool) -> np.ndarray:
    yuv = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV)
    packed = np.empty((*rgb.shape[:2], 2), np.uint8)
    luma, chroma = (0, 1) if luma_first else (1, 0)
    packed[..., luma] = yuv[..., 0]
    packed[:, 0::2, chroma], packed[:, 1::2, chroma] = yuv[:, 0::2, 1], yuv[:, 0::2, 2]
    return packed


def mosaic(rgb: np.ndarray) -> np.ndarray:
    raw = rgb[..., 1].copy()
    raw[0::2, 0::2], raw[1::2, 1::2] = rgb[0::2, 0::2, 0], rgb[1::2, 1::2, 2]
    return raw


#: From RGB, as image_encodings.hpp has them, and drivers of OAK, libcamera, industrial cameras.
ENCODINGS = {
    'rgb8': lambda rgb: rgb,
    'bgr8': lambda rgb: rgb[..., ::-1],
    'rgba8': lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA),
    'bgra8': lambda rgb: cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA),
    'mono8': grey,
    'mono16': lambda rgb: grey(rgb).astype(np.uint16) * 257,
    '16UC1': lambda rgb: grey(rgb).astype(np.uint16) * 16,
    'yuv422': lambda rgb: packed_422(rgb, luma_first=False),
    'yuv422_yuy2': lambda rgb: packed_422(rgb, luma_first=True),
    'bayer_rggb8': mosaic,
    'nv12': nv12,
    'i420': i420,
}


#: The stamp of the n-th image, taken at a time, in a stream that began at another.
STAMPS = {
    'now': lambda n, taken, start: taken,
    'zero': lambda n, taken, start: 0.0,
    'stuck': lambda n, taken, start: start,
    # Two cameras behind one driver, one of them an hour late.
    'two_clocks': lambda n, taken, start: taken - n % 2 * 3600.0,
    # A clock that is set back by a second after each 40 images, and forward in between.
    'jumps': lambda n, taken, start: taken - n // 20 % 2,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('--topic', default='image_raw')
    parser.add_argument('--size', type=int, nargs=2, default=(640, 480))
    parser.add_argument('--picture', help='.npy file with an image, uint8 (H, W, 3) RGB')
    parser.add_argument('--encoding', choices=ENCODINGS, default='rgb8')
    parser.add_argument('--best-effort', action='store_true')
    parser.add_argument('--rate', type=float, default=15.0)
    parser.add_argument('--count', type=int, default=60)
    parser.add_argument('--stamps', choices=STAMPS, default='now')
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
    encoded = np.ascontiguousarray(ENCODINGS[options.encoding](picture))
    while images.get_subscription_count() == 0:
        time.sleep(0.05)
    # A subscriber that would rather subscribe otherwise does so now.
    time.sleep(1.5)
    start, period = time.time(), 1.0 / options.rate
    taken = [start + n * period for n in range(options.count)]
    stamps = sorted(taken, key=lambda stamp: stamp + noise.uniform(0.0, options.jitter))
    for n, stamp in enumerate(stamps):
        message = Image(encoding=options.encoding)
        message.height, message.width = picture.shape[:2]
        message.step = encoded[0].nbytes
        message.header.frame_id = 'eye'
        shown = STAMPS[options.stamps](n, stamp, start)
        message.header.stamp.sec = int(shown)
        message.header.stamp.nanosec = int(shown % 1 * 1e9)
        data = array('B')
        data.frombytes(encoded.tobytes())
        message.data = data
        if noise.random() >= options.drop:
            images.publish(message)
        time.sleep(period)
    print('published', options.count, flush=True)
    # Until the last reliable image is acknowledged.
    time.sleep(2.0)


if __name__ == '__main__':
    main()
