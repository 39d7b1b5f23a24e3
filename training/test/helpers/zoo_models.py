"""Tiny models of the zoo for its tests: few units, one epoch, faces of 16 pixels."""

from __future__ import annotations

import pickle
from copy import deepcopy

from zoo_tracks import CLASSES, made_tracks

from emotion_estimator_training.zoo.models.catalog import Catalog
from emotion_estimator_training.zoo.models.model import RunContext, Split, ZooModel
from emotion_estimator_training.zoo.models.registry import build

FRAME = {
    'encoder': 'small',
    'side': 16,
    'units': [8, 6, 4],
    'frame_step': 2,
    'fit': {'batch': 8, 'learning_rate': 0.01, 'epochs': 1},
}
_ONCE = {'batch': 8, 'learning_rate': 0.01, 'epochs': 1}
#: Kind and settings of each.
TINY = {
    'microx': (
        'microx',
        {
            'parts': ['mouth', 'face'],
            'side': 12,
            'filters': 2,
            'dense': 4,
            'window': 4,
            'fit': _ONCE,
        },
    ),
    'frame': ('frame', FRAME),
    'mean': ('decision', {'window': 4}),
    'weighted': ('decision', {'window': 4, 'how': 'weighted'}),
    'statistics': ('statistics', {'window': 4}),
    'mlp': ('statistics', {'window': 4, 'classifier': 'mlp', 'hidden': 4}),
    'covariance': ('statistics', {'window': 4, 'statistics': ['covariance']}),
    'eigenvector': ('statistics', {'window': 5, 'statistics': ['eigenvector']}),
    'gaussian': ('statistics', {'window': 4, 'statistics': ['gaussian']}),
    'lstm': ('sequence', {'window': 4, 'hidden': 4, 'fit': _ONCE}),
    'deep-lstm': ('sequence', {'window': 4, 'hidden': 4, 'layers': 2, 'fit': _ONCE}),
    'bi-lstm': ('sequence', {'window': 4, 'hidden': 4, 'bidirectional': True, 'fit': _ONCE}),
    'stcnn': (
        'stcnn',
        {
            'window': 5,
            'side': 16,
            'depth': 3,
            'filters': 2,
            'dense': [4],
            'fit': _ONCE,
        },
    ),
    'fusenet': (
        'stcnn',
        {
            'window': 5,
            'side': 16,
            'depth': 3,
            'filters': 2,
            'dense': [4],
            'parts': ['eyes', 'mouth'],
            'fit': _ONCE,
        },
    ),
    'c3d': (
        'c3d',
        {
            'window': 4,
            'side': 12,
            'filters': [2, 2, 3],
            'convolutions': [1, 1, 2],
            'dense': [4],
            'fit': _ONCE,
        },
    ),
    'cnn-rnn': (
        'cnn-rnn',
        {
            'window': 4,
            'hidden': 4,
            'frame': {**FRAME, 'encoder': 'kahou-small', 'units': [6]},
            'fit': _ONCE,
        },
    ),
    'two-stream': (
        'two-stream',
        {
            'window': 3,
            'side': 16,
            'filters': [2, 3],
            'dense': 4,
            'fit': _ONCE,
        },
    ),
    'stc-nlstm': (
        'stc-nlstm',
        {
            'window': 4,
            'side': 16,
            'filters': [2, 3],
            'hidden': 4,
            'fit': _ONCE,
        },
    ),
    'frame-pairs': (
        'frame-pairs',
        {
            'window': 4,
            'side': 16,
            'filters': [2, 3],
            'encoding': 4,
            'hidden': 3,
            'fit': _ONCE,
        },
    ),
    'ours': ('ours', {'window': 4, 'units': 4, 'branch': 'blendshapes', 'fit': _ONCE}),
    'fused': ('ours', {'window': 4, 'units': 4, 'fit': _ONCE}),
}


def tiny_catalog(path='tiny') -> Catalog:
    """Return a catalog of the tiny models."""
    models = {
        name: {'kind': kind, 'description': f'a tiny {name}', 'paper': deepcopy(settings)}
        for name, (kind, settings) in TINY.items()
    }
    models['microx']['variants'] = {'mouth': {'parts': ['mouth']}, 'grey': {'colour': False}}
    return Catalog({'models': models, 'grids': {'reduced': {'hidden': [2, 3]}}}, path)


def tiny_context(folder, classes=CLASSES) -> RunContext:
    """Return a run context for tiny models."""
    return RunContext(folder, tiny_catalog(), classes, 'reduced', 10.0, progress=False)


def tiny_split(classes=CLASSES, count: int = 2) -> Split:
    """Return made tracks for training, ``count`` of each class, and for validation."""
    return Split(classes, made_tracks(count, 12, classes), made_tracks(1, 12, classes, first=50))


def tiny_model(name: str, context: RunContext, **changes) -> ZooModel:
    """Return an untrained tiny model."""
    return build(context.catalog.entry(name, 'reduced').changed(**changes), context)


def in_turn(work, tasks):
    """Run tasks in this process, as if they came from another; a runner of worker_pool."""
    for number, task in enumerate(tasks):
        yield number, work(pickle.loads(pickle.dumps(task)))
