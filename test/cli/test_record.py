"""A source becomes a bag: what is filmed, with stamps and truth, whatever ends it."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from made_bag import START, made_bag

import emotion_estimator.cli.record as verb
from emotion_estimator.account import Account
from emotion_estimator.bags.reader import open_bag, read_emotions
from emotion_estimator.bags.recorder import BEGIN, record, until_interrupted
from emotion_estimator.bags.writer import BagWriter
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.sources.base import SourceLost
from emotion_estimator.sources.portrait import Portrait

EPOCH = 1_763_000_000.25


class Camera:
    """A live source that delivers some frames and then ends, or is lost."""

    name, fps, live = 'camera 0', 10.0, True

    def __init__(self, count=20, lost=False):
        self.count, self.lost, self.closed, self.skipped = count, lost, False, 3
        self.account = Account('frames', reasons=Counter(damaged=3))

    def frames(self):
        for n in range(self.count):
            yield Frame(np.full((48, 64, 3), n, np.uint8), EPOCH + n / self.fps)
        if self.lost:
            raise SourceLost('camera 0 stopped delivering images; check its cable')

    def close(self):
        self.closed = True


def run(*arguments):
    return CliRunner().invoke(verb.record, [str(argument) for argument in arguments])


def contents(folder, topic=None):
    with open_bag(folder, topic) as bag:
        return bag.topic, [(image.stamp, image.decode()) for image in bag.images()]


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('compression', ['none', 'zstd'])
def test_the_portrait_with_its_truth(tmp_path, storage, compression):
    result = run('portrait', '--bag', tmp_path / 'bag', '--fps', 5, '--duration', 4,
                 '--storage', storage, '--compression', compression)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f'portrait: 20 images in 3.8 s; {tmp_path / "bag"} ({storage}')
    topic, images = contents(tmp_path / 'bag')
    assert topic == '/image_raw/compressed'
    assert [stamp for stamp, _ in images] == pytest.approx([1 + n / 5 for n in range(20)])
    portrait = Portrait(5.0)
    assert np.abs(images[7][1].astype(int) - portrait.image_at(7 / 5)).mean() < 4
    truth = list(read_emotions(tmp_path / 'bag', 'ground_truth'))
    assert [t.label for t in truth] == [portrait.truth_at(n / 5) for n in range(20)]
    assert [t.stamp for t in truth] == [stamp for stamp, _ in images]


def test_pixels_as_they_are(tmp_path):
    run('portrait', '--bag', tmp_path / 'bag', '--fps', 5, '--duration', 1, '--raw',
        '--topic', '/front/image')  # fmt: skip
    topic, images = contents(tmp_path / 'bag')
    assert topic == '/front/image'
    for frame, (stamp, image) in zip(Portrait(5.0).frames(), images):
        assert stamp == pytest.approx(START + frame.stamp)
        assert np.array_equal(image, frame.image)


@pytest.mark.parametrize(
    'topic',
    ['/', '', 'my topic', '//front', 'front//image', 'front/', '1st', '/front/2', 'fr\xf6nt',
     '~/image', 'image-raw', 'image\n'],
)  # fmt: skip
def test_what_is_no_topic_is_refused(tmp_path, topic):
    result = run('portrait', '--bag', tmp_path / 'bag', '--duration', 0.2, '--topic', topic)
    assert result.exit_code == 2
    assert f'{topic!r} is not a topic name' in result.output
    assert not (tmp_path / 'bag').exists()


def test_the_topic_of_the_jpegs_is_not_to_be_given(tmp_path):
    result = run('portrait', '--bag', tmp_path / 'bag', '--topic', '/front/compressed')
    assert result.exit_code == 2
    assert 'give /front; /compressed is appended for JPEG images' in result.output
    assert not (tmp_path / 'bag').exists()


@pytest.mark.parametrize('topic', ['front', '/front', 'robot_1/_eye2', '/compressed_image'])
def test_topics(tmp_path, topic):
    result = run('portrait', '--bag', tmp_path / 'bag', '--duration', 0.2, '--topic', topic)
    assert result.exit_code == 0, result.output
    assert contents(tmp_path / 'bag')[0] == f'/{topic.removeprefix("/")}/compressed'


def test_the_quality_of_the_jpegs(tmp_path):
    for quality in (10, 95):
        run('portrait', '--bag', tmp_path / str(quality), '--duration', 0.2,
            '--jpeg-quality', quality)  # fmt: skip
    small, large = (sum(f.stat().st_size for f in (tmp_path / q).iterdir()) for q in ('10', '95'))
    assert large > 3 * small


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_recorded_again_it_is_the_same_bag(tmp_path, storage):
    for which in 'ab':
        (tmp_path / which).mkdir()
        run('portrait', '--bag', tmp_path / which / 'bag', '--storage', storage,
            '--fps', 5, '--duration', 2)  # fmt: skip
    files = sorted((tmp_path / 'a' / 'bag').iterdir())
    assert len(files) == 2
    for file in files:
        assert file.read_bytes() == (tmp_path / 'b' / 'bag' / file.name).read_bytes()


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    """Two seconds at 20 frames per second, each of its own grey."""
    path = tmp_path_factory.mktemp('film') / 'film.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 20.0, (64, 48))
    for n in range(40):
        writer.write(np.full((48, 64, 3), 5 * n, np.uint8))
    writer.release()
    return path


def test_a_video_keeps_its_stamps(tmp_path, film):
    result = run(film, '--bag', tmp_path / 'bag')
    assert result.exit_code == 0, result.output
    _, images = contents(tmp_path / 'bag')
    assert [stamp for stamp, _ in images] == pytest.approx([1 + n / 20 for n in range(40)])
    assert [round(image.mean() / 5) for _, image in images] == list(range(40))
    with open_bag(tmp_path / 'bag') as bag:
        # Nobody knows what it shows.
        assert list(bag.topics) == ['/image_raw/compressed']


def test_a_video_can_be_thinned_and_cut(tmp_path, film):
    run(film, '--bag', tmp_path / 'bag', '--fps', 10, '--duration', 1)
    _, images = contents(tmp_path / 'bag')
    assert [round(image.mean() / 5) for _, image in images] == list(range(0, 20, 2))


def test_an_image_is_held_and_a_folder_is_shown(tmp_path):
    (tmp_path / 'pictures').mkdir()
    for n in range(3):
        cv2.imwrite(str(tmp_path / f'pictures/{n}.png'), np.full((48, 64, 3), 50 * n, np.uint8))
    run(tmp_path / 'pictures', '--bag', tmp_path / 'folder', '--fps', 2)
    _, images = contents(tmp_path / 'folder')
    assert [round(image.mean() / 50) for _, image in images] == [0, 0, 1, 1, 2, 2]
    run(tmp_path / 'pictures/2.png', '--bag', tmp_path / 'image', '--fps', 2, '--duration', 8)
    assert len(contents(tmp_path / 'image')[1]) == 16


def test_a_camera_keeps_the_time_at_which_its_images_were_taken(tmp_path, monkeypatch):
    camera = Camera()
    monkeypatch.setattr(verb, 'open_source', lambda *_, **__: camera)
    result = run('0', '--bag', tmp_path / 'bag')
    assert result.exit_code == 0, result.output
    assert '20 images in 1.9 s, 3 undecodable ones skipped' in result.output
    _, images = contents(tmp_path / 'bag')
    assert [stamp for stamp, _ in images] == pytest.approx([EPOCH + n / 10 for n in range(20)])
    assert camera.closed


def test_a_camera_that_is_lost_leaves_what_came_before(tmp_path, monkeypatch):
    camera = Camera(lost=True)
    monkeypatch.setattr(verb, 'open_source', lambda *_, **__: camera)
    result = run('0', '--bag', tmp_path / 'bag')
    assert isinstance(result.exception, InputError)
    assert str(result.exception).endswith(f'its cable; earlier frames are in {tmp_path / "bag"}')
    assert len(contents(tmp_path / 'bag')[1]) == 20
    assert camera.closed


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / 'bag').mkdir()
    result = run('portrait', '--bag', tmp_path / 'bag')
    assert isinstance(result.exception, InputError)
    assert 'exists; give another folder' in str(result.exception)
    assert list((tmp_path / 'bag').iterdir()) == []


def test_a_bad_source_leaves_no_bag(tmp_path, monkeypatch):
    result = run(tmp_path / 'nowhere.mp4', '--bag', tmp_path / 'bag')
    assert isinstance(result.exception, InputError)
    assert 'is not a file or folder' in str(result.exception)
    monkeypatch.setattr(verb, 'open_source', lambda *_, **__: Camera(count=0))
    result = run('0', '--bag', tmp_path / 'bag')
    assert 'gave no frame' in str(result.exception)
    assert not (tmp_path / 'bag').exists()


def test_without_the_library_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'rosbags', None)
    result = run('portrait', '--bag', tmp_path / 'bag')
    assert isinstance(result.exception, InputError)
    assert "pip install 'rosbags" in str(result.exception)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_ctrl_c_leaves_a_complete_bag(tmp_path, storage):
    process = subprocess.Popen(
        [sys.executable, '-m', 'emotion_estimator.cli.main', 'record', 'portrait',
         '--bag', str(tmp_path / 'bag'), '--storage', storage],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob('bag/*')) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    said, complaint = process.communicate(timeout=60)
    assert process.returncode == 130, complaint
    assert re.fullmatch(r'portrait: read \d+ frames?\n', complaint)
    images = int(said.split(' images in ')[0].removeprefix('portrait: '))
    assert 0 < images < 780
    with open_bag(tmp_path / 'bag') as bag:
        assert bag.count == len(list(bag.images())) == images
        assert bag.problems == []


def test_who_stops_a_camera_means_it(tmp_path, monkeypatch):
    class Endless(Camera):
        def frames(self):
            for n, frame in enumerate(super().frames()):
                if n == 7:
                    os.kill(os.getpid(), signal.SIGINT)
                yield frame

    monkeypatch.setattr(verb, 'open_source', lambda *_, **__: Endless())
    result = run('0', '--bag', tmp_path / 'bag')
    assert result.exit_code == 0, result.output
    assert len(contents(tmp_path / 'bag')[1]) == 7


@pytest.fixture
def ctrl_c_interrupts():
    """Have SIGINT raise, as in a terminal: what a script starts beside itself ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_asked_twice_it_stops_at_once(ctrl_c_interrupts):
    before = signal.getsignal(signal.SIGINT)
    with until_interrupted() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_each_image_is_reported(tmp_path):
    reported = []
    with BagWriter(tmp_path / 'bag') as writer:
        recorded = record(
            Camera(), writer, topic='/image/', quality=None, frame_id='eye', written=lambda:
            reported.append(1), stop=lambda: len(reported) == 5,
        )  # fmt: skip
    assert (len(reported), recorded.images, recorded.seconds) == (5, 5, pytest.approx(0.4))
    with open_bag(tmp_path / 'bag') as bag:
        assert {image.frame_id for image in bag.images()} == {'eye'}
        assert bag.topic == '/image'


def test_the_made_bag_is_small_and_complete():
    folder = made_bag()
    assert made_bag() is folder
    assert sum(file.stat().st_size for file in folder.iterdir()) < 2e6
    truth = list(read_emotions(folder, 'ground_truth'))
    with open_bag(folder) as bag:
        assert [image.stamp for image in bag.images()] == [result.stamp for result in truth]
        assert bag.count == 390
        assert bag.duration == pytest.approx(26, abs=0.1)
        assert bag.problems == []
    assert truth[0].stamp == START == BEGIN / 1e9
    portrait = Portrait(5.0)
    assert [t.label for t in truth] == [portrait.truth_at(n / 15) for n in range(390)]


@pytest.fixture
def small_files():
    """Return a function that limits how large a file may become, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Noise(Camera):
    """A camera whose images cannot be compressed."""

    def frames(self):
        random = np.random.RandomState(1)
        for n in range(self.count):
            pixels = random.randint(0, 256, (64, 96, 3)).astype(np.uint8)
            yield Frame(pixels, EPOCH + n / self.fps)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('compression', ['none', 'zstd'])
@pytest.mark.parametrize('size', [0, 40 << 10, 3 << 20, 20 << 20])
def test_on_a_full_disk_it_says_what_can_be_read(
    tmp_path, monkeypatch, small_files, storage, compression, size
):
    camera = Noise(1200)
    monkeypatch.setattr(verb, 'open_source', lambda *_, **__: camera)
    small_files(size)
    result = run('0', '--bag', tmp_path / 'bag', '--storage', storage, '--raw',
                 '--compression', compression)  # fmt: skip
    small_files(resource.RLIM_INFINITY)
    assert isinstance(result.exception, InputError)
    line = str(result.exception)
    assert '\n' not in line
    assert line.startswith(f'bag {tmp_path / "bag"} cannot be written (')
    try:
        with open_bag(tmp_path / 'bag') as bag:
            found = [image.decode() for image in bag.images()]
    except InputError:
        found = []
    said = re.search(r'; (\d+) images in .* can be read', line)
    assert len(found) == (int(said[1]) if said else 0)
    # What a chunk or a transaction holds may be lost, but no more.
    assert len(found) * found[0].nbytes >= size - (17 << 20) if found else size < 17 << 20
    if storage == 'mcap' and size > 1 << 20:
        assert len(found) * found[0].nbytes >= size - (1 << 20)
    first = next(iter(camera.frames())).image
    assert not found or np.array_equal(found[0], first)
    assert camera.closed


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_at_the_end(tmp_path, monkeypatch, number):
    def full(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr('pathlib.Path.write_text', full)
    result = run('portrait', '--bag', tmp_path / 'bag', '--fps', 5, '--duration', 1)
    assert str(result.exception) == (
        f'bag {tmp_path / "bag"} cannot be written ({os.strerror(number)}); 5 images in '
        f'{tmp_path / "bag"} can be read, as by `emotion-estimator replay`'
    )
    assert [file.name for file in (tmp_path / 'bag').iterdir()] == ['bag.mcap']


def test_it_ends_with_the_account(tmp_path, monkeypatch, film):
    result = run(film, '--bag', tmp_path / 'film')
    assert (result.exit_code, result.stderr) == (0, f'{film}: declared 40 frames, read 40\n')
    assert run(film, '--bag', tmp_path / 'again', '--strict').exit_code == 0
    part = run(film, '--bag', tmp_path / 'part', '--strict', '--duration', 1)
    assert (part.exit_code, part.stderr) == (0, f'{film}: read 20 frames\n')
    monkeypatch.setattr(verb, 'open_source', lambda *_, **__: Camera())
    camera = run('0', '--bag', tmp_path / 'camera')
    assert (camera.exit_code, camera.stderr) == (0, '0: read 0 frames, left out 3: 3 damaged\n')
    assert run('0', '--bag', tmp_path / 'strict', '--strict').exit_code == 3
    assert len(contents(tmp_path / 'strict')[1]) == 20
