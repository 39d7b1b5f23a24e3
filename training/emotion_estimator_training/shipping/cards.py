"""Model cards: the JSON beside a model's weights, and Markdown for people made from it.

Model cards: Mitchell et al. 2019.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import LABELS, NEUTRAL, SAD
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator_training.data.stills import Stills
from emotion_estimator_training.evaluation.evaluate import evaluate
from emotion_estimator_training.features.feature_set import FeatureSet
from emotion_estimator_training.shipping.identity import LOCAL, ModelIdentity, data_licence
from emotion_estimator_training.shipping.parity import parity_table
from emotion_estimator_training.shipping.pins import pin
from emotion_estimator_training.shipping.step_time import time_table
from emotion_estimator_training.tables import markdown_table

SPLITS = ('public_test', 'private_test', 'private_test_without_duplicates')
_RESPONSE = ('changes', 'median_s', 'p95_s', 'never', 'within_0.25_s_of_the_middle', 'flips_per_s')
#: The entries that a card begins with.
_FIRST = (
    'name',
    'version',
    'kind',
    'labels',
    'license',
    'trained_on',
    'data_licence',
    'released',
)


def write_model(
    content: bytes, card: dict[str, Any], folder: Path, identity: ModelIdentity = LOCAL
) -> Path:
    """Write ``<kind>.tflite`` and its JSON card into ``folder``; return the card's path.

    A release into the ``models/`` of a checkout also writes its checksum into the robot's code.

    :param card: ``kind``, ``trained_on`` (what the code knows of the data), ``settings``,
        ``metrics`` and, for a classifier, ``labels``.
    :param identity: whose the model is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / f'{card["kind"]}.tflite'
    weights.write_bytes(content)
    path = weights.with_suffix('.json')
    sha256 = hashlib.sha256(content).hexdigest()
    entries = {**card, **identity.describe(card['kind'], sha256, card['trained_on'])}
    complete = {
        **{name: entries[name] for name in _FIRST if name in entries},
        **entries,
        'file': weights.name,
        'bytes': len(content),
        'sha256': sha256,
        'blendshapes': list(BLENDSHAPE_NAMES),
    }
    path.write_text(json.dumps(complete, indent=1) + '\n')
    if identity.release:
        pin(folder)
    return path


def measure_card(
    card: Path,
    features: Mapping[str, FeatureSet],
    public_only: bool,
    stills: Stills | None = None,
    faces: int = 200,
    pairs: int = 300,
    seen_by_most: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Measure a classifier; write the metrics into its JSON card and the Markdown beside it.

    :param features: the faces found, by landmark source.
    :param public_only: leave PrivateTest out: for choosing models, not for reporting.
    :param stills: all images, to measure in how many a face is found; None leaves that out.
    :param faces: how many steady faces flips are counted on.
    :param pairs: how many changes of expression are timed.
    :param seen_by_most: further metrics: ``most_people`` and ``by_labels``, of the functions of
        these names in :mod:`~.evaluation.most_people`; None adds none.
    :returns: the card's metrics.
    :raises ModelError: card and weights do not match.
    """
    measured = evaluate(EmotionClassifier.load(card), stills, features, public_only, faces, pairs)
    raw = json.loads(card.read_text())
    metrics: dict[str, Any] = {
        **(seen_by_most or {}),
        'fer2013': measured,
        **{
            name: one
            for name, one in raw.get('metrics', {}).items()
            if name not in ('fer2013', *(seen_by_most or ()))
        },
    }
    card.write_text(json.dumps({**raw, 'metrics': metrics}, indent=1) + '\n')
    write_markdown(card)
    return metrics


def write_markdown(card: Path) -> Path:
    """Write the Markdown card beside a JSON card; return its path."""
    raw = json.loads(card.read_text())
    body, kind_rows = _KINDS[raw['kind']]
    before, after = body(raw)
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
            *([('released', raw['released'])] if 'released' in raw else []),
            ('file', f'`{raw["file"]}`, {raw["bytes"]} bytes'),
            ('sha256', f'`{raw["sha256"]}`'),
            ('licence of the weights', raw['license']),
            ('trained on', raw['trained_on']),
            ('licence of the data', data_licence(raw)),
            *kind_rows(raw),
            ('settings', f'`{json.dumps(settings)}`'),
            *((name, f'`{json.dumps(value)}`') for name, value in parts.items()),
        ],
    )
    text = card.with_suffix('.md')
    text.write_text(f'# {raw["name"]} {raw["version"]}\n\n{before}\n\n{general}\n\n{after}\n')
    return text


def other_metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """Return a card's metrics that have no table of their own: name in words to value."""
    flat: dict[str, Any] = {}
    for name, value in metrics.items():
        if name in ('most_people', 'by_labels', 'fer2013', 'quantization', 'time'):
            continue
        items = value.items() if isinstance(value, dict) else [('', value)]
        for key, one in items:
            flat[f'{name} {key}'.strip().replace('_', ' ')] = one
    return flat


# Blendshape head


def blendshape_table(sets: dict[str, dict[str, Any]]) -> str:
    """Return a Markdown table of each blendshape's agreement with the teacher.

    :param sets: metrics by set of images, each of which gets a group of columns.
    """
    header = ['blendshape']
    for name in sets:
        header += [f'{name}: correlation', 'MAE', "teacher's std", 'moves']
    first = next(iter(sets.values()))
    rows = []
    for blendshape in first['blendshapes']:
        row: list[Any] = [blendshape]
        for metrics in sets.values():
            one = metrics['blendshapes'][blendshape]
            row += [
                one['correlation'],
                one['mae'],
                one['teacher_std'],
                'yes' if one['moves'] else '',
            ]
        rows.append(row)
    return markdown_table(header, rows)


def _head_body(raw: dict[str, Any]) -> tuple[str, str]:
    sets = {name: metrics for name, metrics in raw['metrics'].items() if 'blendshapes' in metrics}
    summary = markdown_table(
        (
            'images not trained on',
            'n',
            'blendshapes that move',
            'their mean correlation',
            'mean absolute error of all 52',
        ),
        [
            (
                name,
                one['n'],
                one['moving'],
                one['mean_correlation_moving'],
                one['mean_absolute_error'],
            )
            for name, one in sets.items()
        ],
    )
    return (
        'Blendshapes from the 478 landmarks of the face mesh that `mediapipe` 0.10.21 bundles. '
        "Distilled from MediaPipe's Face Landmarker; invariant to position, scale and roll of the "
        'face, and exactly symmetric: the mirrored face gives the mirrored scores.',
        "Agreement with the Face Landmarker. A blendshape moves in a set if the teacher's "
        'standard deviation is over 0.05 or more than 100 images score over 0.4. Both sources '
        'tracked the clips from frame to frame; FER2013 images were read one by one. '
        'Known limit: asymmetric scores (jaw and mouth to one side) agree least with the '
        f'teacher.\n\n{summary}\n\n{_symmetry_text(sets)}{blendshape_table(sets)}\n\n'
        'Measured by `emotion-estimator training blendshapes` (docs/training.md).',
    )


def _symmetry_text(sets: dict[str, dict[str, Any]]) -> str:
    return ''.join(
        f"The teacher is not symmetric: on {name}, its scores of an image and of the image's "
        f'mirror image correlate with only {metrics["teacher_with_itself_mirrored"]}, which no '
        'symmetric head can follow. With the mean of both, a symmetric teacher, the head '
        f'correlates with {metrics["mean_correlation_with_symmetric_teacher"]}.\n\n'
        for name, metrics in sets.items()
        if 'teacher_with_itself_mirrored' in metrics
    )


def _head_rows(raw: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (
            'inputs',
            '146 of the 478 landmarks, x, y and z, without position, scale and roll '
            '(`perception/face_crop.py`)',
        ),
        ('outputs', f"{len(BLENDSHAPE_NAMES)} blendshapes in MediaPipe's order, 0 to 1"),
        ('splits', 'trained on Training, chosen on PublicTest, tested on PrivateTest'),
    ]


# Appearance network

#: What is read to predict classes: the crop alone, and the crop with blendshapes.
_READ = ('appearance', 'joined')


def _appearance_body(raw: dict[str, Any]) -> tuple[str, str]:
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
    ways = {'long': ' --long', 'continued': ' --continue-released'}
    longer = next((way for one, way in ways.items() if f'training {one}' in raw['settings']), '')
    return (
        'The embedding of a face crop, which `emotion_lstm` reads together with the blendshapes. '
        'Residual blocks of plain convolutions; int8 weights with a scale per channel, which both '
        'runtimes turn into float weights on opening. One network serves all faces.',
        'The quantized network compared with the float network on the crops of PublicTest, by the '
        'class that a layer on the embedding alone predicts (that layer is not shipped):\n\n'
        + markdown_table(
            ('runtime', 'crops', 'same class', 'greatest difference', 'mean difference'),
            parity_rows,
        )
        + '\n\nPublicTest after the last epoch of each training, averaged weights, float. The last '
        'one ships; the larger network shows what more weights achieve:\n\n'
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
        + '\n\nWhat the complete classifier achieves with it, and its limits: '
        '`emotion_lstm.md`.\n\n'
        f'Reproduced by `emotion-estimator training appearance{longer}` (docs/training.md).',
    )


def _appearance_rows(raw: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (
            'inputs',
            'the face, cut out upright by its landmarks, 48x48, grey, evenly lit '
            '(`perception/face_crop.py`): (grey - 128) / 64',
        ),
        ('outputs', 'the embedding, not negative'),
        ('splits', 'trained on Training, monitored on PublicTest; PrivateTest is not used'),
    ]


# Classifier


def emotion_table(sources: dict[str, Any]) -> str:
    """Return a Markdown table of a classifier's metrics on still faces.

    :param sources: what :func:`~.evaluation.evaluate.evaluate` returned.
    """
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
                metrics['n'],
                metrics.get('coverage', '-'),
                metrics['cross_entropy'],
                metrics['accuracy'],
                metrics['macro_f1'],
                *(metrics['precision'][label] for label in LABELS),
                *(metrics['recall'][label] for label in LABELS),
                metrics['ece'],
            )
            for source, splits in sources.items()
            for split, metrics in splits.items()
            if split in SPLITS
        ],
    )


def most_people_table(sources: dict[str, Any]) -> str:
    """Return a Markdown table of a classifier's metrics where the truth is what most people see.

    :param sources: what :func:`~.evaluation.most_people.most_people` returned.
    """
    return markdown_table(
        (
            'landmark source',
            'faces',
            'n',
            'accuracy',
            'macro-F1',
            'precision sad',
            'recall sad',
            'neutral called sad',
            'neutral called happy',
            'ECE',
            'accuracy, seven',
            'recall neutral, seven',
        ),
        [
            (
                source,
                name.replace('_', ' '),
                one['three']['n'],
                one['three']['accuracy'],
                one['three']['macro_f1'],
                one['three']['precision'][SAD],
                one['three']['recall'][SAD],
                one['neutral_called'].get(SAD, '-'),
                one['neutral_called'].get('happy', '-'),
                one['three']['ece'],
                one['seven']['accuracy'],
                one['seven']['recall'][NEUTRAL],
            )
            for source, sets in sources.items()
            for name, one in sets.items()
        ],
    )


def by_labels_table(sources: dict[str, Any]) -> str:
    """Return a Markdown table of a classifier's metrics by FER2013's labels.

    :param sources: what :func:`~.evaluation.most_people.by_labels` returned.
    """
    return markdown_table(
        (
            'landmark source',
            'sad_threshold',
            'happy_threshold',
            'split',
            'n',
            'accuracy',
            'macro-F1',
            *(f'recall {label}' for label in LABELS),
        ),
        [
            (
                source,
                one['sad_threshold'],
                one['happy_threshold'],
                split,
                one[split]['n'],
                one[split]['accuracy'],
                one[split]['macro_f1'],
                *(one[split]['recall'][label] for label in LABELS),
            )
            for source, one in sources.items()
            for split in SPLITS
            if split in one
        ],
    )


def _most_people(metrics: dict[str, Any]) -> str:
    if 'most_people' not in metrics:
        return ''
    return (
        "Where the truth is what most people see: more than five of FER+'s ten annotators, and "
        f'the labels of photographs:\n\n{most_people_table(metrics["most_people"])}\n\n'
        "FER2013's own labels, with the parameters `sad_threshold` and `happy_threshold` that are "
        f'best on PublicTest:\n\n{by_labels_table(metrics["by_labels"])}\n\n'
    )


def confusion_table(sources: dict[str, Any]) -> str:
    """Return a Markdown table of each source's confusion matrix on its last split."""
    rows = []
    for source, splits in sources.items():
        split = 'private_test' if 'private_test' in splits else 'public_test'
        rows += [
            (source, split, label, *row)
            for label, row in zip(LABELS, splits[split]['confusion_matrix'])
        ]
    predicted = (f'predicted {label}' for label in LABELS)
    return markdown_table(('landmark source', 'split', 'true label', *predicted), rows)


def response_table(sources: dict[str, Any]) -> str:
    """Return a Markdown table of how soon the label follows a change and how often it flips."""
    return markdown_table(
        (
            'landmark source',
            'rate',
            'changes',
            'median s',
            '95th percentile s',
            'never',
            'within 0.25 s of the middle',
            'flips per second, steady',
        ),
        [
            (source, f'{rate} fps', *('-' if row[key] is None else row[key] for key in _RESPONSE))
            for source, splits in sources.items()
            for rate in (10, 30, 60)
            for row in (splits['response'][f'{rate}_fps'],)
        ],
    )


def _emotion_body(raw: dict[str, Any]) -> tuple[str, str]:
    metrics = raw['metrics']['fer2013']
    return (
        "Happy, unknown or sad, and seven expressions, from a face's blendshapes, from its crop's "
        'embedding or from both, one step per frame. The state of a face is an input and an '
        'output, so that one file serves many faces.',
        f'{_most_people(raw["metrics"])}'
        f"Still faces by FER2013's own labels, {raw['settings']['still_steps']} equal frames each, "
        'at the operating point of the robot (coverage: '
        f'share of images in which the source finds a face):\n\n{emotion_table(metrics)}\n\n'
        f'Confusion matrices:\n\n{confusion_table(metrics)}\n\n'
        'Seconds from the first movement of a change from a neutral face to another label, which '
        'takes 0.2 s, until the right label holds for 0.3 s; of faces that the model recognizes as '
        'stills. Flips: changes of the label per second while the expression is steady, with the '
        'movement of tracked video, blinks and a swaying head:\n\n'
        f'{response_table(metrics)}\n\n{_quantized(raw["metrics"])}{_others(raw["metrics"])}'
        '## Limits\n\n'
        "`sad` is hard to distinguish from neutral by blendshapes, and FER2013's own labels are "
        'noisy: people agree with about 65 % of them (Goodfellow et al., 2013). The stills do not '
        'represent the people a robot meets: age, skin colour, disability and culture are neither '
        'balanced nor known, so nothing is stated about how the metrics differ between them. '
        'Sequences were made from stills: real facial movement was not learned. Turned heads, '
        'covered mouths and small or dark faces are recognized less well. An expression is not a '
        'feeling, and no basis for judging a person.\n\n'
        'Reproduced by `make train`, with `ARGS=--long` if `appearance.md` says so, and `make '
        'evaluate` (docs/training.md).',
    )


def _emotion_rows(raw: dict[str, Any]) -> list[tuple[str, str]]:
    settings = raw['settings']
    return [
        (
            'inputs',
            f'{len(BLENDSHAPE_NAMES)} blendshapes of MediaPipe, 0 to 1, in its order (listed in '
            f"the JSON card); the face crop's embedding, {settings['embedding_size']} numbers of "
            "`appearance`; which of the two are known; seconds since the face's previous frame; "
            f"the face's state, {settings['state_size']} numbers, zeros at first",
        ),
        (
            'outputs',
            f'probabilities of {", ".join(raw["labels"])}; probabilities of '
            f'{", ".join(settings["expressions"])}; the new state',
        ),
        (
            'splits',
            'trained on Training, chosen on PublicTest, tested on PrivateTest, some images of '
            'which are training images too: see "without duplicates"',
        ),
    ]


def _quantized(metrics: dict[str, Any]) -> str:
    """Return how the shipped file compares with the float network, and how long a step takes."""
    if not {'quantization', 'time'} <= set(metrics):
        return ''
    parity, times = metrics['quantization'], metrics['time']
    shares = ', '.join(f'{one} of {form}' for form, one in times.get('share_of_paper', {}).items())
    paper = f" The paper's network ({times['paper']}): a step takes {shares}." if shares else ''
    failed = ''.join(f'{one}\n\n' for one in parity['not_convertible'].values())
    return (
        f'Quantized in several ways and compared with the float network over {parity["frames"]} '
        'frames of moving PublicTest faces, each file with its own state. Shipped is, '
        f'{parity["rule"]}. '
        'Where runtimes differ, the worse value is shown:\n\n'
        f'{markdown_table(*parity_table(parity))}\n\n{failed}'
        f'Time of a step on {times["machine"]}, networks in turns in one process '
        f'({times["rounds"]} rounds), '
        f'{", ".join(" ".join(pair) for pair in times["runtimes"].items())}; "step" is the full '
        f'cost of a frame, "invoke" the runtime\'s part.{paper}\n\n'
        f'{markdown_table(*time_table(times))}\n\n'
        + ''.join(f'{note}\n\n' for note in times['notes'])
    )


def _others(metrics: dict[str, Any]) -> str:
    lines = [f'- {name}: {value}' for name, value in other_metrics(metrics).items()]
    return 'Also measured:\n\n' + '\n'.join(lines) + '\n\n' if lines else ''


#: For each kind of model, the text before and after the table, and the table's own rows.
_KINDS: dict[
    str,
    tuple[
        Callable[[dict[str, Any]], tuple[str, str]],
        Callable[[dict[str, Any]], list[tuple[str, str]]],
    ],
] = {
    'blendshape_head': (_head_body, _head_rows),
    'appearance': (_appearance_body, _appearance_rows),
    'emotion_lstm': (_emotion_body, _emotion_rows),
}
