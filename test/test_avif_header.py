"""AVIF files by libavif, whole and lying about their size."""

import io
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, features

from emotion_estimator.avif_header import avif_sizes
from emotion_estimator.errors import InputError
from emotion_estimator.picture_header import check_picture

pytestmark = pytest.mark.skipif(not features.check('avif'), reason='Pillow is without AVIF')


def avif(width: int, height: int, mode: str = 'RGB', **options) -> bytes:
    file = io.BytesIO()
    picture = Image.linear_gradient('L').resize((width, height))
    alpha = picture.transpose(Image.Transpose.ROTATE_90).resize((width, height))
    picture = picture.convert(mode)
    if mode == 'RGBA':
        # Of pictures that are opaque it is not stored.
        picture.putalpha(alpha)
    picture.save(file, 'AVIF', speed=10, **options)
    return file.getvalue()


def claiming(data: bytes, width: int, height: int) -> bytes:
    """Return a file whose boxes give another size than its pixels have."""
    at = data.index(b'ispe') + 8
    changed = bytearray(data)
    while at > 7:
        struct.pack_into('>II', changed, at, width, height)
        at = data.find(b'ispe', at) + 8
    return bytes(changed)


@pytest.mark.parametrize('mode', ['RGB', 'RGBA', 'L'])
@pytest.mark.parametrize('size', [(1, 1), (64, 48), (255, 257), (1280, 720), (3000, 5000)])
def test_boxes_and_pixels_give_the_same_size(size, mode):
    data = avif(*size, mode)
    assert set(avif_sizes(memoryview(data))) == {size}
    # Once in the boxes, which both share, and once for each stream: colours, transparency.
    assert len(avif_sizes(memoryview(data))) == (3 if mode == 'RGBA' else 2)


def test_the_sizes_of_sequences_are_those_of_their_streams():
    more = [Image.new('RGB', (64, 48), colour) for colour in ('red', 'blue')]
    data = avif(64, 48, save_all=True, append_images=more)
    assert set(avif_sizes(memoryview(data))) == {(64, 48)}


@pytest.mark.parametrize('mode', ['RGB', 'RGBA'])
def test_a_file_that_hides_its_size_is_refused_by_its_pixels(mode):
    data = claiming(avif(1000, 900, mode), 20, 10)
    assert (1000, 900) in avif_sizes(memoryview(data))
    with pytest.raises(InputError, match='1000x900') as error:
        check_picture(data, 'image a.avif', max_pixels=100_000)
    assert error.value.kind == 'too_large'
    check_picture(data, 'image a.avif', max_pixels=2_000_000)


def test_pixels_in_pieces_are_found():
    """The place of the data is changed to two extents, which libavif accepts."""
    data = avif(1000, 900)
    at = data.index(b'iloc')
    box = data[at - 4 : at - 4 + struct.unpack_from('>I', data, at - 4)[0]]
    version, sizes = box[8], box[12:14]
    assert (version, sizes) == (0, b'\x44\x00')
    count, item, reference, extents = struct.unpack_from('>HHHH', box, 14)
    assert (count, reference, extents) == (1, 0, 1)
    begun, length = struct.unpack_from('>II', box, 22)
    # Both boxes around it grow by the second extent.
    pieces = struct.pack('>IIII', begun + 8, 5, begun + 13, length - 5)
    longer = struct.pack('>I4sI2sHHHH', len(box) + 8, b'iloc', 0, sizes, 1, item, 0, 2) + pieces
    meta = data.index(b'meta') - 4
    grown = struct.pack('>I', struct.unpack_from('>I', data, meta)[0] + 8)
    changed = data[:meta] + grown + data[meta + 4 : at - 4] + longer + data[at - 4 + len(box) :]
    with Image.open(io.BytesIO(changed)) as image:
        image.load()
    assert set(avif_sizes(memoryview(claiming(changed, 20, 10)))) == {(20, 10), (1000, 900)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_give_sizes_or_one_of_the_errors_that_are_caught(draw):
    data = bytearray(avif(64, 48))
    for _ in range(draw.draw(st.integers(1, 8))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    cut = bytes(data[: draw.draw(st.integers(0, len(data)))])
    try:
        sizes = avif_sizes(memoryview(cut))
    except (struct.error, IndexError, ValueError, OverflowError):
        return
    assert all(width >= 0 and height >= 0 for width, height in sizes)
