"""Whether a file is a film is decided by its content, never by its name."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
from film_matrix import KINDS, scene, write_film
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from emotion_estimator.errors import InputError
from emotion_estimator.sources.film_kind import is_still
from emotion_estimator.sources.images import StillImages
from emotion_estimator.sources.open_source import open_source
from emotion_estimator.sources.video import VideoFile

NAMES = ('x', 'x.jpg', 'x.png', 'x.mp4', 'x.mjpeg', 'x.gif', 'x.webp')


def encoded(form: str, image=None, **options) -> bytes:
    data = BytesIO()
    Image.fromarray(scene(1)[0] if image is None else image).save(data, form, **options)
    return data.getvalue()


def with_segment(jpeg: bytes, content: bytes, marker: int = 0xE2) -> bytes:
    segment = struct.pack('>BBH', 0xFF, marker, 2 + len(content)) + content
    return jpeg[:2] + segment + jpeg[2:]


JPEG = encoded('JPEG')
SMALL = encoded('JPEG', np.full((32, 48, 3), 128, np.uint8))
STILLS = {
    'jpeg': JPEG,
    'progressive': encoded('JPEG', progressive=True),
    'with a thumbnail': with_segment(JPEG, b'Exif\0\0' + SMALL, 0xE1),
    'with a preview behind': JPEG + SMALL,
    'with a second view': with_segment(JPEG, b'MPF\0' + bytes(60)) + JPEG,
    'with a film behind': JPEG + b'\0\0\0\x18ftypmp42' + bytes(2000),
    'cut off': JPEG[: len(JPEG) // 2],
    'png': encoded('PNG'),
    'webp': encoded('WEBP'),
    'bmp': encoded('BMP'),
}


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('kind', STILLS)
def test_a_single_picture_of_any_name_is_a_still(tmp_path, kind, name):
    path = tmp_path / name
    path.write_bytes(STILLS[kind])
    assert is_still(path) is True
    if kind != 'cut off':
        assert isinstance(open_source(path), StillImages)


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('kind', KINDS, ids=str)
def test_a_film_of_any_name_is_a_film(tmp_path_factory, kind, name):
    folder = tmp_path_factory.getbasetemp() / f'kind_{kind.suffix}_{kind.codec}'
    made = folder / f'film.{kind.suffix}'
    if not made.exists():
        folder.mkdir()
        write_film(made, scene(3), kind)
    path = folder / name
    path.write_bytes(made.read_bytes())
    source = open_source(path)
    assert isinstance(source, VideoFile)
    assert len(list(source.frames())) == 3


def test_motion_jpeg_may_be_filled_up(tmp_path):
    path = tmp_path / 'film'
    path.write_bytes((JPEG + bytes(7)) * 3)
    assert is_still(path) is False
    assert len(list(open_source(path).frames())) == 3


@pytest.mark.parametrize(
    ('brands', 'still'),
    [
        (b'avif\0\0\0\0avifmif1miaf', True),
        (b'mif1\0\0\0\0mif1heic', True),
        (b'heic\0\0\0\0mif1heic', True),
        (b'avis\0\0\0\0avisavifmif1', False),
        (b'msf1\0\0\0\0msf1hevc', False),
        (b'isom\0\0\0\0isomiso2avc1mp41', False),
        (b'mp42\0\0\0\0mif1mp42', False),
    ],
)
def test_brands_of_pictures_and_of_films(tmp_path, brands, still):
    path = tmp_path / 'x'
    path.write_bytes(struct.pack('>I', 8 + len(brands)) + b'ftyp' + brands + bytes(100))
    assert is_still(path) is still


@pytest.mark.parametrize('frames', [1, 3])
def test_avif_of_one_picture_and_of_several(tmp_path, frames):
    path = tmp_path / 'x'
    first, *others = (Image.fromarray(image) for image in scene(frames))
    first.save(path, 'AVIF', save_all=frames > 1, append_images=others, duration=100)
    assert is_still(path) is (frames == 1)
    if frames > 1:
        assert len(list(open_source(path).frames())) == frames


def test_a_png_with_one_frame_of_animation_is_a_still(tmp_path):
    data = encoded('PNG')
    chunk = b'\0\0\0\x08acTL' + struct.pack('>II', 1, 0) + bytes(4)
    path = tmp_path / 'x.apng'
    path.write_bytes(data[:33] + chunk + data[33:])
    assert is_still(path) is True


@pytest.mark.parametrize('colours', [2, 200])
@pytest.mark.parametrize('frames', [1, 2, 5])
def test_gif_of_one_picture_and_of_several(tmp_path, frames, colours):
    path = tmp_path / 'x'
    images = [Image.fromarray(image).quantize(colours) for image in scene(frames)]
    images[0].save(path, 'GIF', save_all=True, append_images=images[1:], comment=bytes(range(200)))
    assert is_still(path) is (frames == 1)
    path.write_bytes(path.read_bytes()[:-200])
    assert is_still(path) is (frames == 1)


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda rest: JPEG[:300] + rest))
def test_any_bytes_give_an_answer(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / 'any'
    path.write_bytes(data)
    assert is_still(path) in (True, False, None)


def test_what_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(InputError, match='it is a folder'):
        is_still(tmp_path)
