"""Pictures are refused by their first bytes before a decoder sees them."""

from __future__ import annotations

import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.errors import InputError
from emotion_estimator.perception.image import check_rgb, rgb_from_compressed
from emotion_estimator.picture_header import check_picture, turned
from emotion_estimator.sources.images import read_image

PICTURE = np.zeros((24, 40, 3), np.uint8)
PICTURE[:12, :20] = 250


def encoded(suffix, picture=PICTURE) -> bytes:
    done, data = cv2.imencode(suffix, picture)
    assert done
    return data.tobytes()


def chunk(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack('>I', len(content))
        + name
        + content
        + struct.pack('>I', zlib.crc32(name + content))
    )


def exif(orientation: int) -> bytes:
    return b'II*\0' + struct.pack('<IHHHIHHI', 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def with_exif(suffix: str, picture, orientation: int) -> bytes:
    """Return a PNG or a WebP file with an orientation."""
    data = encoded(suffix, picture)
    if suffix == '.png':
        return data[:33] + chunk(b'eXIf', exif(orientation)) + data[33:]
    height, width = picture.shape[:2]
    flags = 0x08 | (0x10 if picture.shape[2] == 4 else 0)
    body = data[12:] if data[12:16] != b'VP8X' else data[30:]
    sizes = (width - 1).to_bytes(3, 'little') + (height - 1).to_bytes(3, 'little')
    body = b'VP8X' + struct.pack('<I', 10) + bytes([flags, 0, 0, 0]) + sizes + body
    body += b'EXIF' + struct.pack('<I', len(exif(orientation))) + exif(orientation)
    return b'RIFF' + struct.pack('<I', len(body) + 4) + b'WEBP' + body


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tiff', '.bmp', '.ppm'])
def test_the_size_is_read_from_the_header(suffix):
    header = check_picture(encoded(suffix), 'image')
    assert (header.width, header.height, header.orientation) == (40, 24, 1)


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tiff', '.bmp', '.ppm'])
def test_too_many_pixels_are_refused_before_decoding(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('was decoded'))
    path = tmp_path / f'large{suffix}'
    path.write_bytes(encoded(suffix))
    with pytest.raises(InputError, match='40x24 pixels, too large'):
        read_image(path, 40 * 24 - 1)
    with pytest.raises(InputError, match='40x24 pixels, too large'):
        rgb_from_compressed(SimpleNamespace(format='', data=path.read_bytes()), 40 * 24 - 1)


def test_a_png_that_claims_30000_pixels_a_side_is_refused():
    data = b'\x89PNG\r\n\x1a\n' + chunk(
        b'IHDR', struct.pack('>IIBBBBB', 30000, 30000, 8, 2, 0, 0, 0)
    )
    data += chunk(b'IDAT', b'') + chunk(b'IEND', b'')
    with pytest.raises(InputError, match='30000x30000 pixels, too large'):
        rgb_from_compressed(SimpleNamespace(format='png', data=data))


def test_a_png_without_pixels_never_reaches_the_decoder(monkeypatch):
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('was decoded'))
    data = encoded('.png')[:33] + chunk(b'IEND', b'') + struct.pack('>I', 0x7FFFFFF0)
    with pytest.raises(InputError, match='damaged PNG'):
        rgb_from_compressed(SimpleNamespace(format='png', data=data))


@pytest.mark.parametrize('kind', [b'IDAT', b'iTXt', b'eXIf', b'I'])
@pytest.mark.parametrize('claim', [0x7FFFFFF0, 0x7428CB99, 1 << 20])
def test_a_png_chunk_that_claims_more_than_there_is_never_reaches_the_decoder(
    kind, claim, monkeypatch
):
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('was decoded'))
    data = encoded('.png')[:33] + struct.pack('>I', claim) + kind
    with pytest.raises(InputError, match='damaged PNG'):
        rgb_from_compressed(SimpleNamespace(format='png', data=data))


@pytest.mark.parametrize(
    'start', [b'\0\0\0\x0cjP  \r\n\x87\n', b'\xff\x4f\xff\x51\0\x2f', b'\x76\x2f\x31\x01\2']
)
def test_other_formats_never_reach_the_decoder(start, tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('was decoded'))
    path = tmp_path / 'other.jpg'
    path.write_bytes(start + bytes(600))
    with pytest.raises(InputError, match='is not accepted'):
        read_image(path)
    with pytest.raises(InputError, match='is not accepted'):
        rgb_from_compressed(SimpleNamespace(format='jpeg', data=path.read_bytes()))


@pytest.mark.parametrize('channels', [3, 4])
@pytest.mark.parametrize('suffix', ['.png', '.webp'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_png_and_webp_are_shown_as_displayed(suffix, channels, orientation, tmp_path):
    picture = np.full((24, 40, channels), 255, np.uint8)
    picture[..., :3] = PICTURE
    path = tmp_path / f'turned{suffix}'
    path.write_bytes(with_exif(suffix, picture, orientation))
    image = read_image(path)
    corners = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1),
               7: (-1, -1), 8: (-1, 0)}  # fmt: skip
    assert image.shape == ((24, 40, 3) if orientation < 5 else (40, 24, 3))
    bright = [at for at in ((0, 0), (0, -1), (-1, 0), (-1, -1)) if image[at].min() > 200]
    assert bright == [corners[orientation]]
    message = SimpleNamespace(format='', data=path.read_bytes())
    assert rgb_from_compressed(message).shape == image.shape


def test_quarter_turns_go_clockwise():
    picture = np.arange(6).reshape(2, 3)
    assert np.array_equal(turned(picture, 6), np.rot90(picture, -1))
    assert np.array_equal(turned(picture, 8), np.rot90(picture))


def test_a_raw_image_over_the_limit_is_refused():
    with pytest.raises(InputError, match='too large'):
        check_rgb(PICTURE, 40 * 24 - 1)


SMALL = [encoded(suffix) for suffix in ('.jpg', '.png', '.webp', '.tiff', '.bmp', '.ppm')]


@given(st.sampled_from(SMALL), st.data())
def test_damaged_headers_give_a_header_or_one_line(data, draw):
    broken = bytearray(data[: draw.draw(st.integers(0, len(data)))])
    for _ in range(draw.draw(st.integers(0, 4))):
        if broken:
            broken[draw.draw(st.integers(0, min(len(broken), 64) - 1))] = draw.draw(
                st.integers(0, 255)
            )
    try:
        header = check_picture(bytes(broken), 'image')
    except InputError as error:
        assert '\n' not in str(error)
    else:
        assert 0 < header.width * header.height <= 7680 * 4320
