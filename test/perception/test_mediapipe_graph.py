"""MediaPipe's graphs, opened by themselves, answer as its own calls do, and search when told to."""

from __future__ import annotations

import importlib.util
import logging
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from available import TASK, needs_face_mesh
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import emotion_estimator

mediapipe = pytest.importorskip('mediapipe', reason='needs mediapipe')
pytest.importorskip('mediapipe.python.packet_creator', reason='mediapipe 1.x has no graphs')

from mediapipe.framework.formats import classification_pb2, landmark_pb2

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.frame import Frame
from emotion_estimator.perception.landmarks import face_landmarker, face_mesh, mediapipe_graph
from emotion_estimator.perception.landmarks.base import warm_up
from emotion_estimator.perception.landmarks.mediapipe_graph import (
    GraphMissingError,
    ScoreReader,
    SearchClock,
    landmark_array,
)
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.sources.portrait import Portrait

SOURCES = [
    pytest.param('face_mesh', marks=needs_face_mesh),
    'face_landmarker',
]
FPS = 30.0


def frames(faces: int, count: int):
    """Yield the portrait's frames, 640x480, with one or two of its face."""
    for number, frame in zip(range(count), Portrait(FPS, (640, 480)).frames()):
        image = frame.image
        if faces == 2:
            image = np.concatenate([image[:, 160:480], image[:, 160:480]], axis=1)
        yield Frame(np.ascontiguousarray(image), number / FPS)


def opened(source: str, max_faces: int):
    if source == 'face_mesh':
        return face_mesh.FaceMesh(face_mesh.BlendshapeHead.load(), max_faces)
    return face_landmarker.FaceLandmarker(TASK, max_faces)


def own_call(source: str, max_faces: int):
    """Return a function with MediaPipe's own call, and the object to close."""
    if source == 'face_mesh':
        mesh = mediapipe.solutions.face_mesh.FaceMesh(
            max_num_faces=max_faces, refine_landmarks=True
        )
        return lambda frame: mesh.process(frame.image).multi_face_landmarks or (), mesh
    vision = mediapipe.tasks.vision
    landmarker = vision.FaceLandmarker.create_from_options(
        vision.FaceLandmarkerOptions(
            base_options=mediapipe.tasks.BaseOptions(model_asset_path=str(TASK)),
            running_mode=vision.RunningMode.VIDEO,
            num_faces=max_faces,
            output_face_blendshapes=True,
        )
    )

    def detect(image, milliseconds):
        wrapped = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
        return landmarker.detect_for_video(wrapped, milliseconds)

    # As ours is warmed up: with one face at most, it smooths over all that it has seen.
    seen = []
    warm_up(seen.append)
    for number, image in enumerate(seen):
        detect(image, number)
    return lambda frame: detect(frame.image, 2 + round(1000 * frame.stamp)), landmarker


def points(face) -> np.ndarray:
    scale = np.array([640, 480, 640], np.float32)
    each = face.landmark if hasattr(face, 'landmark') else face
    return np.array([(p.x, p.y, p.z) for p in each], np.float32) * scale


@pytest.mark.parametrize('faces', [1, 2])
@pytest.mark.parametrize('max_faces', [1, 4])
@pytest.mark.parametrize('source', SOURCES)
def test_the_answers_are_those_of_the_own_call_bit_by_bit(source, max_faces, faces) -> None:
    ours = opened(source, max_faces)
    own, closing = own_call(source, max_faces)
    for frame in frames(faces, 25):
        found, wanted = ours(frame), own(frame)
        if source == 'face_landmarker':
            names = [
                [category.category_name for category in one] for one in wanted.face_blendshapes
            ]
            scores = [[category.score for category in one] for one in wanted.face_blendshapes]
            for face, each_name, each in zip(found, names, scores):
                by_name = dict(zip(each_name, each))
                assert face.blendshapes.tolist() == [
                    np.float32(by_name[name]) for name in BLENDSHAPE_NAMES
                ]
            wanted = wanted.face_landmarks
        assert len(found) == len(wanted) == min(faces, max_faces)
        for face, other in zip(found, wanted):
            np.testing.assert_array_equal(face.landmarks, points(other))
    ours.close()
    closing.close()


@pytest.mark.parametrize('source', SOURCES)
def test_a_second_face_is_adopted_within_three_tenths_of_a_second(source) -> None:
    settings = EstimatorSettings(
        landmark_source=source,
        face_landmarker_path=str(TASK) if source == 'face_landmarker' else '',
    )
    assert settings.search_hz == 5.0
    one, two = list(frames(1, 14)), list(frames(2, 40))
    with EmotionEstimator(settings) as estimator:
        for frame in one:
            alone = Frame(two[0].image.copy(), frame.stamp)
            alone.image[:, 320:] = (90, 120, 150)
            (face,) = estimator(alone)
        waited = 0
        for frame in two[14:]:
            found = estimator(frame)
            if len(found) == 2:
                break
            waited += 1
    assert (waited + 1) / FPS <= 0.3
    assert face.face_id in {each.face_id for each in found}


@pytest.mark.parametrize('source', SOURCES)
def test_what_is_not_searched_for_is_not_found(source) -> None:
    ours = opened(source, 4)
    ours.search_hz = 0.5
    two = list(frames(2, 30))
    for frame in two[:3]:
        image = frame.image.copy()
        image[:, 320:] = (90, 120, 150)
        assert len(ours(Frame(image, frame.stamp))) == 1
    # Half a second, and the next search is due after two.
    assert [len(ours(frame)) for frame in two[3:18]] == [1] * 15
    assert len(ours(Frame(two[18].image, 2.5))) == 2
    ours.close()


@pytest.mark.parametrize('source', SOURCES)
def test_a_face_that_jumps_is_found_in_the_same_image(source) -> None:
    ours = opened(source, 4)
    ours.search_hz = 0.5
    found = []
    for number, frame in enumerate(frames(1, 12)):
        # Every fourth image it is elsewhere.
        moved = np.roll(frame.image, 220 * (number // 4 % 2), axis=1)
        found.append(len(ours(Frame(np.ascontiguousarray(moved), frame.stamp))))
    assert found == [1] * 12
    ours.close()


stamps = st.lists(st.floats(0.001, 0.6), min_size=1, max_size=60).map(np.cumsum)


@given(stamps, st.sampled_from([0.5, 1.0, 5.0, 30.0]))
def test_with_steady_faces_there_is_no_longer_gap_than_the_rate_allows(times, hz: float) -> None:
    clock, last = SearchClock(), None
    clock.hz = hz
    before = times[0]
    for time in times:
        if clock.due(time):
            assert last is None or time - last >= 1 / hz - 1e-3
            last = time
        else:
            assert time - last <= 1 / hz
        before = time
        clock.found(2)
    assert before == times[-1]


def test_each_image_is_searched_while_nobody_is_there_or_somebody_was_just_lost() -> None:
    clock = SearchClock()
    clock.hz = 1.0
    asked = []
    for number, faces in enumerate([0, 0, 2, 2, 1, 1, 1, 0, 0]):
        asked.append(clock.due(number / FPS))
        clock.found(faces)
    assert asked == [True, True, True, False, False, True, True, True, True]
    clock.hz = 0.0
    assert clock.due(0.8)
    assert clock.due(0.801)
    clock.hz = 1.0
    clock.found(1)
    assert not clock.due(0.81)
    # Of time that stands still or goes back nothing can be said.
    assert clock.due(0.801)
    assert clock.due(0.2)


coordinates = arrays(np.float32, st.tuples(st.integers(0, 12), st.just(3)), elements=st.floats(
    width=32, allow_nan=False
))  # fmt: skip


@given(coordinates, st.booleans())
def test_landmarks_are_read_from_their_bytes(values, visible: bool) -> None:
    message = landmark_pb2.NormalizedLandmarkList()
    for number, (x, y, z) in enumerate(values.tolist()):
        each = message.landmark.add(x=x, y=y, z=z)
        if visible and number % 2:
            each.visibility = 0.5
    np.testing.assert_array_equal(landmark_array(message.SerializeToString()), values)


@given(
    st.lists(st.lists(st.floats(0, 1, width=32), min_size=52, max_size=52), min_size=1, max_size=4),
    st.permutations(BLENDSHAPE_NAMES),
)
def test_scores_are_read_in_the_order_of_the_names(rows, other_order) -> None:
    reader = ScoreReader()
    # As MediaPipe orders them, then otherwise, with the same length.
    for names in (BLENDSHAPE_NAMES, BLENDSHAPE_NAMES, tuple(other_order)):
        for row in rows:
            message = classification_pb2.ClassificationList()
            for number, (name, score) in enumerate(zip(names, row)):
                message.classification.add(index=number, score=score, label=name)
            scores = reader(message.SerializeToString())
            by_name = dict(zip(names, row))
            assert scores.tolist() == [by_name[name] for name in BLENDSHAPE_NAMES]


@pytest.mark.parametrize('source', SOURCES)
@pytest.mark.parametrize(
    'way', ['missing', 'same on another release', 'different on another release']
)
def test_where_the_graph_cannot_be_trusted_the_own_call_is_used(
    source, way, monkeypatch, caplog
) -> None:
    module = face_mesh if source == 'face_mesh' else face_landmarker
    name = 'MeshGraph' if source == 'face_mesh' else 'LandmarkerGraph'

    class Missing:
        def __init__(self, *_) -> None:
            raise GraphMissingError('there is none')

    if way == 'missing':
        monkeypatch.setattr(module, name, Missing)
    else:
        monkeypatch.setattr(mediapipe_graph, 'TESTED', ())
    if way == 'different on another release':
        monkeypatch.setattr(module, 'difference', lambda *_: 'it answers differently')
    with caplog.at_level(logging.INFO, 'emotion_estimator'):
        ours = opened(source, 4)
    lines = [line for line in caplog.messages if 'own call' in line]
    assert len(lines) == (way != 'same on another release')
    found = [len(ours(frame)) for frame in frames(1, 3)]
    assert found == [1, 1, 1]
    ours.close()


@pytest.mark.parametrize('source', SOURCES)
def test_a_graph_of_another_release_that_fails_is_not_used(source, monkeypatch) -> None:
    module = face_mesh if source == 'face_mesh' else face_landmarker
    name = 'MeshGraph' if source == 'face_mesh' else 'LandmarkerGraph'

    def fail(*_):
        raise RuntimeError('another layout')

    monkeypatch.setattr(mediapipe_graph, 'TESTED', ())
    monkeypatch.setattr(getattr(module, name), 'process', fail)
    ours = opened(source, 4)
    assert [len(ours(frame)) for frame in frames(1, 3)] == [1, 1, 1]
    ours.close()


@pytest.mark.parametrize('source', SOURCES)
def test_a_reset_heals_a_graph_that_has_failed_and_closing_twice_is_harmless(source) -> None:
    ours = opened(source, 4)
    first = next(iter(frames(1, 1)))
    assert len(ours(first)) == 1
    broken = Frame(np.zeros((0, 5, 3), np.uint8), 0.1)
    for _ in range(2):
        with suppress(Exception):
            ours(broken)
    ours.reset()
    assert len(ours(Frame(first.image, 0.3))) == 1
    ours.close()
    ours.close()


@pytest.mark.parametrize('source', SOURCES)
def test_further_faces_are_found_while_time_stands_still(source) -> None:
    ours = opened(source, 4)
    ours.search_hz = 5.0
    two = next(iter(frames(2, 1)))
    alone = two.image.copy()
    alone[:, 320:] = (90, 120, 150)
    found = [len(ours(Frame(image, 7.0))) for image in (alone, alone, two.image)]
    assert found == [1, 1, 2]
    ours.close()


def test_importing_mediapipe_draws_in_no_pyplot_until_it_is_used() -> None:
    program = """
import sys
from pathlib import Path
from emotion_estimator.runtimes import import_mediapipe
mediapipe = import_mediapipe()
assert not any(name.startswith('matplotlib') for name in sys.modules)
drawing = getattr(getattr(mediapipe, 'solutions', None), 'drawing_utils', None)
if drawing is not None:
    assert callable(drawing.plt.figure)
    import matplotlib.pyplot
    assert drawing.plt.figure is matplotlib.pyplot.figure
"""
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_the_figures_in_the_document_are_of_this_code() -> None:
    package = Path(emotion_estimator.__path__[0])
    root = Path(__file__).parents[2]
    program = root / 'benchmarks' / 'mediapipe_cost.py'
    document = root / 'docs' / 'cost.md'
    if not program.is_file():
        pytest.skip('the benchmarks are not installed')
    spec = importlib.util.spec_from_file_location('mediapipe_cost', program)
    bench = importlib.util.module_from_spec(spec)
    sys.modules['mediapipe_cost'] = bench
    spec.loader.exec_module(bench)
    assert all((package / name).is_file() for name in bench.MEASURED)
    text = document.read_text()
    assert f'sha256 `{bench.checksum()}`' in text, 'run benchmarks/mediapipe_cost.py --write'
    ratios = {}
    for source, limit, faces, ratio in re.findall(
        r'^\| (\w+) \| 640x480 \| (\d) \| (\d) \| hot \|.*?\|.*?\| ([\d.]+) \|', text, re.M
    ):
        ratios[source, int(limit), int(faces)] = ratio
    readme = ' '.join((root / 'README.md').read_text().split())
    claim = re.search(
        r'takes (\S+) times the processor time .*? and (\S+) times with `face_landmarker`, '
        r'at `max_faces` 1, (\S+) and (\S+) times\. .*? it is (\S+) and (\S+)\. ',
        readme,
    )
    claimed = [
        ratios[source, limit, faces]
        for limit, faces in ((4, 1), (1, 1), (4, 4))
        for source in ('face_mesh', 'face_landmarker')
    ]
    assert list(claim.groups()) == claimed
