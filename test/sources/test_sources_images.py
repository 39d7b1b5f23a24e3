from __future__ import annotations

import struct
from itertools import islice

import cv2
import numpy as np
import pytest

from emotion_estimator.errors import InputError
from emotion_estimator.picture_decoding import to_uint8
from emotion_estimator.sources.base import fit
from emotion_estimator.sources.images import StillImages, images_in, read_image
from emotion_estimator.sources.open_source import open_source


def ramp(height=24, width=40) -> np.ndarray:
    """Return an RGB picture that is red on the left and blue at the bottom."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = 250
    image[height // 2 :, :, 2] = 200
    return image


def save(path, image) -> None:
    assert cv2.imwrite(str(path), image)


def test_colours_come_as_rgb(tmp_path):
    save(tmp_path / 'a.png', ramp()[..., ::-1])
    assert np.array_equal(read_image(tmp_path / 'a.png'), ramp())


def test_grey_becomes_three_equal_channels(tmp_path):
    grey = np.arange(200, dtype=np.uint8).reshape(10, 20)
    save(tmp_path / 'g.png', grey)
    assert np.array_equal(read_image(tmp_path / 'g.png'), np.dstack([grey] * 3))


@pytest.mark.parametrize('channels', [1, 3])
def test_16_bit_is_scaled_by_its_full_range(tmp_path, channels):
    deep = np.full((8, 8, channels), 0x8080, np.uint16)
    deep[0, 0] = 0xFFFF
    save(tmp_path / 'd.png', deep)
    image = read_image(tmp_path / 'd.png')
    assert image.dtype == np.uint8
    assert image.shape == (8, 8, 3)
    assert image[0, 0].tolist() == [255] * 3
    assert image[4, 4].tolist() == [128] * 3


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_transparent_pixels_are_laid_over_white(tmp_path, dtype):
    full = np.iinfo(dtype).max
    picture = np.zeros((6, 6, 4), dtype)
    picture[:3, :, 2:] = full  # opaque red above, transparent black below
    save(tmp_path / 'a.png', picture)
    image = read_image(tmp_path / 'a.png')
    assert image[0, 0].tolist() == [255, 0, 0]
    assert image[5, 5].tolist() == [255, 255, 255]


def test_floats_are_taken_from_0_to_1():
    values = np.array([[-1.0, 0.0, 0.5, 1.0, 7.0, np.nan, np.inf]], np.float32)
    assert to_uint8(values).tolist() == [[0, 0, 128, 255, 255, 0, 255]]


def test_a_sideways_photo_is_turned_upright(tmp_path):
    upright = ramp()
    ok, data = cv2.imencode('.jpg', np.rot90(upright)[..., ::-1])
    assert ok
    # Orientation 6: the camera was turned; display needs 90 degrees clockwise.
    tiff = b'II*\0' + struct.pack('<IHHHIHHI', 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b'Exif\0\0' + tiff
    segment = b'\xff\xe1' + struct.pack('>H', len(exif) + 2) + exif
    raw = data.tobytes()
    (tmp_path / 'turned.jpg').write_bytes(raw[:2] + segment + raw[2:])
    image = read_image(tmp_path / 'turned.jpg')
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 12


@pytest.mark.parametrize(
    ('content', 'said'),
    [(b'', '0 bytes'), (b'no image at all', '15 bytes'), (b'\xff\xd8\xff\xe0 cut', 'damaged')],
)
def test_what_is_no_image_is_named_in_one_line(tmp_path, content, said, capfd):
    path = tmp_path / 'bad.jpg'
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_image(path)
    text = str(caught.value)
    assert str(path) in text
    assert said in text
    assert '\n' not in text
    assert capfd.readouterr().err == ''


def test_a_missing_image_is_named(tmp_path):
    with pytest.raises(InputError, match=r'gone\.png cannot be read \(No such file'):
        read_image(tmp_path / 'gone.png')


def test_one_image_is_repeated_for_a_while(tmp_path):
    save(tmp_path / 'a.png', ramp())
    source = StillImages([tmp_path / 'a.png'], 'a', hold=2.0, fps=5)
    frames = list(source.frames())
    assert [f.stamp for f in frames] == [i / 5 for i in range(10)]
    frames[0].image[:] = 0
    assert frames[1].image.any(), "each frame must be the reader's own"


def test_a_folder_is_shown_by_name_and_bad_files_are_counted(tmp_path):
    for name, level in (('c.png', 30), ('a.PNG', 10), ('b.jpg', 20)):
        save(tmp_path / name, np.full((8, 8, 3), level, np.uint8))
    (tmp_path / 'bad.png').write_bytes(b'broken')
    (tmp_path / 'notes.txt').write_text('no image')
    paths = images_in(tmp_path)
    assert [p.name for p in paths] == ['a.PNG', 'b.jpg', 'bad.png', 'c.png']
    source = StillImages(paths, 'folder', hold=1.0, fps=2)
    frames = list(source.frames())
    assert [int(f.image[0, 0, 0]) for f in frames] == [10, 10, 20, 20, 30, 30]
    assert [f.stamp for f in frames] == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert source.skipped == 1
    looped = StillImages(paths, 'folder', hold=0.5, fps=2, loop=True)
    assert [int(f.image[0, 0, 0]) for f in islice(looped.frames(), 5)] == [10, 20, 30, 10, 20]
    assert looped.skipped == 1


def test_a_looped_folder_that_vanishes_ends_in_an_error(tmp_path):
    save(tmp_path / 'a.png', ramp())
    frames = StillImages(images_in(tmp_path), 'folder', hold=0.1, fps=10, loop=True).frames()
    next(frames)
    (tmp_path / 'a.png').unlink()
    with pytest.raises(InputError, match='can be decoded any more'):
        list(islice(frames, 5))


def test_a_folder_without_a_good_image_is_refused(tmp_path):
    with pytest.raises(InputError, match='has no images'):
        images_in(tmp_path)
    for name in ('a.png', 'b.png'):
        (tmp_path / name).write_bytes(b'broken')
    with pytest.raises(
        InputError, match=r'none of the 2 images in F can be decoded; first: .*a\.png'
    ):
        StillImages(images_in(tmp_path), 'F', hold=1.0)


@pytest.mark.parametrize(
    ('width', 'height', 'shape'),
    [(None, None, (24, 40)), (20, None, (12, 20)), (None, 48, (48, 80)), (20, 20, (12, 20))],
)
def test_resizing_keeps_the_aspect(width, height, shape):
    assert fit(ramp(), width, height).shape[:2] == shape


def test_an_image_larger_than_allowed_is_broken(tmp_path):
    save(tmp_path / 'a.png', np.zeros((64, 65, 3), np.uint8))
    with pytest.raises(InputError, match='65x64 pixels, too large for the limit of 4096'):
        open_source(tmp_path / 'a.png', max_pixels=4096)
    with pytest.raises(InputError, match='too large'):
        open_source(tmp_path, max_pixels=4096)
    assert next(open_source(tmp_path, max_pixels=4160).frames()).image.shape == (64, 65, 3)


@pytest.mark.parametrize(
    'names',
    [
        ['frame2.png', 'frame10.png'],
        ['a.png', 'a1.png', 'a2.png', 'a010.png', 'a11b2.png', 'a11b10.png', 'b1.png'],
        # Arabic-Indic digits are numbers; superscripts are digits to Python, and none.
        ['\u0662.png', '10.png'],
        ['2.png', '9.png', '10.png', 'm\u00b2.png', 'm\u00b3.png'],
        [f'{"9" * 80}.png', f'1{"0" * 80}.png'],
    ],
)
def test_a_folder_is_in_natural_order(names, tmp_path):
    for name in sorted(names, reverse=True):
        (tmp_path / name).touch()
    assert [path.name for path in images_in(tmp_path)] == names


def test_a_folder_says_what_is_left_out_and_why(tmp_path):
    for name in ('1.png', '2.png', '10.png'):
        save(tmp_path / name, ramp())
    (tmp_path / 'broken.png').write_bytes((tmp_path / '1.png').read_bytes()[:60])
    (tmp_path / 'text.jpg').write_bytes(b'no image')
    (tmp_path / 'phone.heic').write_bytes(b'\0\0\0\x18ftypheic\0\0\0\0mif1heic')
    save(tmp_path / 'huge.png', np.zeros((64, 65, 3), np.uint8))
    (tmp_path / 'gone.png').symlink_to('nowhere')
    for name in ('a.txt', 'b.csv', '.hidden'):
        (tmp_path / name).touch()
    (tmp_path / 'more').mkdir()
    source = open_source(tmp_path, fps=2, hold=1.0, max_pixels=4096)
    assert len(list(source)) == 6
    assert source.account.to_dict() == {
        'unit': 'images',
        'declared': 11,
        'read': 3,
        'left_out': {
            'not images': 2,
            'folders': 1,
            'damaged': 1,
            'of another format': 2,
            'too large': 1,
            'unreadable': 1,
        },
    }


def test_images_of_a_loop_are_counted_once(tmp_path):
    for name in ('1.png', '2.png'):
        save(tmp_path / name, ramp())
    source = open_source(tmp_path, fps=1, hold=1.0, loop=True)
    list(islice(source.frames(), 7))
    assert str(source.account) == 'declared 2 images, read 2'
    assert source.account.complete
