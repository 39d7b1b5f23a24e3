"""From raw images to models and a report, on a small made set."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras', 'jinja2', 'matplotlib'):
    if find_spec(module) is None:
        pytest.skip(f'training needs {module} (pip install ./training)', allow_module_level=True)
import mediapipe

if not hasattr(mediapipe, 'solutions'):
    pytest.skip('this mediapipe bundles no face mesh', allow_module_level=True)

from emotion_estimator.emotion import LABELS
from emotion_estimator.model_card import ModelCard
from emotion_estimator.perception.appearance import AppearanceNetwork
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator_training.data.stills import PUBLIC_TEST, TO_LABEL
from emotion_estimator_training.features.feature_set import FeatureSet, load_features
from emotion_estimator_training.shipping.model_folder import MODELS

FAR_ABOVE_CHANCE = 0.2


def command(*arguments: object) -> list[str]:
    return [sys.executable, '-m', 'emotion_estimator.cli.main', 'training', *map(str, arguments)]


def quick(folder: Path, name: str, *more: object) -> list[str]:
    return command(
        'all',
        '--quick',
        '--run',
        folder / name,
        '--cache',
        folder / 'cache',
        '--processes',
        2,
        *more,
    )


def finished(arguments: list[str]) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return done.stdout


def read(path: Path) -> dict:
    return json.loads(path.read_text())


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """Return a folder with a complete run, ``one``, that was interrupted and continued."""
    folder = tmp_path_factory.mktemp('training')
    arguments = quick(folder, 'one', '--models', folder / 'shipped')
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        for line in run.stdout:
            if 'fit streaming' in line:
                run.send_signal(signal.SIGINT)
                break
        _, said = run.communicate()
    assert run.returncode == 130, said[-4000:]
    assert (
        said.splitlines()[-1]
        == 'emotion-estimator: interrupted; run the same command again to continue'
    )
    assert 'Traceback' not in said
    shown = finished(arguments)
    assert '12/15 fit paper-relevant: already done, in ' in shown
    assert '13/15 fit streaming (log' in shown
    return folder


@pytest.fixture(scope='module')
def faces(folder: Path) -> FeatureSet:
    """Return the faces of PublicTest."""
    features = load_features(folder / 'one' / 'features' / 'face_mesh.npz')
    return features.where(features.usage == PUBLIC_TEST)


def accuracy(models: Path, faces: FeatureSet, branch: str = 'fused') -> float:
    """Say how many faces the models of a folder call rightly, one by one as a robot asks."""
    network = AppearanceNetwork.load(models / 'appearance.json')
    classifier = EmotionClassifier.load(models / 'emotion_lstm.json')
    said = np.array(
        [
            classifier.classify_still(
                None if branch == 'appearance' else blendshapes,
                None if branch == 'blendshapes' else network(crop),
            ).argmax()
            for blendshapes, crop in zip(faces.blendshapes, faces.crops)
        ]
    )
    return float((said == TO_LABEL[faces.emotion]).mean())


def test_every_stage_leaves_what_it_should(folder: Path) -> None:
    run = folder / 'one'
    times = read(run / 'tables' / 'times.json')
    assert list(times['stages']) == [
        'data',
        'head',
        'clean',
        'features',
        'covered',
        'people',
        'appearance',
        'relevant',
        'sequences',
        'fit dense',
        'fit paper',
        'fit paper-relevant',
        'fit streaming',
        'quantize',
        'evaluate',
    ]
    assert all(
        one['done'] and (run / 'log' / f'{name.replace(" ", "-")}.txt').is_file()
        for name, one in times['stages'].items()
    )
    assert times['seconds'] == pytest.approx(
        sum(one['seconds'] for one in times['stages'].values()), abs=0.1
    )
    for model in ('dense', 'paper', 'paper-relevant', 'streaming'):
        assert read(run / 'tables' / f'{model}.json')['public_test']
    for kind in MODELS:
        made = ModelCard.load(run / 'models' / f'{kind}.json', kind)
        assert ModelCard.load(folder / 'shipped' / f'{kind}.json', kind).sha256 == made.sha256
        assert (folder / 'shipped' / f'{kind}.md').is_file()
    assert (run / 'report' / 'index.html').stat().st_size > 50_000


# Of so few faces in so few batches the appearance network by itself learns nothing.
@pytest.mark.parametrize('branch', ['fused', 'blendshapes'])
def test_the_models_tell_the_made_faces_apart(folder: Path, faces, branch: str) -> None:
    labels = TO_LABEL[faces.emotion]
    majority = np.bincount(labels).max() / len(labels)
    assert accuracy(folder / 'shipped', faces, branch) > majority + FAR_ABOVE_CHANCE


def test_the_report_says_what_the_files_say(folder: Path, faces) -> None:
    report = read(folder / 'one' / 'report' / 'report.json')
    metrics = report['stills']['streaming']['face_mesh']['public_test']
    assert metrics['n'] == len(faces)
    assert metrics['accuracy'] == pytest.approx(
        accuracy(folder / 'one' / 'models', faces), abs=1e-4
    )
    assert {'paper', 'paper-relevant', 'dense', 'streaming'} <= set(report['stills'])
    assert report['grouping']['labels'] == list(LABELS)


def test_a_second_run_with_the_same_seed_ends_as_the_first(folder: Path) -> None:
    # By itself, in a process that has fitted nothing else before.
    for part in ('features', 'covered', 'models'):
        shutil.copytree(folder / 'one' / part, folder / 'two' / part)
    first = read(folder / 'one' / 'tables' / 'streaming.json')
    settings = first['settings']['training']
    finished(
        command(
            'fit',
            'streaming',
            '--run',
            folder / 'two',
            '--data',
            folder / 'one' / f'made-{settings["seed"]}' / 'fer2013.npz',
            '--seed',
            settings['seed'],
            '--epochs',
            settings['epochs'],
            '--steps',
            settings['steps'],
        )
    )
    second = read(folder / 'two' / 'tables' / 'streaming.json')
    for vocabulary, branch in (('three', 'fused'), ('seven', 'fused'), ('three', 'blendshapes')):
        wanted, found = (
            table['public_test'][vocabulary]['face_mesh'][branch] for table in (first, second)
        )
        for key in ('accuracy', 'macro_f1', 'cross_entropy', 'ece'):
            assert found[key] == pytest.approx(wanted[key], abs=0.005), (vocabulary, branch, key)


def test_called_again_nothing_is_left_to_do(folder: Path) -> None:
    shown = finished(quick(folder, 'one', '--models', folder / 'shipped'))
    assert shown.count(': already done, in ') == 15
