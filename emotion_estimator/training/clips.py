"""Compares the landmark sources on videos, where both track from frame to frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from emotion_estimator.frame import Frame
from emotion_estimator.perception.blendshape_head import BlendshapeHead
from emotion_estimator.perception.face_landmarker import FaceLandmarker
from emotion_estimator.perception.face_mesh import FaceMesh
from emotion_estimator.training.blendshape_agreement import agreement

_SUFFIXES = ('.mp4', '.gif', '.avi', '.webm', '.mov')


def frames_of(path: Path) -> Iterator[Frame]:
    """Yield a video's frames, stamped from its frame rate (30 where it states none)."""
    video = cv2.VideoCapture(str(path))
    rate = video.get(cv2.CAP_PROP_FPS) or 30.0
    number = 0
    while True:
        there, image = video.read()
        if not there:
            break
        rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
        yield Frame(rgb, number / rate)
        number += 1
    video.release()


def clip_agreement(folder: Path, teacher: Path, head: BlendshapeHead) -> dict[str, Any]:
    """Return the head's agreement with the Face Landmarker over all clips of a folder.

    :param folder: videos; the frames in which both sources see a face are taken together.
    :param teacher: ``face_landmarker.task``.
    :returns: as :func:`agreement`, with the number of such frames for each clip.
    """
    guesses, truths, frames = [], [], {}
    for path in sorted(p for p in folder.iterdir() if p.suffix in _SUFFIXES):
        landmarker, mesh = FaceLandmarker(teacher), FaceMesh(head)
        count = 0
        for frame in frames_of(path):
            wanted, given = landmarker(frame), mesh(frame)
            if wanted and given:
                truths.append(wanted[0].blendshapes)
                guesses.append(given[0].blendshapes)
                count += 1
        frames[path.name] = count
        landmarker.close()
        mesh.close()
    return {'frames': frames, **agreement(np.stack(guesses), np.stack(truths))}
