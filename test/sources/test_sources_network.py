"""Cameras and videos on the network, served on this machine."""

from __future__ import annotations

import itertools
import socket
import threading
import time

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from network_camera import COLOUR, SIZE, NetworkCamera
from rtsp_camera import RtspCamera

from emotion_estimator.errors import InputError
from emotion_estimator.settings import CameraSettings
from emotion_estimator.sources.base import SourceLost
from emotion_estimator.sources.capture import Capture
from emotion_estimator.sources.network import (
    NetworkStream,
    NetworkVideo,
    is_network,
    without_credentials,
)
from emotion_estimator.sources.open_source import is_device, open_source

FILM_FRAMES = 60
PATIENCE = 20.0


def made_film(path, code):
    """Return the bytes of a video whose pictures are noise, so that it has some size."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 20, SIZE)
    noise = np.random.default_rng(0)
    for _ in range(FILM_FRAMES):
        writer.write(noise.integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8))
    writer.release()
    return path.read_bytes()


@pytest.fixture(scope='module')
def film(tmp_path_factory):
    return made_film(tmp_path_factory.mktemp('film') / 'film.mp4', 'mp4v')


@pytest.fixture
def camera(film):
    with NetworkCamera(film) as made:
        yield made


def test_addresses_are_told_from_files_and_devices():
    specs = ('http://a', 'HTTPS://a', 'rtsp://a', 'rtmp://a', 'http', '0', '/dev/video0', '://')
    assert [is_network(spec) for spec in specs] == [1, 1, 1, 0, 0, 0, 0, 0]
    assert not any(is_device(spec) for spec in specs[:5])


@given(
    user=st.text(min_size=1).map(lambda text: f'USER{text}'),
    password=st.text(min_size=1).map(lambda text: f'SECRET{text}'),
    scheme=st.sampled_from(['http', 'rtsp']),
)
def test_no_sign_in_a_password_brings_it_into_a_log(user, password, scheme):
    shown = without_credentials(f'{scheme}://{user}:{password}@camera:8554/live')
    assert shown == f'{scheme}://camera:8554/live'


@pytest.mark.parametrize(
    ('url', 'shown'),
    [
        ('rtsp://10.0.0.7/live?user=a&password=SECRET', 'rtsp://10.0.0.7/live'),
        (
            'rtsp://10.0.0.7/user=admin_password=SECRET_channel=1.sdp',
            'rtsp://10.0.0.7/user=...',
        ),
        (
            'rtsp://10.0.0.7/user=admin&password=my_SECRET&channel=1',
            'rtsp://10.0.0.7/user=...',
        ),
        ('http://host/a#SECRET', 'http://host/a'),
        ('film.mp4', 'film.mp4'),
        ('odd?name@.mp4', 'odd?name@.mp4'),
    ],
)
def test_what_is_shown_of_an_address(url, shown):
    assert without_credentials(url) == shown


def test_a_stream_is_live_and_stamped_on_arrival(camera):
    times = itertools.count(100)
    source = open_source(camera.url('/live'), clock=lambda: float(next(times)))
    assert isinstance(source, NetworkStream)
    assert source.live
    assert source.given == '96x64'
    first, second = itertools.islice(source.frames(), 2)
    assert (first.stamp, second.stamp) == (100.0, 101.0)
    assert first.image.shape == (SIZE[1], SIZE[0], 3)
    assert np.abs(first.image[5, 5].astype(int) - COLOUR).max() < 8
    source.close()
    assert list(source.frames()) == []


def test_its_images_fit_the_size_asked_for(camera):
    source = open_source(camera.url('/live'), width=48)
    assert next(source.frames()).image.shape == (32, 48, 3)
    source.close()


def test_user_and_password_reach_the_camera(camera):
    camera.login = 'robot:SECRET'
    source = open_source(camera.url('/live', 'robot:SECRET'))
    next(source.frames())
    assert source.name == camera.url('/live')
    source.close()
    assert 'robot:SECRET' in camera.logins


def test_a_wrong_password_is_an_error_that_does_not_repeat_it(camera, capfd):
    camera.login = 'robot:other'
    with pytest.raises(InputError, match='check path, user name and password') as caught:
        open_source(camera.url('/live', 'robot:SECRET'))
    assert 'SECRET' not in str(caught.value)
    assert 'robot' not in str(caught.value)
    assert capfd.readouterr() == ('', '')


def test_a_camera_that_speaks_rtsp():
    with RtspCamera('robot:SECRET') as camera:
        source = open_source(camera.url('robot:SECRET'))
        assert isinstance(source, NetworkStream)
        assert (source.given, source.fps, source.name) == ('96x64', 25.0, camera.url())
        frames = list(itertools.islice(source.frames(), 10))
        assert np.abs(frames[0].image[5, 5].astype(int) - COLOUR).max() < 8
        # Those that arrived while it was opened would come at once.
        stamps = [frame.stamp for frame in frames]
        assert np.median(np.diff(stamps)) == pytest.approx(1 / 25, abs=0.03)
        assert stamps[4] - stamps[0] > 0.08
        camera.frozen.set()
        source.close()


def test_rtsp_needs_the_right_password(capfd):
    with (
        RtspCamera('robot:other') as camera,
        pytest.raises(InputError, match='check path, user name and password') as caught,
    ):
        open_source(camera.url('robot:SECRET'))
    assert 'SECRET' not in str(caught.value)
    assert capfd.readouterr() == ('', '')


def test_a_lost_rtsp_camera_is_a_loss_within_the_time():
    with RtspCamera() as camera:
        source = open_source(camera.url(), timeout=1.0)
        frames = source.frames()
        next(frames)
        camera.frozen.set()
        begun = time.monotonic()
        with pytest.raises(SourceLost, match='sent no image for 1 s'):
            list(frames)
        assert time.monotonic() - begun < 4.0
        source.close()
        camera.frozen.clear()
        camera.cut_after = 40
        source = open_source(camera.url(), timeout=1.0)
        with pytest.raises(SourceLost, match='check camera and network'):
            list(source.frames())
        source.close()


def test_a_connection_that_ends_is_a_loss(camera):
    camera.cut_after = 40
    source = open_source(camera.url('/live'))
    with pytest.raises(SourceLost, match='ended the connection'):
        list(source.frames())
    source.close()


def test_a_camera_that_falls_silent_is_lost_within_the_time(camera):
    source = open_source(camera.url('/live'), timeout=1.0)
    frames = source.frames()
    next(frames)
    camera.frozen.set()
    begun = time.monotonic()
    with pytest.raises(SourceLost, match='sent no image for 1 s'):
        list(frames)
    assert 0.5 < time.monotonic() - begun < 4.0
    source.close()


def test_a_film_on_a_server_is_read_as_one_on_disk(camera, film, tmp_path):
    (tmp_path / 'film.mp4').write_bytes(film)
    here = list(open_source(str(tmp_path / 'film.mp4')).frames())
    source = open_source(camera.url('/film'))
    assert isinstance(source, NetworkVideo)
    assert not source.live
    there = list(source.frames())
    assert [frame.stamp for frame in there] == [frame.stamp for frame in here]
    assert len(there) == FILM_FRAMES
    assert np.array_equal(there[-1].image, here[-1].image)


def test_a_film_is_looped(camera):
    source = open_source(camera.url('/film'), loop=True)
    stamps = [frame.stamp for frame in itertools.islice(source.frames(), FILM_FRAMES + 2)]
    assert stamps == sorted(set(stamps))
    source.close()


def test_a_film_that_breaks_off_is_a_loss_and_no_end(camera, tmp_path):
    # Its number of pictures is at the beginning.
    camera.film = made_film(tmp_path / 'film.avi', 'MJPG')
    source = open_source(camera.url('/film', 'robot:SECRET'), timeout=1.0)
    frames = source.frames()
    camera.cut_after = len(camera.film) // 2
    with pytest.raises(SourceLost, match=rf'broke off after \d+ of {FILM_FRAMES}') as caught:
        list(frames)
    assert 'SECRET' not in str(caught.value)


@pytest.mark.parametrize('scheme', ['http', 'rtsp'])
def test_a_server_that_never_answers_is_an_error_within_the_time(scheme, capfd):
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
        begun = time.monotonic()
        with pytest.raises(InputError, match='answers, but sends no video') as caught:
            open_source(f'{scheme}://robot:SECRET@127.0.0.1:{port}/live', timeout=1.0)
        assert time.monotonic() - begun < 4.0
    assert 'SECRET' not in str(caught.value)
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize('scheme', ['http', 'https', 'rtsp', 'RTSP'])
def test_where_nothing_listens_is_an_error_at_once(scheme):
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
    begun = time.monotonic()
    with pytest.raises(InputError, match=f'nothing listens on port {port} of 127.0.0.1'):
        open_source(f'{scheme}://127.0.0.1:{port}/live')
    assert time.monotonic() - begun < 2.0


def test_an_at_sign_in_the_path_leads_to_no_other_host():
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(InputError, match=f'nothing listens on port {port} of 127.0.0.1'):
        open_source(f'http://127.0.0.1:{port}/path@no.such.host.invalid/live')


def test_a_camera_that_does_not_answer_can_be_stopped():
    with socket.create_server(('127.0.0.1', 0)) as server:
        url = f'http://127.0.0.1:{server.getsockname()[1]}/live'
        published = []
        capture = Capture(
            CameraSettings(source=url, network_timeout=4.0),
            clock=time.time,
            publish=lambda frame, stamp: published.append(frame),
            listened_to=lambda: True,
            ended=published.append,
            log=published.append,
        )
        capture.start()
        (reader,) = (thread for thread in threading.enumerate() if thread.name == 'capture')
        with server.accept()[0]:
            assert capture.stop(patience=0.1)
    # The connection is over, which a capture that was stopped need not say.
    reader.join(10.0)
    assert not reader.is_alive()
    assert not published


@pytest.mark.parametrize(
    ('url', 'problem'),
    [
        ('rtsp://', 'no host can be read'),
        ('http://camera:port/', 'no host can be read'),
        ('http://no.such.host.invalid/', 'nobody knows the host no.such.host.invalid'),
    ],
)
def test_addresses_that_lead_nowhere(url, problem):
    with pytest.raises(InputError, match=problem):
        open_source(url, timeout=2.0)


def test_an_address_of_another_kind_is_refused_without_its_password():
    with pytest.raises(InputError, match='accepted are') as caught:
        open_source('rtmp://robot:SECRET@host/live')
    assert 'SECRET' not in str(caught.value)


def test_a_lost_stream_is_connected_again_and_counted(camera):
    camera.cut_after = 30
    lines, frames = [], []
    url = camera.url('/live', 'robot:SECRET')
    capture = Capture(
        CameraSettings(source=url, retry_min=0.05, retry_max=0.1, network_timeout=2.0),
        clock=time.time,
        publish=lambda frame, stamp: frames.append(frame),
        listened_to=lambda: True,
        ended=lines.append,
        log=lines.append,
    )
    capture.open()
    capture.start()
    deadline = time.monotonic() + PATIENCE
    while camera.connections < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert capture.stop()
    assert camera.connections >= 4
    assert capture.lost >= 3
    assert len(frames) > 20
    assert lines[0] == f'{camera.url("/live")} ended the connection; check camera and network; ' \
        'retrying in 0.05 s'  # fmt: skip
    assert capture.given == '96x64'
    assert 'SECRET' not in ''.join([*lines, capture.problem, capture.name])
