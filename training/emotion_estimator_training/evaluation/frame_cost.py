"""What a face costs each network behind the landmark source, in turns in one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.frame import Frame
from emotion_estimator.perception.face_crop import crop
from emotion_estimator.perception.landmarks.base import Landmarker
from emotion_estimator_training.data.augment import Enlargement, enlarge
from emotion_estimator_training.evaluation.accuracy import FerNetwork
from emotion_estimator_training.evaluation.recognizers import RobotNetworks

Images = NDArray[np.uint8]

_DT = 1 / 30


def pace(
    networks: RobotNetworks,
    fer: FerNetwork | None,
    landmarker: Landmarker,
    stills: Images,
    faces: int,
) -> dict[str, dict[str, float]]:
    """Return median and 95th percentile of the milliseconds that one face costs each network.

    All take turns face by face, in another order each time. What is timed begins with the image
    (the still, enlarged four times, in colours) and the face's landmarks or place in it, and ends
    with probabilities: for ours crop, appearance network and a step of the classifier, for ``fer``
    making it grey, resizing and its network. Finding the face is in neither.

    :param fer: None leaves it out.
    :param landmarker: finds the faces; ``stills`` uint8 (N, 48, 48), of which ``faces`` are tried.
    :returns: by name ``median_ms`` and ``p95_ms``; empty where no face is found.
    """
    classifier = networks.classifiers['three']
    state, shapes = classifier.initial_state(), np.full(52, 0.1, np.float32)
    edge = round(Enlargement().scale * Enlargement().pad)
    taken: dict[str, list[float]] = {}
    rng, tried = np.random.default_rng(0), stills[:faces]

    def ours(image: Images, landmarks: NDArray[np.float32], scores: Any) -> Any:
        return classifier(scores, state, _DT, networks.appearance(crop(image, landmarks)))

    for number, still in enumerate(tried):
        image = enlarge(still, Enlargement())
        found = landmarker(Frame(image, 0.0))
        if not found:
            continue
        part, landmarks = image[edge:-edge, edge:-edge], found[0].landmarks
        ways: dict[str, Callable[[], Any]] = {
            'blendshapes': partial(classifier, shapes, state, _DT),
            'appearance': partial(ours, image, landmarks, None),
            'fused': partial(ours, image, landmarks, shapes),
        }
        if fer is not None:
            ways['fer'] = partial(_theirs, fer, part)
        for name in rng.permutation(list(ways)):
            begun = time.perf_counter_ns()
            ways[name]()
            took = (time.perf_counter_ns() - begun) / 1e6
            # The first faces warm up.
            if number >= len(tried) // 10:
                taken.setdefault(str(name), []).append(took)
    return {
        name: {
            'median_ms': round(float(np.median(times)), 4),
            'p95_ms': round(float(np.percentile(times, 95)), 4),
        }
        for name, times in sorted(taken.items())
    }


def _theirs(fer: FerNetwork, part: Images) -> Any:
    return fer(np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), np.uint8))
