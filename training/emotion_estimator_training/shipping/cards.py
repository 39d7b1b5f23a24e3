"""The shipped models' cards: figures measured into the JSON, and Markdown made from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import LABELS
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator_training.data.stills import Stills
from emotion_estimator_training.evaluation.evaluate import evaluate
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.shipping.parity import parity_table
from emotion_estimator_training.shipping.step_time import time_table
from emotion_estimator_training.tables import markdown_table

SPLITS = ('public_test', 'private_test', 'private_test_without_duplicates')
_IN_TIME = ('changes', 'median_s', 'p95_s', 'never', 'within_0.25_s_of_the_middle', 'flips_per_s')


#: FER2013 as its makers and hosts offer it.
DATA_LICENCE = (
    'FER2013 (Goodfellow et al., Challenges in Representation Learning, 2013): faces collected '
    'from the web by search words, for research; no licence to pass the images on is known, and '
    'none of them is in this repository'
)


def emotion_table(figures: dict[str, Any]) -> str:
    """Return the table of a classifier's figures on still faces, as ``evaluate`` measures them."""
    header = (
        'landmark source',
        'split',
        'n',
        'coverage',
        'cross-entropy',
        'accuracy',
        'macro-F1',
        *(f'precision {label}' for label in LABELS),
        *(f'recall {label}' for label in LABELS),
        'ECE',
    )
    return markdown_table(
        header,
        [
            (
                source,
                split,
                part['n'],
                part.get('coverage', '-'),
                part['cross_entropy'],
                part['accuracy'],
                part['macro_f1'],
                *(part['precision'][label] for label in LABELS),
                *(part['recall'][label] for label in LABELS),
                part['ece'],
            )
            for source, whole in figures.items()
            for split, part in whole.items()
            if split in SPLITS
        ],
    )


def confusion_table(figures: dict[str, Any]) -> str:
    """Return both sources' confusion matrices on the last split, truth in rows."""
    rows = []
    for source, whole in figures.items():
        split = 'private_test' if 'private_test' in whole else 'public_test'
        rows += [
            (source, split, label, *row)
            for label, row in zip(LABELS, whole[split]['confusion_matrix'])
        ]
    says = (f'says {label}' for label in LABELS)
    return markdown_table(('landmark source', 'split', 'truth', *says), rows)


def response_table(figures: dict[str, Any]) -> str:
    """Return the table of how soon the label follows a change, and how often it flips."""
    return markdown_table(
        (
            'landmark source',
            'rate',
            'changes',
            'median s',
            '95th percentile s',
            'never',
            'within 0.25 s of the middle',
            'flips per second, held',
        ),
        [
            (source, f'{rate} fps', *('-' if row[key] is None else row[key] for key in _IN_TIME))
            for source, whole in figures.items()
            for rate in (10, 30, 60)
            for row in (whole['response'][f'{rate}_fps'],)
        ],
    )


def blendshape_table(sets: dict[str, dict[str, Any]]) -> str:
    """Return the table of each blendshape's agreement with the teacher, a column pair per set."""
    header = ['blendshape']
    for name in sets:
        header += [f'{name}: correlation', 'MAE', "teacher's std", 'moves']
    first = next(iter(sets.values()))
    rows = []
    for blendshape in first['blendshapes']:
        row: list[Any] = [blendshape]
        for figures in sets.values():
            one = figures['blendshapes'][blendshape]
            row += [
                one['correlation'],
                one['mae'],
                one['teacher_std'],
                'yes' if one['moves'] else '',
            ]
        rows.append(row)
    return markdown_table(header, rows)


def write_text(card: Path) -> Path:
    """Write the Markdown card beside a JSON card; return its path."""
    raw = json.loads(card.read_text())
    written, about = _KINDS[raw['kind']]
    body, rows = written(raw), about(raw)
    # Long lists are for the code alone.
    settings = {
        name: value
        for name, value in raw['settings'].items()
        if not (isinstance(value, dict) or (isinstance(value, list) and len(value) > 10))
    }
    parts = {name: value for name, value in raw['settings'].items() if isinstance(value, dict)}
    general = markdown_table(
        ('', ''),
        [
            ('version', raw['version']),
            ('file', f'`{raw["file"]}`, {raw["bytes"]} bytes'),
            ('sha256', f'`{raw["sha256"]}`'),
            ('licence of the weights', raw['license']),
            ('trained on', raw['trained_on']),
            ('licence of the data', DATA_LICENCE),
            *rows,
            ('settings', f'`{json.dumps(settings)}`'),
            *((name, f'`{json.dumps(value)}`') for name, value in parts.items()),
        ],
    )
    text = card.with_suffix('.md')
    text.write_text(f'# {raw["name"]} {raw["version"]}\n\n{body[0]}\n\n{general}\n\n{body[1]}\n')
    return text


def _head_text(raw: dict[str, Any]) -> tuple[str, str]:
    sets = {name: figures for name, figures in raw['metrics'].items() if 'blendshapes' in figures}
    summary = markdown_table(
        (
            'images never trained on',
            'n',
            'blendshapes that move',
            'their mean correlation',
            'mean absolute error of all 52',
        ),
        [
            (name, f['n'], f['moving'], f['mean_correlation_moving'], f['mean_absolute_error'])
            for name, f in sets.items()
        ],
    )
    return (
        'Blendshapes from the 478 landmarks of the face mesh that `mediapipe` 0.10.21 bundles. '
        "Distilled from MediaPipe's Face Landmarker; unchanged by place, scale and head roll of "
        'the face, and exactly symmetric: the mirrored face gives the mirrored scores.',
        "Agreement with the Face Landmarker. A blendshape moves in a set where the teacher's "
        'standard deviation is over 0.05, or where more than 100 images score over 0.4. On the '
        'clips both sources tracked from frame to frame; on FER2013 each image stood alone. '
        'Known limit: asymmetric scores (jaw and mouth to one side) follow the teacher '
        f'least.\n\n{summary}\n\n{_symmetry_text(sets)}{blendshape_table(sets)}\n\n'
        'Measured by `emotion-estimator training blendshapes` (docs/training.md).',
    )


#: What the networks of the appearance network's trainings read.
_READ = ('appearance', 'joined')


def _appearance_text(raw: dict[str, Any]) -> tuple[str, str]:
    metrics = raw['metrics']
    parity_rows = [
        (runtime, one['frames'], one['agreement'], one['greatest'], one['mean'])
        for runtime, one in metrics.get('parity', {}).items()
    ]
    parts = [
        (
            name,
            one['parameters'],
            one['epoch'],
            *(
                one[f'{read}_{what}']
                for read in _READ
                for what in ('seven', 'labels', 'cross_entropy')
            ),
        )
        for name, one in metrics.get('parts', {}).items()
    ]
    longer = ' --long' if 'training long' in raw['settings'] else ''
    return (
        'The embedding of a face crop, which `emotion_lstm` reads beside the blendshapes. Residual '
        'blocks of plain convolutions; int8 weights, one scale to a channel, from which both '
        'runtimes make float ones on opening. One network serves all faces.',
        'Quantized, and held to the float network on the crops of PublicTest by the class that a '
        'layer on the embedding alone tells (that layer is not shipped):\n\n'
        + markdown_table(
            ('runtime', 'crops', 'class agrees', 'greatest difference', 'mean difference'),
            parity_rows,
        )
        + '\n\nPublicTest after the last epoch of each training, averaged weights, float; the last '
        'one ships, the larger network shows what more weights reach:\n\n'
        + markdown_table(
            (
                'training',
                'parameters',
                'epochs',
                'seven, crop alone',
                'labels',
                'cross-entropy',
                'seven, with blendshapes',
                'labels',
                'cross-entropy',
            ),
            parts,
        )
        + '\n\nWhat the whole says with it, and its limits: `emotion_lstm.md`.\n\n'
        f'Reproduced by `emotion-estimator training appearance{longer}` (docs/training.md).',
    )


def _symmetry_text(sets: dict[str, dict[str, Any]]) -> str:
    return ''.join(
        f'The teacher is not symmetric: on {name}, what it says of an image and of its mirror '
        f'image correlates with {figures["teacher_with_itself_mirrored"]} only, which no '
        'symmetric head can follow. With the mean of both, the teacher made symmetric, the head '
        f'correlates with {figures["mean_correlation_with_symmetric_teacher"]}.\n\n'
        for name, figures in sets.items()
        if 'teacher_with_itself_mirrored' in figures
    )


def _emotion_rows(raw: dict[str, Any]) -> list[tuple[str, str]]:
    settings = raw['settings']
    return [
        (
            'inputs',
            f'{len(BLENDSHAPE_NAMES)} blendshapes of MediaPipe, 0 to 1, in its order (the '
            f'JSON card lists them); the embedding of the face crop, '
            f'{settings["embedding_size"]} numbers of `appearance`; which of both are '
            "known; seconds since the face's frame before; the face's state, "
            f'{settings["state_size"]} numbers, zeros at first',
        ),
        (
            'outputs',
            f'probabilities of {", ".join(raw["labels"])}; probabilities of '
            f'{", ".join(settings["expressions"])}; the new state',
        ),
        (
            'splits',
            'learnt from Training, chosen on PublicTest, tested on PrivateTest, of which '
            'some images are training images too: see "without duplicates"',
        ),
    ]


def _emotion_text(raw: dict[str, Any]) -> tuple[str, str]:
    figures = raw['metrics']['fer2013']
    return (
        "Happy, unknown or sad, and seven expressions, from a face's blendshapes, from its crop's "
        'embedding or from both, one step per frame. The state of a face goes in and comes out, so '
        'that one file serves many faces.',
        f'Still faces of FER2013, {raw["settings"]["still_steps"]} equal frames each (coverage: '
        f'share of images in which the source finds a face):\n\n{emotion_table(figures)}\n\n'
        f'Confusion:\n\n{confusion_table(figures)}\n\n'
        'Seconds from the first movement of a change of 0.2 s, from a neutral face to another '
        'label, to the right label that stays for 0.3 s; of faces that the model tells apart as '
        'stills. Flips: changes of the label in a second while an expression is held, with the '
        'movement of tracked video, blinks and a swaying head:\n\n'
        f'{response_table(figures)}\n\n{_quantized(raw["metrics"])}{_others(raw["metrics"])}'
        '## Limits\n\n'
        "`sad` is hard to tell from neutral in blendshapes, and FER2013's own labels are noisy: "
        'people name about 65 % of them (Goodfellow et al., 2013). The stills are '
        'no sample of the people a robot meets: age, skin, disability and culture are not '
        'balanced, nor known, so that nothing is said of how figures differ between them. '
        'Sequences were made from stills: how faces really move was not learnt. Turned heads, '
        'covered mouths and small or dark faces are read worse. Expression is not feeling; this '
        'is no ground to judge a person by.\n\n'
        'Reproduced by `make train`, with `ARGS=--long` where `appearance.md` says so, and `make '
        'evaluate` (docs/training.md).',
    )


def _quantized(metrics: dict[str, Any]) -> str:
    """Return how the shipped file compares with the float network, and what a step takes."""
    if not {'quantization', 'time'} <= set(metrics):
        return ''
    parity, times = metrics['quantization'], metrics['time']
    shares = ', '.join(f'{one} of {form}' for form, one in times.get('share_of_paper', {}).items())
    paper = f" The paper's network ({times['paper']}): a step takes {shares}." if shares else ''
    failed = ''.join(f'{one}\n\n' for one in parity['not_convertible'].values())
    return (
        f'Quantized in several ways and held to the float network over {parity["frames"]} frames '
        'of PublicTest faces in motion, each file with its own memory. Shipped is, '
        f'{parity["rule"]}. '
        'Where runtimes differ the worse figure is shown:\n\n'
        f'{markdown_table(*parity_table(parity))}\n\n{failed}'
        f'Time of a step on {times["machine"]}, in turns in one process ({times["rounds"]} '
        f'rounds), {", ".join(" ".join(pair) for pair in times["runtimes"].items())}; "step" is '
        f'all that a frame costs, "invoke" the runtime\'s part.{paper}\n\n'
        f'{markdown_table(*time_table(times))}\n\n'
        + ''.join(f'{note}\n\n' for note in times['notes'])
    )


def other_metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return a card's metrics that have no table: name in words to value."""
    flat: dict[str, Any] = {}
    for name, value in metrics.items():
        if name in ('fer2013', 'quantization', 'time'):
            continue
        items = value.items() if isinstance(value, dict) else [('', value)]
        for key, one in items:
            flat[f'{name} {key}'.strip().replace('_', ' ')] = one
    return flat


def _others(metrics: dict[str, Any]) -> str:
    lines = [f'- {name}: {value}' for name, value in other_metrics(metrics).items()]
    return 'Also measured:\n\n' + '\n'.join(lines) + '\n\n' if lines else ''


_HEAD_ROWS = [
    (
        'inputs',
        '146 of the 478 landmarks, x, y and z, freed of place, scale and roll '
        '(`perception/alignment.py`)',
    ),
    ('outputs', f"{len(BLENDSHAPE_NAMES)} blendshapes in MediaPipe's order, 0 to 1"),
    ('splits', 'learnt from Training, chosen on PublicTest, tested on PrivateTest'),
]

_APPEARANCE_ROWS = [
    (
        'inputs',
        'the face, cut out upright by its landmarks, 48x48, grey, of even light '
        '(`perception/face_crop.py`): (grey - 128) / 64',
    ),
    ('outputs', 'the embedding, not negative'),
    ('splits', 'learnt from Training, watched on PublicTest; PrivateTest is not looked at'),
]

#: By kind of model, what writes the text before and after the table, and the table's own rows.
_KINDS: dict[str, tuple[Callable[..., tuple[str, str]], Callable[..., Any]]] = {
    'blendshape_head': (_head_text, lambda raw: _HEAD_ROWS),
    'appearance': (_appearance_text, lambda raw: _APPEARANCE_ROWS),
    'emotion_lstm': (_emotion_text, _emotion_rows),
}


def measure_card(
    card: Path,
    features: Mapping[str, FeatureSet],
    public_only: bool,
    stills: Stills | None = None,
    faces: int = 200,
    pairs: int = 300,
) -> dict[str, Any]:
    """Measure a classifier and write the figures into its JSON card and the Markdown beside it.

    :param features: by landmark source, the faces found.
    :param public_only: leave PrivateTest alone: for choosing, not for reporting.
    :param stills: all images, for the share in which a face is found; None leaves that out.
    :param faces: how many are held for counting flips; ``pairs`` change for timing the label.
    :returns: the card's metrics.
    :raises ModelError: card and weights do not fit together.
    """
    figures = evaluate(EmotionClassifier.load(card), stills, features, public_only, faces, pairs)
    whole = json.loads(card.read_text())
    whole['metrics'] = {
        'fer2013': figures,
        **{name: one for name, one in whole.get('metrics', {}).items() if name != 'fer2013'},
    }
    card.write_text(json.dumps(whole, indent=1) + '\n')
    write_text(card)
    metrics: dict[str, Any] = whole['metrics']
    return metrics
