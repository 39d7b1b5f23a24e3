"""Pictures of every kind come out upright and in their colours, from files and from messages."""

from __future__ import annotations

import numpy as np
import picture_matrix as matrix
import pytest
from PIL import Image

from emotion_estimator.bags.messages import COMPRESSED_IMAGE, decode_image, make, serialize
from emotion_estimator.picture_decoding import decode_picture
from emotion_estimator.sources.images import read_image

UPRIGHT = matrix.upright()


def error_of(pixels: np.ndarray, kind: matrix.Kind) -> float:
    shown = kind.shown(UPRIGHT)
    assert pixels.shape == shown.shape
    return float(np.abs(pixels.astype(int) - shown).mean())


def message(data: bytes) -> bytes:
    time = make('builtin_interfaces/msg/Time', sec=1, nanosec=0)
    header = make('std_msgs/msg/Header', stamp=time, frame_id='')
    pixels = np.frombuffer(data, np.uint8)
    return serialize(make(COMPRESSED_IMAGE, header=header, format='', data=pixels))


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('name', matrix.TURNED)
def test_every_kind_comes_upright(name, orientation, tmp_path):
    if 'AVIF' in name and 'AVIF' not in Image.OPEN:
        pytest.skip('reading AVIF needs Pillow 11.3 or newer')
    kind = matrix.TURNED[name]
    data = kind.encode(matrix.stored(UPRIGHT, orientation), orientation)
    path = tmp_path / 'picture'
    path.write_bytes(data)
    image = read_image(path)
    assert error_of(image, kind) <= kind.tolerance
    assert np.array_equal(decode_image(message(data), COMPRESSED_IMAGE), image)


@pytest.mark.parametrize('name', matrix.PLAIN)
def test_kinds_without_orientation_keep_their_colours(name):
    kind = matrix.PLAIN[name]
    assert error_of(decode_picture(kind.encode(UPRIGHT, 1), 'image'), kind) <= kind.tolerance
