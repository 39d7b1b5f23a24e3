"""Memory that pictures of 8K take, measured in processes of their own."""

import pytest
from picture_memory import MOST, grown, picture_of, with_junk

from emotion_estimator.errors import InputError
from emotion_estimator.picture_header import check_picture


@pytest.mark.parametrize(
    ('kind', 'place'),
    [
        ('JPEG', '255 MB inside'),
        ('JPEG CMYK progressive', 'as it is'),
        ('PNM 16 bit', 'as it is'),
        ('TIFF grey', '255 MB behind'),
        ('WebP', '255 MB inside'),
    ],
)
def test_no_picture_grows_a_process_by_more_than_500_mb(kind, place):
    size, said = grown(with_junk(picture_of(kind), place))
    assert size < MOST, said


@pytest.mark.parametrize('kind', ['PNG 16 bit', 'PNG alpha', 'TIFF'])
def test_ordinary_pictures_of_8k_are_read(kind):
    size, said = grown(picture_of(kind))
    assert said in ('7680x4320', '4320x7680')
    # It sees at least what they decode to.
    assert 3 * 7680 * 4320 < size < MOST


def test_one_that_would_take_too_much_says_how_much():
    data = with_junk(picture_of('PNG alpha'), '255 MB inside')
    with pytest.raises(InputError, match=r'take \d+ MB to decode, more than 480; save') as error:
        check_picture(data, 'image a.png')
    assert error.value.kind == 'too_large'
