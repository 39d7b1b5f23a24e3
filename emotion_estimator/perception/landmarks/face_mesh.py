"""The face mesh bundled in ``mediapipe`` up to 0.10.21, with our own blendshape head behind it."""

from __future__ import annotations

import numpy as np

from emotion_estimator.errors import ModelError
from emotion_estimator.frame import Frame
from emotion_estimator.mediapipe_import import import_mediapipe
from emotion_estimator.perception.landmarks.blendshape_head import BlendshapeHead
from emotion_estimator.perception.landmarks.landmarks import FaceLandmarks, bounding_roi
from emotion_estimator.perception.landmarks.warm_up import warm_up
from emotion_estimator.quiet import quiet


class FaceMesh:
    """Landmark source that needs no download: MediaPipe's bundled mesh with refined landmarks."""

    name = 'face_mesh'

    def __init__(
        self,
        head: BlendshapeHead,
        max_faces: int = 1,
        static: bool = False,
        min_confidence: float = 0.5,
    ) -> None:
        """Build the graph.

        :param head: turns the 478 landmarks into blendshapes.
        :param max_faces: most faces found in one frame, at least 1.
        :param static: take every frame as an unrelated image.
        :param min_confidence: 0 to 1, for detection and tracking.
        :raises ModelError: ``mediapipe`` is missing or of a version without the bundled mesh.
        """
        mediapipe = import_mediapipe()
        if not hasattr(mediapipe, 'solutions'):
            version = getattr(mediapipe, '__version__', 'unknown')
            raise ModelError(
                f'mediapipe {version} bundles no face mesh (0.10.21 was the last that did); '
                'use the landmark source face_landmarker, or install mediapipe 0.10.21'
            )
        self._head = head
        # Its threads open the networks while the constructor returns: no gap before the warm-up.
        with quiet():
            self._mesh = mediapipe.solutions.face_mesh.FaceMesh(
                static_image_mode=static,
                max_num_faces=max_faces,
                refine_landmarks=True,
                min_detection_confidence=min_confidence,
                min_tracking_confidence=min_confidence,
            )
            warm_up(self._mesh.process)

    def __call__(self, frame: Frame) -> tuple[FaceLandmarks, ...]:
        """Return the faces in ``frame``; one whose box lies outside the frame is left out."""
        height, width = frame.image.shape[:2]
        scale = np.array([width, height, width], np.float32)
        result = self._mesh.process(np.ascontiguousarray(frame.image))
        faces = []
        for face in result.multi_face_landmarks or ():
            landmarks = np.array([(p.x, p.y, p.z) for p in face.landmark], np.float32) * scale
            roi = bounding_roi(landmarks, width, height)
            if roi is not None:
                faces.append(FaceLandmarks(landmarks, self._head(landmarks), roi))
        return tuple(faces)

    def reset(self) -> None:
        """Forget the previous frames."""
        with quiet():
            self._mesh.reset()
            warm_up(self._mesh.process)

    def close(self) -> None:
        """Free the graph's memory and threads; the object is of no use afterwards."""
        self._mesh.close()
