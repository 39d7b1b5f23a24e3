"""Face crops: the pixels that the networks were trained on, wherever a face is, of any size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.errors import InputError
from emotion_estimator.perception.face_crop import (
    SIDE,
    crop,
    crop_matrix,
    cut,
    even,
    visible_crop,
)

RIGID = [33, 133, 362, 263, 168, 6, 197, 127, 356, 234, 454, 10]
#: Where they lie in an upright face that is 100 pixels wide, about its middle.
PLACES = [
    (-32, -5),
    (-12, -4),
    (12, -4),
    (32, -5),
    (0, -7),
    (0, 2),
    (0, 9),
    (-49, -8),
    (49, -8),
    (-50, 4),
    (50, 4),
    (0, -56),
]


def face(x=200.0, y=200.0, width=100.0, roll=0.0, mirrored=False):
    """Return landmarks of a face; the points that nobody asks for lie in its middle."""
    points = np.zeros((478, 3))
    points[RIGID, :2] = PLACES
    if mirrored:
        points[:, 0] *= -1
        points[[33, 263]] = points[[263, 33]]
    cosine, sine = np.cos(roll), np.sin(roll)
    turned = points[:, :2] @ np.array([[cosine, sine], [-sine, cosine]])
    points[:, :2] = turned * width / 100 + (x, y)
    return points.astype(np.float32)


def blobs(x=200.0, y=200.0, width=100.0, roll=0.0, size=(400, 400)):
    """Return an image of smooth blobs that keep their places in the face."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[: size[0], : size[1]].astype(float)
    cosine, sine = np.cos(roll), np.sin(roll)
    across = ((columns - x) * cosine + (rows - y) * sine) * 100 / width
    along = ((rows - y) * cosine - (columns - x) * sine) * 100 / width
    grey = np.full(size, 128.0)
    for cx, cy, strength in rng.uniform((-60, -60, -90), (60, 90, 90), (12, 3)):
        grey += strength * np.exp(-((across - cx) ** 2 + (along - cy) ** 2) / (2 * 15**2))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


BLOBS = blobs()


def as_first_written(image, landmarks):
    """Return the crop as the code computed it with which the networks were trained."""
    points = landmarks[:, :2]
    rigid = points[RIGID]
    centre = rigid.mean(axis=0)
    size = float(np.sqrt(((rigid - centre) ** 2).sum(axis=-1).mean()))
    across = points[263] - points[33]
    cosine, sine = across / max(np.linalg.norm(across), 1e-6)
    scale = 48 / (3.7 * size)
    turn = scale * np.array([[cosine, sine], [-sine, cosine]], np.float32)
    middle = np.array([23.5, 23.5 - scale * 0.4 * size], np.float32)
    matrix = np.column_stack([turn, middle - turn @ centre]).astype(np.float32).astype(float)

    height, width = image.shape[:2]
    corners = np.array([(-1, -1), (48, -1), (48, 48), (-1, 48)], float)
    outline = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    times = max(int(1 / np.hypot(*matrix[:, 0])), 1)
    low = np.clip(np.floor(outline.min(axis=0)) - 1, 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(outline.max(axis=0)) + 2, low + 1, (width, height)).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    shape = (high - low) // times
    if times > 1 and shape.min() > 0:
        part = part[: shape[1] * times, : shape[0] * times]
        part = cv2.resize(part, shape.tolist(), interpolation=cv2.INTER_AREA)
    else:
        times = 1
    offset = low + (times - 1) / 2
    there = np.column_stack([matrix[:, :2] * times, matrix[:, 2] + matrix[:, :2] @ offset])
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)
    grey = cv2.warpAffine(grey, there, (48, 48), flags=1, borderMode=cv2.BORDER_REPLICATE)
    mean, deviation = grey.mean(), grey.std()
    table = np.round((np.arange(256) - mean) * 56 / max(deviation, 4.0) + 128)
    return np.clip(table, 0, 255).astype(np.uint8)[grey]


def apart(one, other):
    """Return the mean difference of two crops in grey values, out of a deviation of 56."""
    return float(np.abs(one.astype(float) - other).mean())


PLACE = st.tuples(
    st.floats(-80, 380), st.floats(-80, 330), st.floats(15, 500), st.floats(-3.1, 3.1)
)
NOISE = cv2.GaussianBlur(
    np.random.default_rng(0).integers(0, 256, (260, 300, 3), dtype=np.uint8), (0, 0), 1.5
)


@given(PLACE)
@settings(max_examples=100, deadline=None)
def test_the_pixels_are_those_of_training(place):
    landmarks = face(*place)
    found, expected = crop(NOISE, landmarks).astype(int), as_first_written(NOISE, landmarks)
    # A grey value may be rounded the other way: OpenCV's mean and NumPy's differ in the last bit.
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.02


@given(st.floats(150, 250), st.floats(150, 250), st.floats(60, 160), st.floats(-0.8, 0.8))
@settings(max_examples=15, deadline=None)
def test_place_size_and_roll_of_a_face_do_not_matter(x, y, width, roll):
    plain = crop(BLOBS, face())
    assert plain.std() > 40
    assert apart(crop(blobs(x, y, width, roll), face(x, y, width, roll)), plain) < 4


def test_another_face_is_another_crop():
    assert apart(crop(BLOBS, face()), crop(BLOBS, face(x=215))) > 15


@given(st.floats(60, 160), st.floats(-0.5, 0.5))
@settings(max_examples=10, deadline=None)
def test_the_mirrored_face_gives_the_mirrored_crop(width, roll):
    there = crop(blobs(width=width, roll=roll), face(width=width, roll=roll))
    image = np.ascontiguousarray(blobs(width=width, roll=roll)[:, ::-1])
    back = crop(image, face(399 - 200, 200, width, -roll, mirrored=True))
    assert apart(there[:, ::-1], back) < 4


@given(st.floats(0.3, 0.8), st.floats(0, 50))
@settings(max_examples=10, deadline=None)
def test_brightness_and_contrast_do_not_matter(gain, shift):
    dimmed = (BLOBS * gain + shift).astype(np.uint8)
    assert apart(crop(dimmed, face()), crop(BLOBS, face())) < 4


def test_a_matrix_maps_the_face_into_the_crop():
    matrix = crop_matrix(face(90, 70, 80, 0.4))
    centre = np.mean(PLACES, axis=0) * 0.8
    cosine, sine = np.cos(0.4), np.sin(0.4)
    centre = centre @ np.array([[cosine, sine], [-sine, cosine]]) + (90, 70)
    x, y = matrix @ (*centre, 1)
    assert x == pytest.approx(23.5, abs=0.01)
    # The middle of the crop lies below the centre of the rigid points.
    assert y == pytest.approx(23.5 - 48 * 0.4 / 3.7, abs=0.01)


@given(
    st.tuples(
        st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), st.floats(0.5, 1e5), st.floats(-3.1, 3.1)
    ),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
@settings(max_examples=100, deadline=None)
def test_any_face_in_any_image_gives_a_crop(place, size):
    image = NOISE[: size[0], : size[1]]
    found = crop(image, face(*place))
    assert found.shape == (SIDE, SIDE)
    assert found.dtype == np.uint8
    shown = visible_crop(image, face(*place))
    assert shown is None or np.array_equal(shown, found)


def test_a_grey_image_is_cut_as_its_colours_would_be():
    matrix = crop_matrix(face(width=40))
    np.testing.assert_array_equal(cut(BLOBS[..., 0], matrix), cut(BLOBS, matrix))


def test_a_view_of_a_larger_image_is_cut_as_its_copy():
    wide = np.tile(BLOBS, (1, 2, 1))
    np.testing.assert_array_equal(crop(wide[:, :400], face()), crop(BLOBS, face()))


def test_a_plain_area_stays_plain():
    assert np.ptp(even(np.full((SIDE, SIDE), 9, np.uint8))) == 0


BAD = {
    'not a number': np.full((478, 3), np.nan, np.float32),
    'one number is none': face() * np.where(np.arange(478) == 33, np.nan, 1)[:, None],
    'infinite': np.full((478, 3), np.inf, np.float32),
    'too great to square': face() * np.float32(1e30),
    'too far': face(x=1e8),
    'in one place': np.ones((478, 3), np.float32),
    'eyes in one place': np.where(np.arange(478)[:, None] == 263, face()[33], face()),
}


@pytest.mark.parametrize('landmarks', BAD.values(), ids=BAD)
@pytest.mark.filterwarnings('error')
def test_what_is_no_face_is_refused_in_one_line(landmarks):
    with pytest.raises(InputError, match='landmarks of a face') as caught:
        crop(NOISE, landmarks)
    assert '\n' not in str(caught.value)
    assert visible_crop(NOISE, landmarks) is None


def test_a_face_that_is_mostly_in_the_image_is_visible():
    image = BLOBS
    np.testing.assert_array_equal(visible_crop(image, face()), crop(image, face()))
    cut_off = image[:, 185:]
    np.testing.assert_array_equal(visible_crop(cut_off, face(x=15)), crop(cut_off, face(x=15)))


@pytest.mark.parametrize('place', [(-40, 130), (150, 275), (295, 255)])
def test_a_face_that_is_mostly_outside_is_not_visible(place):
    # Its replicated edge is not uniform.
    assert cut(NOISE, crop_matrix(face(*place))).std() > 8
    assert visible_crop(NOISE, face(*place)) is None


def test_a_face_without_contrast_is_not_visible():
    rng = np.random.default_rng(0)
    dark = rng.integers(0, 6, (400, 400, 3), dtype=np.uint8)
    assert visible_crop(dark, face()) is None
    assert visible_crop(dark * 20, face()) is not None
