"""Makes ``test/helpers/window_model``: an exported tiny MicroX, trained on the portrait.

The robot's tests use it, where there is no TensorFlow. Its middle label is not a shipped one. Run
``.venv-training/bin/python training/test/helpers/make_window_model.py``.
"""

from __future__ import annotations

import tempfile
from itertools import groupby
from pathlib import Path

import numpy as np

from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError
from emotion_estimator.perception.face_parts import FACE_SIDE, aligned_face
from emotion_estimator.perception.landmarks.source import open_first
from emotion_estimator.sources.portrait import Portrait
from emotion_estimator_training.zoo.data.clips import Clip
from emotion_estimator_training.zoo.data.face_tracks import FaceTrack
from emotion_estimator_training.zoo.export import export
from emotion_estimator_training.zoo.models.catalog import Catalog
from emotion_estimator_training.zoo.models.microx import MicroX
from emotion_estimator_training.zoo.models.model import RunContext, Split

FOLDER = Path(__file__).parents[3] / 'test' / 'helpers' / 'window_model'
CLASSES = ('happy', 'pensive', 'sad')
RATE = 15.0
SETTINGS = {
    'parts': ['mouth', 'face'],
    'side': 12,
    'filters': 2,
    'dense': 8,
    'window': 5,
    'dropout': 0.0,
    'overlap': 0.8,
    'fit': {'batch': 16, 'learning_rate': 0.01, 'epochs': 12, 'patience': 12},
}


def tracks() -> tuple[FaceTrack, ...]:
    """Return a track for each stretch of the portrait with one expression."""
    landmarker, _ = open_first('face_mesh', '', max_faces=1)
    found = []
    for truth, frames in groupby(Portrait(RATE).frames(), key=lambda frame: frame.truth):
        seen = []
        for frame in frames:
            for face in landmarker(frame):
                try:
                    crop, points = aligned_face(frame.image, face.landmarks)
                except InputError:
                    continue
                seen.append((frame.stamp, crop, points, face.blendshapes))
        if truth == NONE or not seen:
            continue
        label = truth if truth in CLASSES else CLASSES[1]
        times, *arrays = (np.array(one) for one in zip(*seen))
        clip = Clip(f'{label}_{len(found)}', Path(), label, 'portrait')
        found.append(FaceTrack(clip, times, *arrays, np.ones(len(times), bool)))
    return tuple(found)


def main() -> None:
    """Train and export the model."""
    catalog = Catalog({'models': {'portrait': {'kind': 'microx', 'paper': SETTINGS}}}, FOLDER)
    seen = tracks()
    with tempfile.TemporaryDirectory() as folder:
        context = RunContext(Path(folder), catalog, CLASSES, 'paper', RATE)
        model = MicroX(catalog.entry('portrait', 'paper'), context)
        print(model.fit(Split(CLASSES, seen, seen))[-1])
        print(export(model, FOLDER, FACE_SIDE))


if __name__ == '__main__':
    main()
