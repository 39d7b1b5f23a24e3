"""The estimator as a library: images of each kind, settings, closing, threads, and processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from available import LANDMARK_SOURCE
from click.testing import CliRunner

pytest.importorskip('mediapipe', reason='needs mediapipe')

import emotion_estimator
from emotion_estimator import EmotionEstimator, FaceEmotion, Frame, open_source
from emotion_estimator.cli.main import group
from emotion_estimator.errors import EmotionEstimatorError, InputError
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.sources.images import read_image
from emotion_estimator.sources.portrait import Portrait

PICTURE = Path(emotion_estimator.__path__[0]) / 'sources' / 'data' / 'astronaut.jpg'
ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / 'docs' / 'python.md'


@pytest.fixture(scope='module')
def shared():
    with EmotionEstimator(landmark_source=LANDMARK_SOURCE) as estimator:
        yield estimator


@pytest.fixture
def estimator(shared):
    shared.reset()
    return shared


def dicts(faces):
    return [face.to_dict() for face in faces]


def test_the_package_offers_its_public_names():
    for name in emotion_estimator.__all__:
        assert getattr(emotion_estimator, name) is not None
    assert set(emotion_estimator.__all__) <= set(dir(emotion_estimator))
    with pytest.raises(AttributeError, match='no_such_name'):
        _ = emotion_estimator.no_such_name


@pytest.mark.parametrize('kind', [Path, str])
def test_a_path_gives_what_the_command_line_prints(estimator, kind):
    found = CliRunner().invoke(
        group, ['image', str(PICTURE), '--json', '--landmarks', LANDMARK_SOURCE]
    )
    faces = estimator(kind(PICTURE))
    assert len(faces) == 1
    assert isinstance(faces[0], FaceEmotion)
    line = json.dumps({'file': str(PICTURE), 'faces': dicts(faces)})
    assert found.stdout.splitlines() == [line]
    assert dicts(estimator.still(PICTURE)) == dicts(faces)


def test_a_still_image_does_not_touch_the_stream(estimator):
    frames = [Portrait(30.0).frame_at(k / 30) for k in range(4)]
    expected = [dicts(estimator(frame)) for frame in frames[:2]]
    estimator.reset()
    first = dicts(estimator(frames[0]))
    estimator(PICTURE)
    estimator.still(frames[3].image)
    second = dicts(estimator(frames[1]))
    for face in (*expected[0], *expected[1], *first, *second):
        del face['face_id']
    assert [first, second] == expected


def test_arrays_are_frames(estimator):
    frames = [Portrait(30.0).frame_at(k / 30) for k in range(3)]
    runs = [
        [estimator(frame) for frame in frames],
        [estimator(frame.image, stamp=10 + frame.stamp) for frame in frames],
        [
            estimator(
                np.ascontiguousarray(frame.image[..., ::-1]), stamp=20 + frame.stamp, bgr=True
            )
            for frame in frames
        ],
    ]
    expected, *others = [[face.probabilities for faces in run for face in faces] for run in runs]
    for found in others:
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert len({faces[0].face_id for run in runs for faces in run}) == 3, 'one face in each run'


def test_arrays_without_a_stamp_are_stamped_when_they_come(estimator):
    image = Portrait(30.0).frame_at(0.0).image
    first, second = (estimator(image) for _ in range(2))
    assert first[0].face_id == second[0].face_id
    assert first[0].probabilities.tolist() != second[0].probabilities.tolist()


@pytest.mark.parametrize(
    ('image', 'says'),
    [
        (np.zeros((5, 5), np.uint8), r'uint8 of shape \(height, width, 3\).* got uint8 .*\(5, 5\)'),
        (np.zeros((5, 5, 4), np.uint8), r'got uint8 of shape \(5, 5, 4\)'),
        (np.zeros((5, 5, 3), np.float32), r'got float32'),
        (np.zeros((0, 5, 3), np.uint8), 'has no pixels'),
        (None, 'got NoneType; did the camera deliver an image?'),
        ([[1]], 'image must be a Frame, a numpy array .*, or the path of an image file, got list'),
        ('no_such.jpg', 'image no_such.jpg cannot be read'),
        ('a\0b', 'cannot be read'),
        (ROOT, 'cannot be read'),
    ],
    ids=str,
)
def test_what_is_no_image_is_refused_in_one_line(estimator, image, says):
    for call in (estimator, estimator.still):
        with pytest.raises(InputError, match=says) as caught:
            call(image)
        assert '\n' not in str(caught.value)


@pytest.mark.parametrize('stamp', [float('nan'), float('inf'), 'now', [1]])
def test_stamps_are_finite_numbers(estimator, stamp):
    image = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(InputError, match='stamp must be a finite number of seconds'):
        estimator(image, stamp=stamp)
    with pytest.raises(InputError, match='stamp must be a finite number of seconds'):
        estimator(Frame(image, stamp))


def test_stamp_and_bgr_are_for_arrays(estimator):
    frame = Frame(np.zeros((32, 32, 3), np.uint8), 0.0)
    for image in (frame, PICTURE):
        with pytest.raises(InputError, match='for arrays'):
            estimator(image, bgr=True)
        with pytest.raises(InputError, match='for arrays'):
            estimator(image, stamp=0.0)
        with pytest.raises(InputError, match='for arrays'):
            estimator.still(image, bgr=True)


@pytest.mark.parametrize(
    ('changes', 'says'),
    [
        ({'branches': 'x'}, "branches must be one of fused, blendshapes, appearance, got 'x'"),
        ({'vocabulary': 'x'}, "vocabulary must be one of three, seven, got 'x'"),
        ({'max_faces': 0}, 'max_faces must be from 1 to 16, got 0'),
        ({'max_faces': 1.5}, 'max_faces must be of type int, got 1.5'),
        ({'min_face_confidence': 7}, 'min_face_confidence must be from 0.0 to 1.0, got 7.0'),
        ({'abstain_below': float('nan')}, 'abstain_below must be from 0.0 to 1.0, got nan'),
        ({'sad_threshold': float('nan')}, 'sad_threshold must be from 0.0 to 1.0, got nan'),
        ({'happy_threshold': 1.5}, 'happy_threshold must be from 0.0 to 1.0, got 1.5'),
        ({'happy_threshold': -0.1}, 'happy_threshold must be from 0.0 to 1.0, got -0.1'),
        ({'max_face': 1}, "unknown setting 'max_face'; the nearest is 'max_faces'"),
        ({'confidence': 1}, "unknown setting 'confidence'; the nearest is 'min_face_confidence'"),
    ],
)
def test_settings_are_checked_as_in_ros(changes, says):
    with pytest.raises(InputError) as caught:
        EmotionEstimator(**changes)
    assert says in str(caught.value)
    if set(changes) <= set(EstimatorSettings.__dataclass_fields__):
        for open_it in (EmotionEstimator, EmotionEstimator.load):
            with pytest.raises(InputError) as caught:
                open_it(EstimatorSettings(**changes))
            assert says in str(caught.value)


def test_an_image_in_place_of_settings_is_explained():
    with pytest.raises(InputError, match='for an image, call the estimator with it'):
        EmotionEstimator('portrait.jpg')


def test_settings_applied_later_are_checked_too(estimator):
    with pytest.raises(InputError, match=r'abstain_below must be from 0.0 to 1.0, got 2.0'):
        estimator.apply(EstimatorSettings(abstain_below=2.0))


def test_keywords_change_given_settings():
    settings = EstimatorSettings(landmark_source=LANDMARK_SOURCE, vocabulary='seven')
    with EmotionEstimator(settings, branches='blendshapes') as estimator:
        assert estimator.branches == 'blendshapes'
        assert len(estimator.labels) == 7


def test_closing_twice_is_harmless_and_use_after_closing_is_an_error():
    with EmotionEstimator(landmark_source=LANDMARK_SOURCE) as estimator:
        assert len(estimator(PICTURE)) == 1
    estimator.close()
    image = np.zeros((32, 32, 3), np.uint8)
    for use in (
        lambda: estimator(Frame(image, 0.0)),
        lambda: estimator(image),
        lambda: estimator(PICTURE),
        lambda: estimator.still(image),
        lambda: estimator.apply(EstimatorSettings()),
        estimator.reset,
    ):
        with pytest.raises(
            EmotionEstimatorError, match=r'EmotionEstimator is closed; open another'
        ):
            use()


def test_threads_share_an_estimator(estimator):
    expected = dicts(estimator(PICTURE))
    image = read_image(PICTURE)
    found, problems = [], []

    def work(still):
        try:
            for _ in range(5):
                faces = estimator(PICTURE) if still else estimator(image)
                if still:
                    found.append(dicts(faces))
                assert len(faces) == 1
        except Exception as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(k % 2 == 0,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not problems
    assert found == [expected] * 10


FORKED = """
import os, sys, threading
from emotion_estimator import EmotionEstimator
from emotion_estimator.errors import EmotionEstimatorError

estimator = EmotionEstimator(landmark_source=sys.argv[1])
assert len(estimator(sys.argv[2])) == 1
# Another thread is inside when the process forks: its lock must not matter.
inside, leave = threading.Event(), threading.Event()
def hold():
    with estimator._in_use():
        inside.set()
        leave.wait()
threading.Thread(target=hold, daemon=True).start()
inside.wait()
if os.fork() == 0:
    for use in (lambda: estimator(sys.argv[2]), estimator.reset):
        try:
            use()
        except EmotionEstimatorError as error:
            print(error, flush=True)
    estimator.close()
    sys.exit(0)
_, status = os.wait()
leave.set()
assert status == 0
print(len(estimator(sys.argv[2])), 'face in the parent')
"""


@pytest.mark.skipif(not hasattr(__import__('os'), 'fork'), reason='needs fork')
def test_after_a_fork_the_child_gets_one_clear_error_and_nothing_hangs():
    run = subprocess.run(
        [sys.executable, '-c', FORKED, LANDMARK_SOURCE, PICTURE],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    error = (
        'this EmotionEstimator was opened before the process forked and cannot be used in the '
        'child; open one in each process'
    )
    assert run.stdout.splitlines() == [error, error, '1 face in the parent']


class StandInCamera:
    """``cv2.VideoCapture`` of a camera that is unplugged after three frames of the portrait."""

    opened: list[object] = []

    def __init__(self, device, *backend):
        self.opened.append(device)
        self._frames = [Portrait(30.0).frame_at(k / 30).image[..., ::-1] for k in range(3)]

    def isOpened(self):  # noqa: N802
        return True

    def grab(self):
        return bool(self._frames)

    def retrieve(self):
        return True, np.ascontiguousarray(self._frames.pop(0))

    def read(self):
        return self.retrieve() if self._frames else (False, None)

    def get(self, prop):
        return 0.0

    def set(self, prop, value):
        return True

    def release(self):
        pass


def readme_examples():
    """Return the Python blocks of the document on the Python interface."""
    return re.findall(r'```python\n(.*?)```', DOCUMENT.read_text(), re.S)


@pytest.mark.skipif(not DOCUMENT.exists(), reason='an installation has no documents beside it')
@pytest.mark.parametrize('number', [0, 1, 2])
def test_the_readme_examples_run(monkeypatch, capsys, tmp_path, number):
    monkeypatch.setattr(cv2, 'VideoCapture', StandInCamera)
    monkeypatch.chdir(tmp_path)
    cv2.imwrite('portrait.jpg', cv2.imread(str(PICTURE)))
    examples = readme_examples()
    assert len(examples) == 3
    StandInCamera.opened.clear()
    unplugged = None
    try:
        exec(compile(examples[number], DOCUMENT.name, 'exec'), {})
    except InputError as error:
        unplugged = str(error)
    printed = capsys.readouterr().out.splitlines()
    if number == 2:
        assert len(printed) == 1
        assert StandInCamera.opened == []
    else:
        assert len(printed) == 3
        assert StandInCamera.opened == [0]
        assert (unplugged is not None) == (number == 0)


def test_a_source_is_iterated():
    frames = open_source('portrait')
    assert [frame.stamp for frame, _ in zip(frames, range(3))] == [k / 30 for k in range(3)]
    with pytest.raises(InputError, match='source'):
        open_source(Path('/nowhere/film.mp4'))


def test_what_pip_installs_imports_lazily(tmp_path):
    """The package and ``Frame`` load neither OpenCV nor MediaPipe, installed as in a checkout."""
    if not (ROOT / 'setup.py').exists():
        pytest.skip('an installation has no setup.py')
    subprocess.run(
        [sys.executable, 'setup.py', '--quiet', 'egg_info', '--egg-base', tmp_path,
         'build_py', '--build-lib', tmp_path / 'target'],
        capture_output=True, check=True, cwd=ROOT,
    )  # fmt: skip
    code = textwrap.dedent("""
        import sys
        sys.path.insert(0, sys.argv[1])
        import emotion_estimator
        import emotion_estimator.frame
        from emotion_estimator import FaceEmotion, Frame, __version__
        loaded = [name for name in ('cv2', 'mediapipe', 'yaml', 'rclpy') if name in sys.modules]
        print(emotion_estimator.__file__, loaded)
        from emotion_estimator import DebouncedEmotion, DialogueManager, EmotionEstimator
        from emotion_estimator import open_source
        print('mediapipe' in sys.modules)
        with EmotionEstimator(landmark_source=sys.argv[2]) as estimator:
            print(len(estimator(sys.argv[3])))
    """)
    run = subprocess.run(
        [sys.executable, '-c', code, tmp_path / 'target', LANDMARK_SOURCE, PICTURE],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    where = tmp_path / 'target' / 'emotion_estimator' / '__init__.py'
    assert run.stdout.splitlines() == [f'{where} []', 'False', '1']


@pytest.mark.parametrize('verb', ['image', 'video'])
def test_the_defaults_of_the_command_line_are_those_of_the_node(verb):
    settings = EstimatorSettings()
    defaults = {option.name: option.default for option in group.get_command(None, verb).params}
    shared = {name for name in defaults if hasattr(settings, name)}
    assert shared >= {'max_faces', 'abstain_below', 'vocabulary', 'landmark_source'}
    assert {name: defaults[name] for name in shared} == {
        name: getattr(settings, name) for name in shared
    }
