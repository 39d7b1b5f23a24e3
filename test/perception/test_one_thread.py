"""Reading a face keeps one core busy, not also those on which other threads would wait."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from available import LANDMARK_SOURCE

_PROGRAM = """
import json, sys, time
from emotion_estimator import EmotionEstimator
from emotion_estimator.perception.appearance import Branches
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.perception.landmarks.source import find_faces, open_first, open_landmarker
from emotion_estimator.perception.upright import UprightNetwork
from emotion_estimator.frame import Frame
from emotion_estimator.sources.portrait import Portrait

class Found:
    name = 'found'
    def __init__(self, faces): self.faces = faces
    def __call__(self, frame): return self.faces
    def reset(self): pass
    def close(self): pass

image = Portrait(30.0, (640, 480)).frame_at(0.0).image
landmarker, choice = open_first(sys.argv[1], max_faces=1, static=True)
faces = tuple(find_faces(landmarker, image, tiles=False))
landmarker.close()
assert len(faces) == 1
classifier = EmotionClassifier.load()
estimator = EmotionEstimator.from_parts(
    Found(faces), classifier, reader=Branches.open('fused', classifier.embedding_size),
    upright=UprightNetwork.load(),
)
for number in range(90):
    if number == 30:
        everything, here = time.process_time(), time.thread_time()
    assert estimator(Frame(image, number / 30))
    # As between two images of a camera.
    time.sleep(0.01)
here = time.thread_time() - here
print(json.dumps([here, time.process_time() - everything - here]))
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason='there is no other core')
def test_no_thread_waits_by_keeping_a_core_busy():
    done = subprocess.run(
        [sys.executable, '-c', _PROGRAM, LANDMARK_SOURCE],
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    here, elsewhere = json.loads(done.stdout)
    # It was four times as much as the work itself.
    assert elsewhere < 0.3 * here
