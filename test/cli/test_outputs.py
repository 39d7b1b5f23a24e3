"""What ``image`` and ``video`` write beside their lines: pictures, tables, windows, the account."""

from __future__ import annotations

import csv
import json
import subprocess

import cv2
import numpy as np
import pytest
from available import LANDMARK_SOURCE
from hostile_files import make_hostile_files
from verb_walk import TEXTS

pytest.importorskip('mediapipe', reason='needs mediapipe')

from emotion_estimator.account import Account
from emotion_estimator.cli import outputs
from emotion_estimator.cli import video as video_verb
from emotion_estimator.cli.main import main
from emotion_estimator.emotion import LABELS
from emotion_estimator.frame import Frame
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.sources.images import read_image
from emotion_estimator.sources.portrait import Portrait

SMILE = Portrait(30.0).frame_at(5.5).image
WALL = np.full((512, 512, 3), 128, np.uint8)


class Kept:
    """An estimator that stays open from test to test; a stream begins with each use."""

    def __init__(self, estimator):
        self._estimator = estimator
        self.labels = estimator.labels
        self.still = estimator.still

    @property
    def faces_left_out(self):
        return self._estimator.faces_left_out

    def __call__(self, frame):
        return self._estimator(frame)

    def __enter__(self):
        self._estimator.reset()
        return self

    def __exit__(self, *error):
        pass


@pytest.fixture(scope='module')
def kept():
    with EmotionEstimator(landmark_source=LANDMARK_SOURCE) as estimator:
        yield Kept(estimator)


class Source:
    """Frames with an account, which may be interrupted."""

    name = 'made'
    fps = 10.0

    def __init__(self, images, live=False, error=None, declared=None):
        self._images = images
        self.live = live
        self._error = error
        self.account = Account('frames', declared)

    def frames(self):
        for k, image in enumerate(self._images):
            self.account.read += 1
            yield Frame(image, 100.0 + k / self.fps)
        if self._error is not None:
            raise self._error

    def close(self):
        pass


@pytest.fixture
def run(kept, capfd, monkeypatch):
    """Run a verb in this process; ``source`` stands in for what SOURCE names."""
    monkeypatch.setattr(EmotionEstimator, 'load', lambda *arguments, **options: kept)

    def run(*arguments, source=None):
        if source is not None:
            monkeypatch.setattr(video_verb, 'open_source', lambda spec: source)
        capfd.readouterr()
        status = main([str(each) for each in arguments])
        output, error = capfd.readouterr()
        return status, output, error.splitlines()

    return run


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a smiling face, a wall, and a file that is no image."""
    for name, image in (('smile.jpg', SMILE), ('wall.bmp', WALL)):
        cv2.imwrite(str(tmp_path / name), image[..., ::-1])
    (tmp_path / 'broken.jpg').write_bytes(b'\xff\xd8 this is no JPEG')
    return tmp_path


def rows(path):
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def test_images_are_drawn_on_and_tabled(run, folder):
    names = [folder / name for name in ('smile.jpg', 'broken.jpg', 'wall.bmp')]
    before = [file.read_bytes() for file in names]
    status, output, _ = run(
        'image', *names, '--json', '--annotate', folder / 'new' / 'out', '--csv', folder / 'a.csv'
    )
    assert status == 2
    smile, wall = rows(folder / 'a.csv')
    [face] = json.loads(output.splitlines()[0])['faces']
    assert smile['file'] == str(names[0])
    assert [smile[key] for key in ('x', 'y', 'width', 'height')] == list(map(str, face['roi']))
    assert [float(smile[f'probability_{label}']) for label in LABELS] == [
        face['probabilities'][label] for label in LABELS
    ]
    for angle in ('yaw', 'pitch', 'roll'):
        assert float(smile[f'head_{angle}']) == face['head_pose'][angle]
    for angle in ('yaw', 'pitch'):
        assert float(smile[f'gaze_{angle}']) == face['gaze'][angle]
    single = ('label', 'confidence', 'face_id', 'valence', 'arousal', 'speaking', 'is_speaking')
    for key in (*single, 'looks_at_camera'):
        assert smile[key] == str(face[key])
    assert {key: value for key, value in wall.items() if value} == {
        'file': str(names[2]), 'label': 'none',
    }  # fmt: skip
    drawn = folder / 'new' / 'out'
    assert sorted(file.name for file in drawn.iterdir()) == ['smile.jpg', 'wall.png']
    x, y, _, height = face['roi']
    away = np.abs(read_image(drawn / 'smile.jpg').astype(int) - read_image(names[0])).max(axis=2)
    assert away[y + height // 2, x - 1 : x + 2].max() > 60
    assert np.median(away[-100:]) < 12
    assert [file.read_bytes() for file in names] == before


def test_one_image_into_one_file(run, folder):
    status, _, errors = run('image', folder / 'smile.jpg', '--annotate', folder / 'b.PNG')
    assert (status, errors) == (0, [f'{folder / "smile.jpg"}: declared 1 image, read 1'])
    assert read_image(folder / 'b.PNG').shape == SMILE.shape


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['image', 'smile.jpg', '--annotate', 'smile.jpg'], 'smile.jpg exists and is not replaced'),
        (['image', 'smile.jpg', '--annotate', '.'], 'smile.jpg exists and is not replaced'),
        (['image', 'smile.jpg', '--csv', 'wall.bmp'], 'wall.bmp exists and is not replaced'),
        (['image', 'smile.jpg', '--csv', '-'], 'writes a file'),
        (['image', 'smile.jpg', '--annotate', 'n.png', '--csv', 'n.png'], 'end it in .csv'),
        (['video', 'wall.bmp', '--annotate', 'n.mp4', '--csv', 'n.mp4'], 'end it in .csv'),
        (['image', 'smile.jpg', '--csv', 'no/a.csv'], 'no/a.csv cannot be written (No such file'),
        (['image', 'smile.jpg', 'wall.bmp', '--annotate', 'x.png'], 'is one file, and there are 2'),
        (['image', 'smile.jpg', 'd/smile.png.jpg', 'd/smile.jpg', '--annotate', 'x'],
         'smile.jpg and d/smile.jpg would both become x/smile.jpg'),
        (['image', 'wall.bmp', '--annotate', 'x.gif'], 'which ends in .png or .jpg'),
        (['image', 'wall.bmp', '--annotate', 'broken'], 'neither a folder nor a name'),
        (['image', 'wall.bmp', '--annotate', 'broken/x'], 'broken/x'),
        (['video', 'wall.bmp', '--annotate', 'old.mp4'], 'old.mp4 exists and is not replaced'),
        (['video', 'wall.bmp', '--annotate', 'x.avi'], 'which ends in .mp4'),
        (['video', 'wall.bmp', '--annotate', 'd'], 'd is not empty'),
        (['video', 'wall.bmp', '--annotate', 'no/x.mp4', '--csv', 'd'], 'd exists'),
        (['video', 'wall.bmp', '--csv', 'd'], 'd exists and is not replaced'),
        (['video', 'wall.bmp', '--annotate', 'broken/x.mp4'], 'x.mp4'),
    ],
)  # fmt: skip
def test_no_file_is_replaced_and_each_refusal_is_one_line(
    run, folder, monkeypatch, arguments, says
):
    monkeypatch.chdir(folder)
    (folder / 'old.mp4').write_bytes(b'old')
    (folder / 'broken').write_bytes(b'old')
    (folder / 'd').mkdir()
    (folder / 'd' / 'smile.jpg').write_bytes(b'old')
    before = {file: file.read_bytes() for file in folder.rglob('*') if file.is_file()}
    status, _, errors = run(*arguments)
    assert status == 2
    assert errors[-1].startswith('emotion-estimator: ')
    assert says in errors[-1]
    assert {file: file.read_bytes() for file in folder.rglob('*') if file.is_file()} == before


def film(path):
    """Return the size, the rate and the number of frames of a film."""
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.grab():
        count += 1
    width, height = (capture.get(p) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    return (width, height), capture.get(cv2.CAP_PROP_FPS), count


def test_a_film_is_drawn_on_and_tabled_frame_by_frame(run, tmp_path):
    source = Source([SMILE, SMILE, WALL, SMILE], declared=4)
    status, output, errors = run(
        'video', 'made', '--annotate', tmp_path / 'a.mp4', '--csv', tmp_path / 'a.csv', '--strict',
        source=source,
    )  # fmt: skip
    assert (status, errors) == (0, ['made: declared 4 frames, read 4'])
    assert film(tmp_path / 'a.mp4') == ((512, 512), 10.0, 4)
    table = rows(tmp_path / 'a.csv')
    assert [row['stamp'] for row in table] == ['100.0', '100.1', '100.2', '100.3']
    assert [row['label'] == 'none' for row in table] == [False, False, True, False]
    # The same axis in each: the source's own stamps.
    assert [float(line.split()[0]) for line in output.splitlines()] == [100.0, 100.1, 100.2, 100.3]


def test_frames_go_into_a_folder(run, tmp_path):
    status, _, _ = run('video', 'made', '--annotate', tmp_path / 'new', source=Source([SMILE] * 2))
    assert status == 0
    assert [file.name for file in sorted((tmp_path / 'new').iterdir())] == [
        'frame_000000.jpg', 'frame_000001.jpg',
    ]  # fmt: skip


@pytest.mark.parametrize('as_json', [False, True])
def test_what_is_left_out_is_said_and_strict_ends_with_3(run, as_json):
    source = Source([WALL] * 2, declared=5)
    source.account.leave_out('damaged', 2)
    json_option = ['--json'] if as_json else []
    status, output, errors = run('video', 'made', '--strict', *json_option, source=source)
    assert (status, len(output.splitlines()), len(errors)) == (3, 2, 1)
    if as_json:
        left_out = {'damaged': 2, 'missing: the input ends early': 1}
        assert json.loads(errors[0]) == {
            'file': 'made',
            'account': {'unit': 'frames', 'declared': 5, 'read': 2, 'left_out': left_out},
        }
    else:
        assert errors == [
            'made: declared 5 frames, read 2, left out 3: 2 damaged, '
            '1 missing: the input ends early'
        ]
    source = Source([WALL] * 2, declared=5)
    assert run('video', 'made', source=source)[0] == 0


def test_files_that_cannot_be_read_are_left_out_with_status_2(run, folder):
    status, _, errors = run('image', folder / 'wall.bmp', folder / 'broken.jpg', '--strict')
    assert status == 2
    assert errors[1] == (
        'all files: declared 2 images, read 1, left out 1: '
        '1 cannot be decoded (18 bytes, damaged JPEG)'
    )


@pytest.mark.parametrize('live', [False, True])
def test_after_ctrl_c_the_account_is_given_and_a_camera_is_kept(run, tmp_path, live):
    source = Source([SMILE] * 3, live, KeyboardInterrupt(), None if live else 9)
    status, output, errors = run(
        'video', '0', '--annotate', tmp_path / 'a.mp4', '--csv', tmp_path / 'a.csv', source=source
    )
    assert (status, len(output.splitlines())) == (130, 3)
    if live:
        assert errors[0] == 'made: read 3 frames'
        assert errors[-1] == 'emotion-estimator: interrupted'
        assert film(tmp_path / 'a.mp4')[2] == 3
        assert len(rows(tmp_path / 'a.csv')) == 3
    else:
        assert errors[0] == 'made: declared 9 frames, read 3, left out 6: 6 not read: interrupted'
        assert list(tmp_path.iterdir()) == []


def test_what_declares_nothing_is_not_complete_after_ctrl_c(run):
    _, _, errors = run('video', 'made', source=Source([WALL] * 3, error=KeyboardInterrupt()))
    assert errors[0] == 'made: read 3 frames, left out 1: 1 or more, not read: interrupted'


def test_without_windows_show_is_refused_in_one_line(run, folder, monkeypatch):
    def build(gui):
        return f'General\n  GUI:                           {gui}\n'

    monkeypatch.setattr(cv2, 'getBuildInformation', lambda: build('NONE'))
    assert 'built without windows' in run('image', folder / 'smile.jpg', '--show')[2][0]
    monkeypatch.setattr(cv2, 'getBuildInformation', lambda: build('QT5'))
    for name in ('DISPLAY', 'WAYLAND_DISPLAY'):
        monkeypatch.delenv(name, raising=False)
    assert 'DISPLAY is not set' in run('image', folder / 'smile.jpg', '--show')[2][0]
    # Qt ends the process where the display does not answer.
    monkeypatch.setenv('DISPLAY', ':77')
    ended = subprocess.CompletedProcess((), -6)
    monkeypatch.setattr(subprocess, 'run', lambda *arguments, **options: ended)
    status, output, errors = run('video', 'x', '--show', source=Source([SMILE]))
    assert (status, output, len(errors)) == (2, '', 1)
    assert 'the display cannot be used' in errors[0]


@pytest.fixture
def window(monkeypatch):
    """Windows that show nothing; the keys to press are in ``keys``, the pictures in ``shown``."""

    class Window:
        keys: list[int] = []
        shown: list[np.ndarray] = []

    window = Window()
    window.keys, window.shown = [], []
    monkeypatch.setattr(outputs, '_without_window', lambda: '')
    monkeypatch.setattr(cv2, 'imshow', lambda title, image: window.shown.append(image))
    monkeypatch.setattr(cv2, 'waitKey', lambda delay: window.keys.pop(0))
    monkeypatch.setattr(cv2, 'getWindowProperty', lambda title, number: 1.0)
    monkeypatch.setattr(cv2, 'destroyAllWindows', lambda: None)
    return window


@pytest.mark.parametrize('key', [ord('q'), 27])
def test_q_and_esc_end_a_film(run, window, key):
    window.keys = [-1, -1, key]
    status, output, errors = run(
        'video', 'x', '--show', '--strict', source=Source([SMILE] * 5, declared=5)
    )
    assert (status, len(output.splitlines()), len(window.shown)) == (3, 3, 3)
    assert errors == [
        'made: declared 5 frames, read 3, left out 2: 2 not read: the window was closed'
    ]


def test_images_are_shown_until_a_key_is_pressed(run, window, folder):
    window.keys = [-1, -1, ord(' '), ord('q')]
    names = [folder / name for name in ('smile.jpg', 'wall.bmp', 'smile.jpg')]
    status, output, errors = run('image', *names, '--show')
    assert (status, len(output.splitlines()), len(window.shown)) == (0, 2, 2)
    assert errors == [
        'all files: declared 3 images, read 2, left out 1: 1 not read: the window was closed'
    ]


def test_small_reaches_the_estimator(run, folder, kept, monkeypatch):
    asked = []

    def still(image, small=False):
        asked.append(small)
        return ()

    monkeypatch.setattr(kept, 'still', still)
    run('image', folder / 'smile.jpg', '--small')
    run('image', folder / 'smile.jpg')
    assert asked == [True, False]


@pytest.mark.parametrize('option', ['--annotate', '--csv'])
@pytest.mark.parametrize('verb', ['image', 'video'])
def test_any_place_is_written_or_refused_in_one_line(run, folder, monkeypatch, verb, option):
    """Unlike in the walk over all verbs, the input is good."""
    (folder / 'here').mkdir()
    monkeypatch.chdir(folder / 'here')
    cv2.imwrite('wall.png', WALL)
    hostile = make_hostile_files(folder / 'hostile')
    for place in (*TEXTS, 'x' * 250 + '.mp4', *hostile.names.values()):
        status, _, errors = run(verb, option, place, '--', 'wall.png', source=Source([WALL]))
        wrong = [line for line in errors if line.startswith('emotion-estimator: ')]
        assert (status, len(wrong)) in ((0, 0), (2, 1)), (place, errors)
        assert all(line.isprintable() and len(line) < 1100 for line in errors), (place, errors)
        assert status == 0 or 'wall.png: declared' not in errors[0]


def test_faces_beyond_the_most_are_said(folder, capfd):
    two = np.concatenate([SMILE, SMILE], axis=1)
    cv2.imwrite(str(folder / 'two.png'), two[..., ::-1])
    arguments = ['image', str(folder / 'two.png'), '--landmarks', LANDMARK_SOURCE]
    assert main([*arguments, '--max-faces', '1']) == 0
    output, error = capfd.readouterr()
    assert output.count('happy') == 1
    assert 'two.png: 1 smaller faces are left out; raise --max-faces' in error
    assert main([*arguments, '--max-faces', '2']) == 0
    output, error = capfd.readouterr()
    assert output.count('happy') == 2
    assert 'left out' not in error
