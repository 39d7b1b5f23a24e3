"""Pictures of every kind come out upright and in their colours, from files and from messages."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from types import SimpleNamespace

import numpy as np
import picture_matrix as matrix
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from emotion_estimator.bags.messages import COMPRESSED_IMAGE, decode_image, make, serialize
from emotion_estimator.errors import InputError
from emotion_estimator.perception.image import rgb_from_compressed
from emotion_estimator.picture_decoding import decode_picture, full_scale, to_uint8
from emotion_estimator.picture_header import check_picture, is_picture
from emotion_estimator.sources.images import read_image

UPRIGHT = matrix.upright()

# It loads the formats that are loaded late, AVIF among them.
Image.init()


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
    if 'AVIF' not in name:
        assert np.array_equal(decode_image(message(data), COMPRESSED_IMAGE), image)


@pytest.mark.parametrize('name', matrix.PLAIN)
def test_kinds_without_orientation_keep_their_colours(name):
    kind = matrix.PLAIN[name]
    assert error_of(decode_picture(kind.encode(UPRIGHT, 1), 'image'), kind) <= kind.tolerance


@pytest.mark.parametrize('name', matrix.TURNED)
def test_a_cut_file_gives_what_is_there_or_one_line_and_is_quiet(name, capfd):
    data = matrix.TURNED[name].encode(UPRIGHT, 1)
    for part in (0.1, 0.5, 0.9):
        try:
            image = decode_picture(data[: int(len(data) * part)], 'image a')
        except InputError as error:
            assert error.kind in ('damaged', 'format')
            assert '\n' not in str(error)
        else:
            assert image.shape == UPRIGHT.shape
    said = capfd.readouterr()
    # libtiff's own words of the JPEG in it.
    assert said == ('', '') or name == 'TIFF JPEG'


@given(st.sampled_from(sorted(matrix.TURNED) + sorted(matrix.PLAIN)), st.data())
@settings(max_examples=100, deadline=None)
def test_damaged_files_give_pixels_or_one_line(name, draw):
    kind = {**matrix.TURNED, **matrix.PLAIN}[name]
    broken = bytearray(kind.encode(UPRIGHT, 1))
    for _ in range(draw.draw(st.integers(1, 5))):
        broken[draw.draw(st.integers(0, len(broken) - 1))] = draw.draw(st.integers(0, 255))
    try:
        image = decode_picture(bytes(broken), 'image a', 1 << 20)
    except InputError as error:
        assert '\n' not in str(error)
        assert error.kind in ('damaged', 'format', 'too_large')
    else:
        assert image.dtype == np.uint8
        assert image.shape[2] == 3


def saved(form: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(UPRIGHT).save(file, form, **options)
    return file.getvalue()


def test_exif_comes_before_xmp():
    xmp = b'http://ns.adobe.com/xap/1.0/\0' + matrix.xmp(6)
    for exif_first in (True, False):
        data = saved('JPEG')
        for app1 in (xmp, b'Exif\0\0' + matrix.exif(3))[:: 1 if exif_first else -1]:
            data = matrix.jpeg_with(data, app1)
        assert check_picture(data, 'image').orientation == 3
    # EXIF that says nothing of it leaves it to XMP.
    nothing = matrix.jpeg_with(saved('JPEG'), b'Exif\0\0II*\0' + struct.pack('<IHI', 8, 0, 0))
    assert check_picture(matrix.jpeg_with(nothing, xmp), 'image').orientation == 6


@pytest.mark.parametrize('orientation', [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_none(orientation):
    data = matrix.jpeg_with(saved('JPEG'), b'Exif\0\0' + matrix.exif(orientation))
    assert decode_picture(data, 'image').shape == UPRIGHT.shape


@pytest.mark.parametrize('brand', [b'heic', b'heix', b'mif1'])
def test_heic_is_refused_by_its_name(brand):
    data = b'\0\0\0\x18ftyp' + brand + b'\0\0\0\0mif1heic' + bytes(500)
    assert is_picture(data[:16])
    with pytest.raises(InputError, match='HEIC is not accepted: convert it to JPEG') as caught:
        decode_picture(data, 'image a.heic')
    assert caught.value.kind == 'format'


def test_a_film_is_sent_to_the_verb_for_films():
    data = b'\0\0\0\x18ftypisom\0\0\0\0isommp42' + bytes(500)
    assert not is_picture(data[:16])
    with pytest.raises(InputError, match='emotion-estimator video'):
        decode_picture(data, 'image a.mp4')


def test_avif_without_a_decoder_is_refused_by_its_name(monkeypatch):
    data = b'\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf' + boxed_size(64, 48)
    monkeypatch.delitem(Image.OPEN, 'AVIF', raising=False)
    with pytest.raises(InputError, match=r'is AVIF, which needs Pillow 11\.3'):
        decode_picture(data, 'image a.avif')


def test_avif_in_messages_is_refused_by_its_name(monkeypatch):
    monkeypatch.setattr(Image, 'open', lambda *_, **__: pytest.fail('was decoded'))
    data = b'\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf' + boxed_size(64, 48)
    with pytest.raises(InputError, match='is AVIF, which is read from files only'):
        decode_image(message(data), COMPRESSED_IMAGE)


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack('>I', len(content) + 8) + name + content


def boxed_size(width: int, height: int) -> bytes:
    extent = box(b'ispe', struct.pack('>III', 0, width, height))
    return box(b'meta', bytes(4) + box(b'iprp', box(b'ipco', extent)))


def test_the_size_of_avif_is_read_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(Image, 'open', lambda *_, **__: pytest.fail('was decoded'))
    data = b'\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf' + boxed_size(30000, 30000)
    with pytest.raises(InputError, match='30000x30000 pixels, too large'):
        decode_picture(data, 'image')


def test_of_an_animation_the_first_picture_is_shown():
    last = Image.fromarray(UPRIGHT).transpose(Image.Transpose.ROTATE_180)
    for form, tolerance in (('GIF', 14), ('WEBP', 8), ('PNG', 0)):
        image = decode_picture(saved(form, save_all=True, append_images=[last]), 'image')
        assert np.abs(image.astype(int) - UPRIGHT).mean() <= tolerance


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        (b'iCCP', b'profile\0\0'),
        (b'zTXt', b'Raw profile type exif\0\0'),
        (b'iTXt', b'XML:com.adobe.xmp\0\1\0\0\0'),
    ],
)
def test_packed_metadata_are_unpacked_up_to_a_limit(name, content):
    bomb = zlib.compress(bytes(200 << 20), 9)
    data = matrix.png_with(saved('PNG'), matrix.png_chunk(name, content + bomb))
    tracemalloc.start()
    try:
        image = decode_picture(data, 'image')
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(image, UPRIGHT)
    assert peak < 30 << 20


def test_a_profile_that_does_not_fit_is_left_out():
    for profile in (b'no profile', b'\0' * 128, matrix.swapped_profile()[:200]):
        image = decode_picture(saved('PNG', icc_profile=profile), 'image')
        assert np.array_equal(image, UPRIGHT)


def test_more_pixels_than_pillow_takes_are_one_line_or_pixels(monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    gif = matrix.PLAIN['GIF'].encode(UPRIGHT, 1)
    with pytest.raises(InputError, match='damaged GIF'):
        decode_picture(gif, 'image')
    kind = matrix.TURNED['PNG alpha']
    assert error_of(decode_picture(kind.encode(UPRIGHT, 1), 'image'), kind) <= kind.tolerance


def test_messages_respect_the_limit_of_pixels():
    data = saved('JPEG')
    height, width = UPRIGHT.shape[:2]
    assert decode_image(message(data), COMPRESSED_IMAGE, width * height).shape == UPRIGHT.shape
    with pytest.raises(InputError, match='too large'):
        decode_image(message(data), COMPRESSED_IMAGE, width * height - 1)


def test_exchanged_colours_of_messages_are_exchanged_back():
    sent = SimpleNamespace(format='rgb8; png compressed rgb8', data=saved('PNG'))
    assert np.array_equal(rgb_from_compressed(sent), UPRIGHT[..., ::-1])


@pytest.mark.parametrize(
    ('values', 'full'),
    [
        ([0.0, 0.4], 1),
        ([0.0, 1.7, np.nan, np.inf], 1),
        ([0.0, 20.0], 255),
        ([0.0, 255.6], 255),
        ([0.0, 9000.0], 65535),
    ],
)
def test_the_range_of_floats_is_that_of_their_largest_value(values, full):
    image = np.array([values], np.float32)
    assert full_scale(image) == full
    assert to_uint8(image)[0, 1] == round(min(values[1], full) / full * 255)
