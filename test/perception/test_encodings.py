from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from emotion_estimator.errors import InputError
from emotion_estimator.perception import encodings
from emotion_estimator.perception.encodings import ENCODINGS, is_supported, rgb_from_buffer

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
        ({'encoding': 'nv12', 'width': 3}, 36, 'nv12 is 3x3 pixels; both must be even'),
        ({'encoding': 'i420', 'height': 3}, 36, 'both must be even'),
        ({'encoding': 'nv21', 'height': 4, 'step': 3}, 36, 'step 3 is below the 4 bytes'),
        ({'encoding': 'nv12', 'height': 4, 'step': 4}, 23, 'step 4 needs 24'),
        ({'encoding': 'nv24', 'step': 4}, 35, 'step 4 needs 36'),
        ({'encoding': 'i420', 'height': 4, 'step': 8}, 43, 'step 8 needs 48'),
    ],
)
def test_malformed_images_are_named(change, size, says):
    with pytest.raises(InputError, match='image') as caught:
        rgb_from_buffer(bytes(size), **{**GOOD, **change})
    assert says in str(caught.value)
    assert '\n' not in str(caught.value)


@given(
    encoding=st.sampled_from([*ENCODINGS, 'NV12', 'banana']),
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


def yuv_planes(rgb):
    """Return Y, U and V of an RGB image, uint8 (H, W) each: BT.601's formula, limited range."""
    red, green, blue = np.moveaxis(rgb.astype(float), 2, 0)
    luma = 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255
    u = 128 + (-37.797 * red - 74.203 * green + 112 * blue) / 255
    v = 128 + (112 * red - 93.786 * green - 18.214 * blue) / 255
    return tuple(np.rint(plane).astype(np.uint8) for plane in (luma, u, v))


def padded(rows, stride):
    rows = np.asarray(rows)
    return np.pad(rows, ((0, 0), (0, stride - rows.shape[1])), constant_values=77)


def pairs(first, second):
    return np.dstack([first, second]).reshape(first.shape[0], -1)


#: encoding -> the planes of an image, behind the luma, and how long their rows are for a luma's.
PLANES = {
    'nv12': (lambda u, v: [pairs(u[::2, ::2], v[::2, ::2])], lambda step: step),
    'nv21': (lambda u, v: [pairs(v[::2, ::2], u[::2, ::2])], lambda step: step),
    'nv24': (lambda u, v: [pairs(u, v)], lambda step: 2 * step),
    'i420': (lambda u, v: [u[::2, ::2], v[::2, ::2]], lambda step: step // 2),
    'yuv420': (lambda u, v: [u[::2, ::2], v[::2, ::2]], lambda step: step // 2),
    'yv12': (lambda u, v: [v[::2, ::2], u[::2, ::2]], lambda step: step // 2),
}


def planar(rgb, encoding, step):
    luma, u, v = yuv_planes(rgb)
    chroma, stride = PLANES[encoding]
    planes = [padded(luma, step)] + [padded(plane, stride(step)) for plane in chroma(u, v)]
    return b''.join(plane.tobytes() for plane in planes)


#: Even sizes, in blocks of two by two pixels of one colour.
BLOCKS = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda size: hnp.arrays(np.uint8, (*size, 3), elements=st.integers(0, 255), fill=st.nothing())
)


@pytest.mark.parametrize('encoding', PLANES)
@given(blocks=BLOCKS, padding=st.integers(0, 6), capital=st.booleans())
def test_planes_of_luma_and_chroma_give_the_colours(encoding, blocks, padding, capital):
    rgb = blocks.repeat(2, axis=0).repeat(2, axis=1)
    height, width = rgb.shape[:2]
    step = width + 2 * padding
    data = planar(rgb, encoding, step)
    name = encoding.upper() if capital else encoding
    read = rgb_from_buffer(data, encoding=name, width=width, height=height, step=step)
    assert np.abs(read.astype(int) - rgb).max() <= 4
    with pytest.raises(InputError, match='truncated'):
        rgb_from_buffer(
            data[: len(data) // 2], encoding=name, width=width, height=height, step=step
        )


@pytest.mark.parametrize('encoding', PLANES)
def test_a_step_that_counts_all_planes_is_taken(encoding):
    rgb = np.tile(np.array([[200, 60, 30], [20, 90, 180]], np.uint8).repeat(4, 0), (6, 1, 1))
    step = 24 if encoding == 'nv24' else 12
    data = planar(rgb, encoding, 8)
    read = rgb_from_buffer(data, encoding=encoding, width=8, height=6, step=step)
    assert np.abs(read.astype(int) - rgb).max() <= 4


def test_nv24_may_have_odd_sizes():
    rgb = np.random.default_rng(2).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    read = rgb_from_buffer(planar(rgb, 'nv24', 9), encoding='nv24', width=7, height=5, step=9)
    assert np.abs(read.astype(int) - rgb).max() <= 4


SAMPLES = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda size: hnp.arrays(np.uint16, size, elements=st.integers(0, 4095))
)


@given(
    samples=SAMPLES, encoding=st.sampled_from(['mono16', '16UC1']), big_endian=st.booleans(),
    padding=st.integers(0, 5),
)  # fmt: skip
def test_twelve_bits_in_sixteen_keep_their_upper_eight(samples, encoding, big_endian, padding):
    samples[0, 0] |= 1
    height, width = samples.shape
    rows = samples.astype('>u2' if big_endian else '<u2').view(np.uint8).reshape(height, -1)
    step = 2 * width + padding
    read = rgb_from_buffer(
        padded(rows, step).tobytes(), encoding=encoding, width=width, height=height, step=step,
        big_endian=big_endian,
    )  # fmt: skip
    np.testing.assert_array_equal(read, np.dstack([samples >> 4] * 3))


@pytest.mark.parametrize(
    ('samples', 'grey'),
    [
        ([0x0FFF, 0x1000], [0x0F, 0x10]),  # sixteen bits
        ([0x0F00, 0x0120], [0x0F, 0x01]),  # dark, of eight or twelve upper bits
        ([0x0000, 0x0000], [0, 0]),
        ([0x0001, 0x0FF0], [0x00, 0xFF]),
    ],
)
def test_only_twelve_bits_are_stretched(samples, grey):
    data = np.array(samples, '<u2').tobytes()
    read = rgb_from_buffer(data, encoding='mono16', width=2, height=1, step=4)
    np.testing.assert_array_equal(read[0, :, 0], grey)


def packed_yuv(rgb, luma_first):
    """Return a picture of even width as 4:2:2, colours averaged over two pixels."""
    luma, u, v = yuv_planes(rgb)
    packed = np.empty((*luma.shape, 2), np.uint8)
    packed[..., 0 if luma_first else 1] = luma
    for n, plane in enumerate((u, v)):
        mean = (plane[:, ::2].astype(int) + plane[:, 1::2]) // 2
        packed[:, n::2, 1 if luma_first else 0] = mean
    return packed


def photograph():
    """Return a picture like a photograph: brightness varies more than colour."""
    rng = np.random.default_rng(3)
    shape = cv2.resize(rng.integers(40, 200, (6, 8)).astype(np.uint8), (64, 48))
    tint = np.array([1.15, 1.0, 0.8])
    return np.clip(shape[..., None] * tint, 0, 255).astype(np.uint8)


@pytest.mark.parametrize('luma_first', [False, True])
def test_yuyv_under_the_name_of_uyvy_is_recognised_and_said_once(luma_first, caplog, monkeypatch):
    monkeypatch.setattr(encodings, '_said', set())
    rgb = photograph()
    data = packed_yuv(rgb, luma_first).tobytes()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            read = rgb_from_buffer(data, encoding='yuv422', width=64, height=48, step=128)
    assert np.abs(read.astype(int) - rgb).mean() < 4
    said = [record.getMessage() for record in caplog.records]
    assert [line for line in said if 'yuv422_yuy2' in line] == said
    assert len(said) == luma_first


@pytest.mark.parametrize('colour', [(128, 128, 128), (200, 40, 40), (10, 20, 220), (0, 0, 0)])
def test_an_image_of_one_colour_is_taken_as_named(colour):
    rgb = np.full((16, 16, 3), colour, np.uint8)
    data = packed_yuv(rgb, luma_first=False).tobytes()
    read = rgb_from_buffer(data, encoding='yuv422', width=16, height=16, step=32)
    assert np.abs(read.astype(int) - rgb).max() <= 4


def test_names_are_known_in_capitals_where_drivers_write_them_so():
    assert all(is_supported(name) for name in ('nv12', 'NV12', 'I420', '16UC1', 'yuv422_yuy2'))
    assert not any(is_supported(name) for name in ('', 'nv61', '32FC1'))


@pytest.mark.parametrize('sent', ['x' * 100_000, 'a\nb\x1b[31m' * 10_000])
def test_an_encoding_of_any_length_gives_a_short_line(sent):
    with pytest.raises(InputError) as caught:
        rgb_from_buffer(bytes(36), encoding=sent, width=4, height=3, step=12)
    assert len(str(caught.value)) < 700
    assert str(caught.value).isprintable()
    assert caught.value.kind == 'encoding'
