"""Only videos of known kinds and sizes reach FFmpeg, and none makes it open anything else."""

from __future__ import annotations

import os
import struct
from io import BytesIO

import av
import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emotion_estimator.errors import InputError
from emotion_estimator.sources.container import (
    ACCEPTED_VIDEOS,
    check_container,
    open_ffmpeg,
)
from emotion_estimator.sources.declared_size import declared_sizes
from emotion_estimator.sources.film import Film
from emotion_estimator.sources.images import StillImages
from emotion_estimator.sources.open_source import open_source
from emotion_estimator.sources.video import VideoFile


def jpeg(width=64, height=48, level=90) -> bytes:
    image = np.full((height, width, 3), level, np.uint8)
    return cv2.imencode('.jpg', image)[1].tobytes()


def claiming(data: bytes, width: int, height: int) -> bytes:
    """Return a JPEG with another size in its header."""
    at = data.index(b'\xff\xc0') + 5
    return data[:at] + struct.pack('>HH', height, width) + data[at + 4 :]


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp('container') / 'clip.mp4'
    write(path, 'mp4v')
    return path


def write(path, code, size=(64, 48), count=6) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 20.0, size)
    assert writer.isOpened()
    for number in range(count):
        writer.write(np.full((size[1], size[0], 3), 10 + 20 * number, np.uint8))
    writer.release()


@pytest.mark.parametrize(
    ('suffix', 'code'),
    [('mp4', 'mp4v'), ('mov', 'mp4v'), ('mkv', 'mp4v'), ('avi', 'MJPG'), ('webm', 'VP80'),
     ('ts', 'mp2v'), ('mpg', 'mp2v'), ('m2v', 'mp2v'), ('flv', 'FLV1'), ('wmv', 'WMV2'),
     ('m4v', 'mp4v')],
)  # fmt: skip
def test_containers_that_people_have_are_read(tmp_path, suffix, code):
    path = tmp_path / f'clip.{suffix}'
    write(path, code, (176, 144))
    # By content: the name says nothing.
    path = path.rename(tmp_path / 'clip')
    check_container(path)
    assert len(list(VideoFile(path).frames())) >= 5


def test_mjpeg_is_a_film_and_a_jpeg_of_another_name_an_image(tmp_path):
    path = tmp_path / 'film.mjpeg'
    path.write_bytes(b''.join(jpeg(level=level) for level in (20, 120, 220)))
    levels = [int(frame.image.mean()) for frame in open_source(path).frames()]
    assert levels == pytest.approx([20, 120, 220], abs=3)
    picture = tmp_path / 'picture.mjpeg'
    picture.write_bytes(jpeg())
    assert isinstance(open_source(picture), StillImages)


def test_a_picture_that_is_not_accepted_is_called_by_its_name(tmp_path):
    path = tmp_path / 'picture.jp2'
    path.write_bytes(b'\0\0\0\x0cjP  \r\n\x87\n' + bytes(100))
    with pytest.raises(InputError, match='JPEG 2000 is not accepted'):
        open_source(path)


@pytest.mark.parametrize('data', [b'\0\0\1\xba', b'\0\0\0\1\x67\x64\0\x0a', b'\0\0\1\xb3\0\0'])
def test_elementary_streams_are_known(tmp_path, data):
    path = tmp_path / 'stream'
    path.write_bytes(data + bytes(100))
    check_container(path)


PLAYLISTS = {
    'hls': '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{clip}\n#EXT-X-ENDLIST\n',
    'concat': "ffconcat version 1.0\nfile '{clip}'\n",
    'sdp': 'v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 26\n',
    'dash': '<?xml version="1.0"?><MPD><BaseURL>{clip}</BaseURL></MPD>',
    'meta': ';FFMETADATA1\ntitle={clip}\n',
}


@pytest.mark.parametrize('name', ['list.m3u8', 'clip.mp4', 'clip.mkv', 'list.ffconcat', 'x.sdp'])
@pytest.mark.parametrize('kind', PLAYLISTS)
def test_a_playlist_opens_no_other_file(tmp_path, clip, name, kind):
    path = tmp_path / name
    path.write_text(PLAYLISTS[kind].format(clip=clip))
    with pytest.raises(InputError, match='not a video') as caught:
        open_source(path)
    assert ACCEPTED_VIDEOS in str(caught.value)


def test_ffmpeg_itself_refuses_them_too(tmp_path, clip):
    # Behind the check by first bytes: a format that FFmpeg sees where the check does not.
    path = tmp_path / 'list.ffconcat'
    path.write_text(f"ffconcat version 1.0\nfile '{clip.name}'\n")
    (tmp_path / clip.name).write_bytes(clip.read_bytes())
    for address in (path.open('rb'), str(path), f'file:{path}', str(clip)):
        with pytest.raises(InputError, match='cannot be decoded'):
            Film(address, 'it')
    film = Film(clip.open('rb'), 'it')
    assert len(list(film.pictures())) == 6
    film.close()


def test_a_setting_of_the_user_is_kept_beside_ours(monkeypatch, clip):
    monkeypatch.setenv('OPENCV_FFMPEG_CAPTURE_OPTIONS', 'threads;1')
    assert open_ffmpeg(str(clip), 'video', []).isOpened()
    options = os.environ['OPENCV_FFMPEG_CAPTURE_OPTIONS']
    assert options.startswith('threads;1|format_whitelist;mov,')
    open_ffmpeg(str(clip), 'video', [])
    assert os.environ['OPENCV_FFMPEG_CAPTURE_OPTIONS'] == options


@pytest.mark.parametrize('name', ['concat:clip.mp4', 'subfile,,start,0,end,9,,:clip.mp4', 'data:x'])
def test_a_name_is_no_instruction(tmp_path, monkeypatch, clip, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'clip.mp4').write_bytes(b'something else')
    with pytest.raises(InputError, match='does not exist'):
        VideoFile(name)
    (tmp_path / name).write_bytes(clip.read_bytes())
    assert len(list(VideoFile(name).frames())) == 6


def huge(kind: str) -> bytes:
    if kind == 'mjpeg':
        return claiming(jpeg(), 30000, 30000) * 3
    if kind == 'gif':
        size = struct.pack('<HH', 65000, 65000)
        return b'GIF89a' + size + b'\x80\0\0' + bytes(6) + b',\0\0\0\0' + size + b'\0\2\2L\1\0;'
    return (
        b'DKIF'
        + struct.pack('<HH4sHHIIII', 0, 32, b'MJPG', 16000, 16000, 30, 1, 3, 0)
        + (struct.pack('<IQ', len(jpeg()), 0) + jpeg())
    )


@pytest.mark.parametrize('kind', ['mjpeg', 'gif', 'ivf'])
def test_images_beyond_the_limit_are_refused_by_their_header(tmp_path, kind):
    path = tmp_path / f'film.{kind}'
    path.write_bytes(huge(kind))
    with pytest.raises(InputError, match=r'too large for the limit|no frame') as caught:
        VideoFile(path)
    assert '\n' not in str(caught.value)


def test_a_container_that_says_too_large_is_refused_before_a_frame_is_read(
    clip, tmp_path, monkeypatch
):
    data = bytearray(clip.read_bytes())
    at = data.index(b'mp4v', data.index(b'stsd')) + 4 + 24
    data[at : at + 4] = struct.pack('>HH', 20000, 20000)
    path = tmp_path / 'huge.mp4'
    path.write_bytes(data)
    monkeypatch.setattr(av, 'open', None)
    with pytest.raises(InputError, match='is 20000x20000 pixels, too large'):
        VideoFile(path)


def test_a_matroska_or_avi_that_says_too_large(tmp_path, monkeypatch):
    for suffix, code, width in (
        ('mkv', 'mp4v', b'\xb0\x82'),
        ('avi', 'MJPG', b'strf(\0\0\0(\0\0\0'),
    ):
        path = tmp_path / f'huge.{suffix}'
        write(path, code, (640, 480))
        data = bytearray(path.read_bytes())
        at = data.index(width) + len(width)
        size = struct.pack('>H', 60000) if suffix == 'mkv' else struct.pack('<I', 60000)
        data[at : at + len(size)] = size
        path.write_bytes(data)
        with monkeypatch.context() as changed, pytest.raises(InputError, match='60000x480 pixels'):
            changed.setattr(av, 'open', None)
            VideoFile(path)


def test_a_description_of_a_stream_hidden_in_a_film_is_refused(tmp_path):
    comment = b'\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 26\n'.ljust(0x0101 - 2)
    path = tmp_path / 'film.mjpeg'
    path.write_bytes(b'\xff\xd8\xff\xfe\1\1' + comment + jpeg()[2:])
    with pytest.raises(InputError, match='not a video'):
        VideoFile(path)


def test_the_sizes_in_frames_of_flv_and_ivf(tmp_path):
    path = tmp_path / 'film.flv'
    write(path, 'FLV1', (640, 360))
    data = path.read_bytes()
    found = list(declared_sizes(BytesIO(data), data))
    assert set(found) == {(640, 360)}
    assert len(found) == 6
    frame = b'\x10\0\0\x9d\1\x2a' + struct.pack('<HH', 16000, 12000)
    head = b'DKIF' + struct.pack('<HH4sHHIIII', 0, 32, b'VP80', 64, 48, 30, 1, 1, 0)
    data = head + struct.pack('<IQ', len(frame), 0) + frame
    assert list(declared_sizes(BytesIO(data), data)) == [(64, 48), (16000, 12000)]


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack('>I4s', 8 + len(content), kind) + content


def description(entry: bytes, *handlers: bytes) -> bytes:
    """Return a track of MP4 or QuickTime, which has a second handler."""
    table = box(b'stbl', box(b'stsd', struct.pack('>II', 0, 1) + entry))
    reach = b''.join(box(b'hdlr', bytes(4) + b'dhlr' + each + bytes(13)) for each in handlers[1:])
    what = b''.join(box(b'hdlr', bytes(8) + each + bytes(13)) for each in handlers[:1])
    return box(b'trak', box(b'mdia', what + box(b'minf', reach + table)))


@pytest.mark.parametrize('handlers', [(b'meta',), (b'meta', b'alis')])
def test_text_of_a_telephones_metadata_is_no_size(handlers):
    text = box(b'mett', bytes(6) + b'\0\1' + 2 * b'application/microvideo-meta-stream\0')
    film = box(b'avc1', bytes(24) + struct.pack('>HH', 640, 480) + bytes(50))
    tracks = description(text, *handlers) + description(film, b'vide', b'alis')
    data = box(b'ftyp', b'isom') + box(b'moov', tracks)
    assert list(declared_sizes(BytesIO(data), data)) == [(640, 480)]


def test_a_damaged_track_hides_no_other():
    film = box(b'avc1', bytes(24) + struct.pack('>HH', 640, 480) + bytes(50))
    tracks = description(box(b'avc1', b'')[:9]) + description(film)
    data = box(b'ftyp', b'isom') + box(b'moov', tracks)
    assert list(declared_sizes(BytesIO(data), data)) == [(640, 480)]


@pytest.mark.parametrize('length', [16, 18, 40])
def test_sound_of_an_avi_is_no_size(length):
    def stream(kind: bytes, form: bytes) -> bytes:
        return (b'strh' + struct.pack('<I', 56) + kind + bytes(52)
                + b'strf' + struct.pack('<I', len(form)) + form)  # fmt: skip

    film = struct.pack('<Iii', 40, 640, -480) + bytes(28)
    sound = struct.pack('<HHII', 0xFFFE, 2, 96000, 576000) + bytes(28)
    data = b'RIFF0000AVI LIST' + stream(b'vids', film) + stream(b'auds', sound[:length])
    assert list(declared_sizes(BytesIO(data), data)) == [(640, 480)]


def test_the_sides_of_a_matroska_may_come_in_any_order():
    def element(kind: str, content: bytes) -> bytes:
        return bytes.fromhex(kind) + bytes([0x80 | len(content)]) + content

    width, height = element('b0', b'\x75\x30'), element('ba', b'\x75\x31')
    for sides in (width + height, height + width):
        video = element('e0', sides)
        track = element('1654ae6b', element('ae', video))
        data = element('1a45dfa3', b'') + element('18538067', track)
        assert list(declared_sizes(BytesIO(data), data)) == [(30000, 30001)]


def test_the_sampling_rate_of_sound_is_no_size():
    sound = box(b'mp4a', bytes(16) + struct.pack('>HHHHI', 2, 16, 0, 0, 48000 << 16))
    film = box(b'avc1', bytes(24) + struct.pack('>HH', 640, 480) + bytes(50))
    data = box(b'ftyp', b'isom') + box(b'moov', description(sound) + description(film))
    assert list(declared_sizes(BytesIO(data), data)) == [(640, 480)]
    # A box that reaches to the end, or beyond.
    assert list(declared_sizes(BytesIO(data[:-20]), data)) == [(640, 480)]


def growing(path, size=(64, 48)) -> None:
    """Write Motion-JPEG whose third image is larger."""
    path.write_bytes(jpeg() * 2 + jpeg(*size))


def test_a_frame_that_grows_within_a_video_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr('emotion_estimator.sources.container.MAX_PIXELS', 64 * 48)
    growing(tmp_path / 'film.mjpeg', (80, 48))
    with pytest.raises(InputError, match='is 80x48 pixels, too large'):
        list(VideoFile(tmp_path / 'film.mjpeg').frames())


def test_ffmpeg_decodes_no_frame_beyond_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr('emotion_estimator.sources.film.MAX_PIXELS', 64 * 48)
    growing(tmp_path / 'film.mjpeg', (128, 96))
    source = VideoFile(tmp_path / 'film.mjpeg')
    assert len(list(source.frames())) == 2
    assert source.account.reasons == {'damaged': 1}


@pytest.mark.parametrize('kind', ['pipe', 'folder', 'null'])
def test_only_regular_files_are_opened(tmp_path, kind):
    path = tmp_path / 'film.mp4'
    if kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'folder':
        path.mkdir()
    else:
        path = tmp_path / 'a\0b.mp4'
    with pytest.raises(InputError) as caught:
        VideoFile(path)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('spec', ['a\0b.mp4', 'x' * 5000, '\n' * 300 + '.mp4', 'x://' + 'y' * 900])
def test_lines_quote_little_of_a_long_name(spec):
    with pytest.raises(InputError) as caught:
        open_source(spec)
    assert len(str(caught.value)) < 520
    assert '\n' not in str(caught.value)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=5,
    )
)
def test_no_mutation_raises_anything_but_one_line(clip, changes):
    content = bytearray(clip.read_bytes())
    for place, change in changes:
        at = int(place * len(content))
        content[at : at + len(change)] = change
    path = clip.with_name('mutated.mp4')
    path.write_bytes(content)
    try:
        source = VideoFile(path)
        stamps = [frame.stamp for frame in source.frames()]
    except InputError as error:
        assert '\n' not in str(error)
    else:
        assert len(stamps) < 100
        assert all(0.0 <= stamp < 1e10 for stamp in stamps)
