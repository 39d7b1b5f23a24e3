from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from emotion_estimator.errors import InputError
from emotion_estimator.perception.image import check_rgb, rgb_from_compressed

COLOURS = np.zeros((32, 48, 3), np.uint8)
COLOURS[:, :24], COLOURS[:, 24:] = (220, 40, 10), (30, 90, 200)


def compressed(form, rgb, extension='.png'):
    """Return a message whose file shows ``rgb`` to any viewer."""
    done, data = cv2.imencode(extension, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    assert done
    return SimpleNamespace(format=form, data=data.tobytes())


@pytest.mark.parametrize(
    'form',
    ['jpeg', 'png', 'rgb8; jpeg compressed bgr8', 'bgr8; png compressed bgr8', 'bgr8; jpeg',
     'bayer_rggb8; jpeg compressed ', 'rgb8; jpeg compressed', ''],
)  # fmt: skip
def test_a_file_with_true_colours_is_taken_as_it_is(form):
    np.testing.assert_array_equal(rgb_from_compressed(compressed(form, COLOURS)), COLOURS)


@pytest.mark.parametrize(
    'form',
    ['rgb8; jpeg compressed rgb8', 'bgr8; png compressed rgb8', 'rgba8;jpeg compressed rgb8',
     'RGB16; png compressed rgb16'],
)  # fmt: skip
def test_red_and_blue_are_swapped_where_image_transports_suffix_says_so(form):
    swapped = compressed(form, COLOURS[..., ::-1].copy())
    read = rgb_from_compressed(swapped)
    np.testing.assert_array_equal(read, COLOURS)
    assert read.flags['C_CONTIGUOUS']


def test_swapped_jpegs_come_close():
    read = rgb_from_compressed(
        compressed('rgb8; jpeg compressed rgb8', COLOURS[..., ::-1].copy(), '.jpg')
    )
    assert np.abs(read[16, [8, 40]].astype(int) - COLOURS[16, [8, 40]]).max() < 8


@pytest.mark.parametrize('form', ['jpeg', 'rgb8; jpeg compressed rgb8'])
def test_damaged_files_give_one_line(form):
    with pytest.raises(InputError, match='cannot be decoded'):
        rgb_from_compressed(SimpleNamespace(format=form, data=b'no image'))


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
