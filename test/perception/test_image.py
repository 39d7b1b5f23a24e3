from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emotion_estimator.errors import InputError
from emotion_estimator.perception.image import ENCODINGS, check_rgb, rgb_from_buffer

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
IMAGES = SIZES.flatmap(lambda size: hnp.arrays(np.uint8, (*size, 3)))

#: encoding -> how an RGB image is written in it, exactly invertible ones only.
WRITERS = {
    'rgb8': lambda rgb: rgb,
    'bgr8': lambda rgb: rgb[..., ::-1],
    'rgba8': lambda rgb: np.dstack([rgb, np.full(rgb.shape[:2], 7, np.uint8)]),
    'bgra8': lambda rgb: np.dstack([rgb[..., ::-1], np.full(rgb.shape[:2], 7, np.uint8)]),
    'rgb16': lambda rgb: rgb.astype('<u2') << 8 | 0x2A,
    'bgr16': lambda rgb: rgb[..., ::-1].astype('<u2') << 8 | 0x2A,
}


@given(image=IMAGES, encoding=st.sampled_from(sorted(WRITERS)), padding=st.integers(0, 13))
def test_pixels_survive_every_encoding_and_row_padding(image, encoding, padding):
    written = np.ascontiguousarray(WRITERS[encoding](image))
    rows = written.reshape(written.shape[0], -1).view(np.uint8)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    height, width = image.shape[:2]
    read = rgb_from_buffer(
        padded.tobytes(), encoding=encoding, width=width, height=height, step=padded.shape[1]
    )
    np.testing.assert_array_equal(read, image)


@given(image=SIZES.flatmap(lambda size: hnp.arrays(np.uint8, size)))
def test_mono_becomes_grey(image):
    height, width = image.shape
    read = rgb_from_buffer(
        image.tobytes(), encoding='mono8', width=width, height=height, step=width
    )
    np.testing.assert_array_equal(read, np.dstack([image] * 3))


def test_mono16_keeps_the_upper_byte_in_either_byte_order():
    image = np.array([[0x1234, 0xFF00]], np.uint16)
    for order, big_endian in (('<', False), ('>', True)):
        data = image.astype(f'{order}u2').tobytes()
        read = rgb_from_buffer(
            data, encoding='mono16', width=2, height=1, step=4, big_endian=big_endian
        )
        np.testing.assert_array_equal(read[..., 0], [[0x12, 0xFF]])


@pytest.mark.parametrize(
    ('pattern', 'first_row', 'second_row'),
    [('rggb', 'rg', 'gb'), ('bggr', 'bg', 'gr'), ('gbrg', 'gb', 'rg'), ('grbg', 'gr', 'bg')],
)
@pytest.mark.parametrize('bits', [8, 16])
def test_bayer_patterns_give_the_colour_they_were_made_of(pattern, first_row, second_row, bits):
    colour = {'r': 200, 'g': 120, 'b': 40}
    tile = np.array([[colour[c] for c in first_row], [colour[c] for c in second_row]])
    mosaic = np.tile(tile, (4, 4))
    dtype = np.uint8 if bits == 8 else np.dtype('<u2')
    data = (mosaic << (bits - 8)).astype(dtype)
    read = rgb_from_buffer(
        data.tobytes(),
        encoding=f'bayer_{pattern}{bits}',
        width=8,
        height=8,
        step=8 * bits // 8,
    )
    np.testing.assert_array_equal(read[4, 4], [200, 120, 40])


@pytest.mark.parametrize(
    ('encoding', 'back'),
    [('yuv422', cv2.COLOR_YUV2RGB_UYVY), ('yuv422_yuy2', cv2.COLOR_YUV2RGB_YUYV)],
)
def test_yuv422_reads_as_opencv_does(encoding, back):
    packed = np.random.default_rng(1).integers(0, 256, (6, 8, 2), dtype=np.uint8)
    read = rgb_from_buffer(packed.tobytes(), encoding=encoding, width=8, height=6, step=16)
    np.testing.assert_array_equal(read, cv2.cvtColor(packed, back))


def test_rgb8_is_a_view():
    data = bytearray(12)
    read = rgb_from_buffer(data, encoding='rgb8', width=2, height=2, step=6)
    data[0] = 77
    assert read[0, 0, 0] == 77


GOOD = {'encoding': 'rgb8', 'width': 4, 'height': 3, 'step': 12}


@pytest.mark.parametrize(
    ('change', 'size', 'says'),
    [
        ({'encoding': 'banana'}, 36, "encoding 'banana' is not supported; publish one of rgb8"),
        ({'encoding': '32FC1'}, 36, "encoding '32FC1' is not supported"),
        ({'step': 11}, 36, 'step 11 is below the 12 bytes'),
        ({}, 35, 'truncated: 35 bytes'),
        ({}, 0, 'truncated: 0 bytes'),
        ({'width': 0, 'step': 0}, 36, '0x3 pixels'),
        ({'height': 0}, 36, '4x0 pixels'),
        ({'encoding': 'yuv422', 'width': 3}, 36, 'must be even'),
        ({'encoding': 'bayer_rggb8', 'height': 3}, 36, 'at least 4x4'),
    ],
)
def test_malformed_images_are_named(change, size, says):
    with pytest.raises(InputError, match='image') as caught:
        rgb_from_buffer(bytes(size), **{**GOOD, **change})
    assert says in str(caught.value)
    assert '\n' not in str(caught.value)


@given(
    encoding=st.sampled_from(ENCODINGS),
    width=st.integers(0, 12),
    height=st.integers(0, 12),
    step=st.integers(0, 80),
    data=st.binary(max_size=400),
    big_endian=st.booleans(),
)
def test_any_buffer_gives_an_image_or_one_clear_line(
    encoding, width, height, step, data, big_endian
):
    try:
        read = rgb_from_buffer(
            data, encoding=encoding, width=width, height=height, step=step, big_endian=big_endian
        )
    except InputError as error:
        assert '\n' not in str(error)
    else:
        assert read.shape == (height, width, 3)
        assert read.dtype == np.uint8


@pytest.mark.parametrize(
    ('image', 'says'),
    [
        (None, 'numpy array'),
        (np.zeros((4, 4), np.uint8), 'of shape (4, 4)'),
        (np.zeros((4, 4, 3), np.float32), 'float32'),
        (np.zeros((0, 4, 3), np.uint8), 'no pixels'),
        (np.zeros((2, 32767, 3), np.uint8), '32767x2 pixels is too large'),
    ],
)
def test_what_is_no_rgb_image_is_refused(image, says):
    with pytest.raises(InputError) as caught:
        check_rgb(image)
    assert says in str(caught.value)
