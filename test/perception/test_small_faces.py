"""Small faces in large pictures, in generated textures, by the bundled or the fetched source."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from available import LANDMARK_SOURCE

pytest.importorskip('mediapipe', reason='needs mediapipe')

from emotion_estimator import EmotionEstimator
from emotion_estimator.emotion import Roi, overlap
from emotion_estimator.perception.landmarks.base import FaceLandmarks
from emotion_estimator.perception.small_faces import find_small_faces

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / 'docs' / 'small_faces.md'
SCRIPT = ROOT / 'benchmarks' / 'small_faces.py'


@pytest.fixture(scope='module')
def bench():
    if not SCRIPT.exists():
        pytest.skip('an installation has no benchmarks')
    spec = importlib.util.spec_from_file_location('small_faces_benchmark', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up there.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__('sys').modules, spec.name, module)
        spec.loader.exec_module(module)
        yield module


@pytest.fixture(scope='module')
def estimator():
    with EmotionEstimator(static=True, max_faces=16, landmark_source=LANDMARK_SOURCE) as estimator:
        yield estimator


@pytest.mark.parametrize('height', [26, 36])
def test_faces_that_are_too_small_otherwise_are_found_where_asked(bench, estimator, height):
    rng = np.random.default_rng(height)
    image, truth = bench.scene(rng, bench.clouds(rng), bench.models(estimator), height)
    plain, small = bench.Count(), bench.Count()
    plain.add(estimator.still(image), truth)
    small.add(estimator.still(image, small=True), truth)
    assert (plain.found, plain.false) == (0, 0)
    assert (small.found, small.false) == (small.faces, 0)
    # Read where the face is enlarged, not in the tile.
    assert max(small.errors) < 0.05


@pytest.mark.parametrize('texture', range(3))
def test_no_face_is_found_in_textures(bench, estimator, texture):
    image = bench.TEXTURES[texture](np.random.default_rng(7 + texture))
    assert estimator.still(image, small=True) == ()


def test_a_face_that_is_found_anyway_is_found_once(bench, estimator):
    image = np.full((500, 700, 3), 90, np.uint8)
    shrunk, _, _ = bench.models(estimator)[1].shrunk(80)
    image[40 : 40 + len(shrunk), 60 : 60 + shrunk.shape[1]] = shrunk
    [face] = estimator.still(image)
    [same] = estimator.still(image, small=True)
    assert same.to_dict() == face.to_dict()


class BrightSquares:
    """Takes a white square for a face where it fills a tenth to half of the height."""

    name = 'squares'

    def __init__(self, least=0.1):
        self.least = least
        self.views = 0

    def __call__(self, frame):
        self.views += 1
        ys, xs = np.nonzero(frame.image.min(axis=2) > 128)
        if ys.size == 0:
            return ()
        height = len(frame.image)
        roi = Roi(int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1)
        if not self.least <= roi.height / height <= 0.5:
            return ()
        landmarks = np.zeros((478, 3), np.float32)
        landmarks[:, :2] = roi.x, roi.y
        landmarks[0, :2] = roi.x + roi.width, roi.y + roi.height
        return (FaceLandmarks(landmarks, np.zeros(52, np.float32), roi),)

    def reset(self):
        pass

    def close(self):
        pass


def squares(height, width, *corners, side=20):
    image = np.zeros((height, width, 3), np.uint8)
    for x, y in corners:
        image[y : y + side, x : x + side] = 255
    return image


@pytest.mark.parametrize(
    'corner', [(0, 0), (77, 80), (150, 71), (1260, 700), (640, 0), (1255, 351)]
)
def test_each_place_is_whole_in_some_tile(corner):
    image = squares(720, 1280, corner)
    [face] = find_small_faces(BrightSquares(), image, None)
    assert overlap(face.roi, Roi(*corner, 20, 20)) > 0.8


def test_the_document_says_how_many_tiles_there_are():
    landmarker = BrightSquares()
    find_small_faces(landmarker, squares(720, 1280), None)
    assert f'takes {landmarker.views} runs of the landmark source for 1280x720' in (
        DOCUMENT.read_text()
    )


def test_what_is_known_is_not_looked_at_again():
    image = squares(720, 1280, (300, 200))
    assert find_small_faces(BrightSquares(), image, None, [Roi(298, 199, 23, 22)]) == ()


def test_what_the_second_look_or_the_network_refuses_is_no_face():
    image = squares(720, 1280, (300, 200))

    class OnlyInTiles(BrightSquares):
        def __call__(self, frame):
            # A third of the side is the share of a face in the second look.
            return tuple(f for f in super().__call__(frame) if f.roi.height < 30)

    assert find_small_faces(OnlyInTiles(), image, None) == ()
    assert find_small_faces(BrightSquares(), image, lambda image, landmarks: 0.0) == ()
    assert len(find_small_faces(BrightSquares(), image, lambda image, landmarks: 9.0)) == 1


@pytest.mark.parametrize('shape', [(1, 1), (1, 3000), (3000, 1), (160, 160), (161, 159)])
def test_images_of_any_shape_are_searched(shape):
    landmarker = BrightSquares()
    assert find_small_faces(landmarker, squares(*shape), None) == ()
    assert landmarker.views < 100


def test_the_figures_in_the_document_are_of_this_code(bench):
    text = DOCUMENT.read_text()
    assert f'sha256 `{bench.checksum()}`' in text, (
        'run benchmarks/small_faces.py --task face_landmarker.task --write'
    )
    # What the text claims is what the tables say.
    rows = re.findall(r'^\| (\d+) pixels(, `small`)? \| (\d+) % \|.*\| (\d+) \|$', text, re.M)
    none_below, all_from, small_from = (
        int(re.search(claim, text)[1])
        for claim in (
            r'no face below (\d+) pixels is found',
            r'all of them only from (\d+) pixels on',
            r'finds upright faces from (\d+) pixels on',
        )
    )
    assert len(rows) == 2 * 2 * len(bench.SIZES)
    for size, small, found, false in rows:
        assert int(false) == 0
        assert int(found) >= 98 or int(size) < (small_from if small else all_from)
        assert small or int(found) == 0 or int(size) >= none_below
    readme = ' '.join((ROOT / 'README.md').read_text().split())
    assert f'finds all upright faces from {all_from} pixels on, with `--small` from ' in readme
    assert f'with `--small` from {small_from} pixels on' in readme
