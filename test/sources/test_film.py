"""Films are shown as they were made: each has the pictures of the upright original."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from film_matrix import ASPECTS, KINDS, MATRICES, FilmKind, difference, scene, write_film
from PIL import Image

from emotion_estimator.errors import InputError
from emotion_estimator.sources.open_source import open_source
from emotion_estimator.sources.video import VideoFile

MP4, MOV, HEVC, MKV, VP9, VP8, AVI, MJPG, TS = KINDS[:9]
BY_SUFFIX = {kind.suffix: kind for kind in reversed(KINDS)}
#: The palette of a GIF is coarse; turned or mirrored pictures differ by more than 25.
NEAR = {'gif': 14.0}


def read(path):
    source = open_source(path)
    assert isinstance(source, VideoFile)
    return source, list(source.frames())


def check(path, images, kind, stamps=None) -> VideoFile:
    source, frames = read(path)
    assert len(frames) == len(images)
    for frame, image in zip(frames, images):
        assert frame.image.shape == image.shape
        assert difference(frame.image, image) < NEAR.get(kind.suffix, 4.0)
    if stamps is not None:
        assert [frame.stamp for frame in frames] == pytest.approx(stamps, abs=0.002)
    assert source.account.complete
    assert source.account.read == len(images)
    return source


@pytest.mark.parametrize(
    ('kind', 'orientation', 'aspect'),
    [
        (kind, orientation, aspect)
        for kind in KINDS
        for orientation in (MATRICES if kind.turns else (1,))
        for aspect in (ASPECTS if kind.stretches and orientation in (1, 7) else ASPECTS[:1])
    ],
    ids=str,
)
def test_any_film_is_shown_upright_with_square_pixels(tmp_path, kind, orientation, aspect):
    images = scene(5)
    path = tmp_path / 'film.bin'
    write_film(
        tmp_path / f'film.{kind.suffix}', images, kind, orientation=orientation, aspect=aspect
    )
    # The name says nothing.
    (tmp_path / f'film.{kind.suffix}').rename(path)
    rate = 30.0 if kind.suffix == 'mjpeg' else 25.0
    source = check(path, images, kind, [n / rate for n in range(5)])
    assert source.fps == pytest.approx(rate)


def test_turned_pictures_differ_from_the_original():
    image = scene(1)[0]
    for other in (image[::-1], image[:, ::-1], image[::-1, ::-1]):
        assert difference(np.ascontiguousarray(other), image) > 25


@pytest.mark.parametrize('kind', [MP4, MKV, TS], ids=str)
def test_frames_come_in_the_order_of_presentation(tmp_path, kind):
    kind = replace(kind, options={'crf': '12', 'bf': '3', 'b-pyramid': 'normal', 'preset': 'fast'})
    images = scene(12)
    path = tmp_path / f'film.{kind.suffix}'
    write_film(path, images, kind, max_b_frames=3)
    with av.open(str(path)) as film:
        assert {frame.pict_type for frame in film.decode(video=0)} >= {1, 2, 3}
    check(path, images, kind, [n / 25 for n in range(12)])


@pytest.mark.parametrize('kind', [MP4, MOV, MKV, VP9, TS], ids=str)
def test_stamps_follow_a_varying_rate(tmp_path, kind):
    times = [0.0, 0.04, 0.2, 0.24, 1.0, 3.5, 3.52]
    path = tmp_path / f'film.{kind.suffix}'
    write_film(path, scene(len(times)), kind, times=times)
    check(path, scene(len(times)), kind, times)


def test_a_pause_of_a_minute_is_kept_by_a_container_that_lasts_as_long(tmp_path):
    times = [0.0, 0.1, 61.0, 61.1]
    for kind in (MP4, MKV):
        path = tmp_path / f'film.{kind.suffix}'
        write_film(path, scene(4), kind, times=times)
        check(path, scene(4), kind, times)


def join(tmp_path, offset):
    """Return a transport stream of two recordings whose clocks differ by ``offset`` seconds."""
    parts = []
    for number, begin in enumerate((5.0, 5.0 + offset)):
        path = tmp_path / f'{number}.ts'
        write_film(path, scene(12)[6 * number :][:6], TS, times=[begin + n / 25 for n in range(6)])
        parts.append(path.read_bytes())
    path = tmp_path / 'film.ts'
    path.write_bytes(b''.join(parts))
    return path


@pytest.mark.parametrize('offset', [95_342.0, 3600.0, 60.0, -4.0, 0.0])
def test_recordings_that_were_joined_go_on_without_a_gap(tmp_path, offset):
    _, frames = read(join(tmp_path, offset))
    assert len(frames) == 12
    steps = np.diff([frame.stamp for frame in frames])
    assert steps == pytest.approx([1 / 25] * 11, abs=0.01)


@pytest.mark.parametrize('kind', [MP4, MKV, VP9], ids=str)
def test_a_jump_of_more_than_a_day_is_no_pause_and_nothing_is_missing(tmp_path, kind):
    times = [n / 25 + (95_342.0 if n > 5 else 0.0) for n in range(12)]
    path = tmp_path / f'film.{kind.suffix}'
    write_film(path, scene(12), kind, times=times)
    source = check(path, scene(12), kind)
    steps = np.diff([frame.stamp for frame in source.frames()])
    assert steps == pytest.approx([1 / 25] * 11, abs=0.03)
    assert 10 < source.fps < 61


def test_the_clock_of_a_transport_stream_wraps_around(tmp_path):
    wrap = 2**33 / 90_000
    path = tmp_path / 'film.ts'
    # FFmpeg's muxer counts on from 0 after the wrap, as broadcasters do.
    write_film(path, scene(12), TS, times=[wrap - 1.7 + n / 5 for n in range(12)])
    check(path, scene(12), TS, [n / 5 for n in range(12)])


def test_what_an_edit_list_hides_is_not_shown(tmp_path):
    path = tmp_path / 'film.mov'
    kind = replace(MOV, options={'crf': '12', 'bf': '0', 'preset': 'ultrafast'})
    write_film(path, scene(10), kind, gop_size=30)
    data = bytearray(path.read_bytes())
    at = data.index(b'elst')
    _, count, length, start = struct.unpack_from('>IIIi', data, at + 4)
    assert (count, start) == (1, 0)
    with av.open(str(path)) as film:
        ticks = round(3 * film.streams.video[0].duration / 10)
    # In the units of the film and of the track: three of ten frames are left out.
    struct.pack_into('>Ii', data, at + 12, length * 7 // 10, ticks)
    path.write_bytes(data)
    check(path, scene(10)[3:], MOV, [n / 25 for n in range(7)])


def test_interlaced_frames_are_deinterlaced(tmp_path):
    # Each frame weaves two moments in which the spot is in different places.
    moments = [np.roll(scene(1)[0], 24 * number, axis=1) for number in range(12)]
    woven = []
    for early, late in zip(moments[::2], moments[1::2]):
        image = early.copy()
        image[1::2] = late[1::2]
        woven.append(image)

    def combs(image) -> float:
        """Return how much neighbouring rows differ from those next to them."""
        grey = image.mean(axis=2)
        return float(np.abs(2 * grey[1:-1] - grey[:-2] - grey[2:]).mean())

    def far(one, other) -> float:
        # In grey: the colours of 4:2:0 are shared by the two fields.
        return float(np.abs(one.mean(axis=2) - other.mean(axis=2)).mean())

    path = tmp_path / 'film.ts'
    # Of frames that do not say more, x264 takes the lower field for the first.
    options = {'crf': '8', 'x264-params': 'bff=1'}
    write_film(path, woven, FilmKind('ts', 'libx264', options=options))
    with av.open(str(path)) as film:
        assert all(frame.interlaced_frame for frame in film.decode(video=0))
    source, frames = read(path)
    assert source.account.read == 6
    assert [frame.stamp for frame in frames] == pytest.approx([n / 25 for n in range(6)], abs=1e-3)
    for frame, image, first in zip(frames, woven, moments[1::2]):
        assert combs(frame.image) < 0.5 * combs(image)
        assert far(frame.image, first) < 0.5 * far(image, first)


def transparent(images):
    """Return pictures whose left half is see-through, and what is seen over white."""
    alpha = np.full((*images[0].shape[:2], 1), 255, np.uint8)
    alpha[:, :64] = 0
    seen = [image.copy() for image in images]
    for image in seen:
        image[:, :64] = 255
    return [np.dstack([image, alpha]) for image in images], seen


@pytest.mark.parametrize('suffix', ['webm vp9', 'webm vp8', 'apng', 'webp', 'mov'])
def test_transparent_films_are_laid_over_white(tmp_path, suffix):
    kind = {
        'webm vp9': replace(VP9, pixels='yuva420p', options={'auto-alt-ref': '0'}),
        'webm vp8': replace(VP8, pixels='yuva420p', options={'auto-alt-ref': '0'}),
        'apng': replace(BY_SUFFIX['apng'], pixels='rgba'),
        'webp': BY_SUFFIX['webp'],
        'mov': FilmKind('mov', 'qtrle', 'argb'),
    }[suffix]
    pictures, seen = transparent(scene(4))
    path = tmp_path / f'film.{kind.suffix}'
    write_film(path, pictures, kind)
    check(path, seen, kind)


@pytest.mark.parametrize('kind', [VP8, VP9], ids=str)
@pytest.mark.parametrize('alpha', [16, 96, 200, 235, 255])
def test_half_transparent_films_show_half_of_the_white(tmp_path, kind, alpha):
    grey = np.full((96, 128, 4), (60, 60, 60, alpha), np.uint8)
    path = tmp_path / f'film.{kind.suffix}'
    write_film(path, [grey] * 3, replace(kind, pixels='yuva420p', options={'auto-alt-ref': '0'}))
    _, frames = read(path)
    assert len(frames) == 3
    shown = 255 - (255 - 60) * alpha / 255
    assert all(abs(frame.image.mean() - shown) < 3 for frame in frames)


def test_transparency_that_claims_a_large_image_takes_no_memory(tmp_path):
    """libvpx, which others read it with, takes gigabytes for the kilobyte that a packet has."""
    path = tmp_path / 'film.webm'
    pictures, _ = transparent(scene(3))
    write_film(path, pictures, replace(VP9, pixels='yuva420p', options={'auto-alt-ref': '0'}))
    data = path.read_bytes()
    # Its key frame begins as that of the colours before it does, with a size of 16 bits a side.
    start = data.index(b'\x49\x83\x42', data.index(b'\x49\x83\x42') + 3) + 3
    size = int.from_bytes(data[start : start + 5], 'big')
    assert size >> 4 & 0xFFFF == 96 - 1 or size >> 4 & 0xFFFF == pictures[0].shape[0] - 1
    claimed = size & ~(0xFFFFFFFF << 4) | (0xFFEFFFEF << 4)
    path.write_bytes(data[:start] + claimed.to_bytes(5, 'big') + data[start + 5 :])
    program = (
        'import sys; from pathlib import Path; from emotion_estimator.sources.video import '
        'VideoFile\nprint(len(list(VideoFile(Path(sys.argv[1])).frames())))\n'
        "print(*(l for l in open('/proc/self/status') if 'VmHWM' in l))"
    )
    done = subprocess.run(
        [sys.executable, '-c', program, path], stdout=subprocess.PIPE, text=True, check=True
    )
    count, memory = done.stdout.splitlines()[:2]
    assert count == '3'
    assert int(memory.split()[1]) < 400_000


@pytest.mark.parametrize(
    ('kind', 'share'),
    [(MP4, 0.6), (MOV, 0.6), (MKV, 0.6), (AVI, 0.6), (MJPG, 0.6), (VP9, 0.6)],
    ids=str,
)
def test_a_film_that_was_cut_says_how_much_is_missing(tmp_path, kind, share):
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 255, (128, 192, 3), np.uint8) for _ in range(40)]
    path = tmp_path / f'film.{kind.suffix}'
    write_film(path, images, replace(kind, options={'movflags': 'faststart'}), gop_size=5)
    data = path.read_bytes()
    if kind.suffix in ('mp4', 'mov'):
        data = first_the_index(data)
    path.write_bytes(data[: int(share * len(data))])
    source, frames = read(path)
    account = source.account
    assert account.declared == 40
    assert account.read == len(frames)
    assert 15 < len(frames) < 33
    assert account.left_out.total() == 40 - len(frames)
    assert any('missing' in reason for reason in account.left_out)
    path.write_bytes(data)
    source, frames = read(path)
    assert (len(frames), source.account.complete) == (40, True)


def first_the_index(data: bytes) -> bytes:
    """Return an MP4 with its index before the frames, as cameras and servers write it."""
    boxes, at = [], 0
    while at < len(data):
        size, kind = struct.unpack_from('>I4s', data, at)
        boxes.append((kind, data[at : at + size]))
        at += size
    index = bytearray(next(box for kind, box in boxes if kind == b'moov'))
    table = index.index(b'stco')
    (count,) = struct.unpack_from('>I', index, table + 8)
    for number in range(count):
        place = table + 12 + 4 * number
        struct.pack_into('>I', index, place, struct.unpack_from('>I', index, place)[0] + len(index))
    head, *others = [box for kind, box in boxes if kind != b'moov']
    return head + bytes(index) + b''.join(others)


def test_a_cut_animation_is_read_as_far_as_it_goes(tmp_path):
    for suffix in ('webp', 'gif', 'apng', 'mjpeg'):
        path = tmp_path / f'film.{suffix}'
        write_film(path, scene(10), BY_SUFFIX[suffix])
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 6 // 10])
        source, frames = read(path)
        assert 3 <= len(frames) < 9
        assert not source.account.complete
        # It says no number that it cannot know.
        assert source.account.declared in (None, 10)


def test_damaged_frames_are_skipped_and_counted(tmp_path, capfd):
    path = tmp_path / 'film.avi'
    write_film(path, scene(20), MJPG)
    data = bytearray(path.read_bytes())
    starts = [at for at in range(len(data) - 4) if data[at : at + 3] == b'\xff\xd8\xff']
    assert len(starts) == 20
    for number in (4, 5, 11):
        data[starts[number] : starts[number] + 700] = bytes(700)
    path.write_bytes(data)
    source, frames = read(path)
    assert source.skipped == 3
    assert source.account.reasons == {'damaged': 3}
    assert [round(25 * frame.stamp) for frame in frames] == [
        number for number in range(20) if number not in (4, 5, 11)
    ]
    assert capfd.readouterr() == ('', '')


def test_garbage_behind_a_film_ends_it(tmp_path):
    path = tmp_path / 'film.mjpeg'
    write_film(path, scene(3), BY_SUFFIX['mjpeg'])
    path.write_bytes(path.read_bytes() + 2000 * b'\xff\xd8\xff\xd9')
    source, frames = read(path)
    assert len(frames) == 3
    assert source.skipped <= 400


def test_sound_alone_is_no_film(tmp_path):
    path = tmp_path / 'sound.mp4'
    with av.open(str(path), 'w') as film:
        stream = film.add_stream('aac', rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), 'fltp', 'mono')
        frame.sample_rate = 8000
        film.mux(stream.encode(frame))
        film.mux(stream.encode())
    with pytest.raises(InputError, match=r'sound\.mp4 has sound only; give a video with pictures'):
        open_source(path)


def test_a_cover_is_not_the_film(tmp_path):
    cover = cv2.imencode('.jpg', np.full((64, 64, 3), 255, np.uint8))[1].tobytes()
    path = tmp_path / 'film.mp4'
    write_film(path, scene(4), MP4)
    data = path.read_bytes()
    at = data.rindex(b'moov') - 4
    # Apple's list of metadata: udta, meta, ilst, covr, data of type 13, JPEG.
    entry = box(b'covr', box(b'data', struct.pack('>II', 13, 0) + cover))
    handler = box(b'hdlr', bytes(8) + b'mdirappl' + bytes(9))
    extra = box(b'udta', box(b'meta', bytes(4) + handler + box(b'ilst', entry)))
    size = struct.unpack_from('>I', data, at)[0]
    index = data[at + 8 : at + size]
    path.write_bytes(data[:at] + box(b'moov', index[: index.rindex(b'udta') - 4] + extra))
    with av.open(str(path)) as film:
        assert len(film.streams.video) == 2
    check(path, scene(4), MP4)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack('>I4s', 8 + len(content), kind) + content


@pytest.mark.parametrize('size', [(640, 480), (1280, 720)])
def test_colours_without_a_word_are_those_of_the_size(tmp_path, size):
    """BT.601 up to standard definition, BT.709 above, as players do."""
    image = np.full((size[1], size[0], 3), (200, 60, 40), np.uint8)
    matrix = 'bt709' if size[1] >= 720 else 'smpte170m'
    frame = av.VideoFrame.from_ndarray(image, 'rgb24').reformat(
        format='yuv420p', dst_colorspace='ITU709' if matrix == 'bt709' else 'ITU601'
    )
    frame.colorspace = 2
    path = tmp_path / 'film.mp4'
    with av.open(str(path), 'w') as film:
        stream = film.add_stream('libx264', rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = 'yuv420p'
        film.mux(stream.encode(frame))
        film.mux(stream.encode())
    found = next(VideoFile(path).frames()).image[100, 100].astype(int)
    assert np.abs(found - (200, 60, 40)).max() < 5


def test_a_pixel_shape_beyond_belief_is_ignored(tmp_path):
    path = tmp_path / 'film.mp4'
    write_film(path, scene(2), MP4, aspect=Fraction(2))
    data = path.read_bytes()
    at = data.index(b'pasp')
    path.write_bytes(data[: at + 4] + struct.pack('>II', 60_000, 1) + data[at + 12 :])
    _, frames = read(path)
    assert frames[0].image.shape in ((128, 96, 3), (128, 192, 3))


def test_a_film_may_be_replaced_between_two_passes(tmp_path):
    path = tmp_path / 'film.mp4'
    write_film(path, scene(3), MP4)
    other = tmp_path / 'other.mp4'
    write_film(other, scene(5), MP4)
    source = VideoFile(path)
    assert len(list(source.frames())) == 3
    shutil.move(other, path)
    assert len(list(source.frames())) == 5
    assert source.account.declared == 5


def test_durations_of_an_animated_webp(tmp_path):
    path = tmp_path / 'film.webp'
    first, *others = (Image.fromarray(image) for image in scene(4))
    first.save(path, save_all=True, append_images=others, duration=[100, 50, 400, 10])
    check(path, scene(4), BY_SUFFIX['webp'], [0.0, 0.1, 0.15, 0.55])


def test_an_animated_webp_that_gives_too_small_a_size_is_read_whole(tmp_path):
    path = tmp_path / 'film.webp'
    write_film(path, scene(4), BY_SUFFIX['webp'])
    data = bytearray(path.read_bytes())
    data[4:8] = struct.pack('<I', len(data) // 2 & ~1)
    path.write_bytes(data)
    _, frames = read(path)
    assert len(frames) == 4


@pytest.mark.parametrize('suffix', ['png', 'webp'])
def test_an_animation_with_an_orientation_of_exif_is_turned(tmp_path, suffix):
    pages = [Image.fromarray(each) for each in scene(3)]
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f'turned.{suffix}'
    pages[0].save(
        path, save_all=True, append_images=pages[1:], duration=100, lossless=True, exif=exif
    )
    film = open_source(path)
    shown = [frame.image for frame in film.frames()]
    assert len(shown) == 3
    for image, page in zip(shown, pages):
        assert difference(image, np.rot90(np.asarray(page), -1)) < 3


def test_motion_jpeg_whose_images_carry_exif_is_read(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = 'camera'
    path = tmp_path / 'film.mjpeg'
    with path.open('wb') as file:
        for n, each in enumerate(scene(6)):
            Image.fromarray(each).save(file, 'JPEG', **({'exif': exif} if n > 2 else {}))
    assert sum(1 for _ in open_source(path).frames()) == 6


@pytest.mark.parametrize('space', [8, 14])
def test_colours_that_cannot_be_converted_are_refused_by_name(tmp_path, space):
    path = tmp_path / 'odd.mp4'
    with av.open(path, 'w') as container:
        stream = container.add_stream('libx264', 10)
        stream.width, stream.height, stream.pix_fmt = 160, 96, 'yuv420p'
        stream.codec_context.options = {'x264-params': f'colormatrix={_MATRIX[space]}'}
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((96, 160, 3), 90, np.uint8), 'rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match=rf'odd.mp4 has colours .*space {space}'):
        list(open_source(path).frames())


#: Names of x264 for the spaces of H.273.
_MATRIX = {8: 'YCgCo', 14: 'ICtCp'}


def test_a_last_picture_that_is_held_long_is_no_missing_frame(tmp_path):
    path = tmp_path / 'held.mkv'
    with av.open(path, 'w') as container:
        stream = container.add_stream('mjpeg', 10)
        stream.width, stream.height, stream.pix_fmt = 192, 128, 'yuvj420p'
        packets = []
        for n, image in enumerate(scene(12)):
            frame = av.VideoFrame.from_ndarray(image, 'rgb24')
            frame.pts = n
            packets += stream.encode(frame)
        packets += stream.encode(None)
        packets[-1].duration = 100
        for packet in packets:
            container.mux(packet)
    source, frames = read(path)
    assert len(frames) == 12
    assert source.account.complete, str(source.account)


def test_an_animation_with_a_line_break_behind_it_is_whole(tmp_path):
    path = tmp_path / 'film.gif'
    write_film(path, scene(10), BY_SUFFIX['gif'])
    path.write_bytes(path.read_bytes() + b'\r\n')
    assert read(path)[0].account.complete
