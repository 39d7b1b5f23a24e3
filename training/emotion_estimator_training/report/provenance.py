"""Where figures come from: command, data, files, seeds, versions, and what is missing."""

from __future__ import annotations

import platform
from datetime import datetime, timezone
from importlib import metadata
from typing import Any

from emotion_estimator.version import __version__
from emotion_estimator_training.evaluation.held import HELD_SEED
from emotion_estimator_training.evaluation.stability import CHANGES_SEED, MOVEMENT_SEED
from emotion_estimator_training.report.question import Material, Question
from emotion_estimator_training.report.report_models import file_facts

#: Distributions whose versions may change a figure.
_LIBRARIES = ('numpy', 'mediapipe', 'opencv-python', 'opencv-python-headless',
              'opencv-contrib-python', 'ai-edge-litert', 'tflite-runtime', 'tensorflow',
              'tensorflow-cpu', 'tf_keras')


def provenance(question: Question, material: Material) -> dict[str, Any]:
    """Return everything that somebody needs to make the same figures again."""
    places, stills = question.places, material.stills
    files = dict(material.models.files)
    files['blendshape head'] = file_facts(places.models / 'blendshape_head.tflite')
    if places.teacher is not None:
        files['teacher'] = file_facts(places.teacher)
    notes = list(material.models.notes)
    if places.teacher is None:
        notes.append('No --teacher: only the bundled face mesh looked at the images.')
    if question.public_only:
        notes.append('PrivateTest was not looked at: figures for choosing, not for reporting.')
    if question.clips is None:
        notes.append('No --clips: on video, only the animated portrait was measured.')
    return {
        'made': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'command': question.command,
        'split': question.split,
        'grouping': {'name': question.grouping.name, 'labels': list(question.grouping.labels)},
        'data': {
            'file': places.data.name, 'images': len(stills),
            'test_images_that_are_training_images_too': int(stills.duplicate.sum()),
        },
        'seeds': {'held faces': HELD_SEED, 'changes': CHANGES_SEED, 'movement': MOVEMENT_SEED},
        'versions': dict(sorted(_versions())),
        'models': files,
        'notes': notes,
    }


def _versions() -> list[tuple[str, str]]:
    found = [('emotion-estimator', __version__),
             ('python', f'{platform.python_version()} on {platform.machine()}')]
    for name in _LIBRARIES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return found
