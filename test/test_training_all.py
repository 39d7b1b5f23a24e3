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
        pytest.skip(f'training needs {module} (requirements/training.in)', allow_module_level=True)
import mediapipe

if not hasattr(mediapipe, 'solutions'):
    pytest.skip('this mediapipe bundles no face mesh', allow_module_level=True)

from emotion_estimator.emotion import LABELS
from emotion_estimator.model_card import ModelCard
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.training.dataset import PUBLIC_TEST, TO_LABEL
from emotion_estimator.training.feature_set import load_features

FAR_ABOVE_CHANCE = 0.2


def command(*arguments: object) -> list[str]:
    return [sys.executable, '-m', 'emotion_estimator.cli.main', 'training', *map(str, arguments)]


def quick(folder: Path, name: str, *more: object) -> list[str]:
    return command('all', '--quick', '--run', folder / name, '--cache', folder / 'cache',
                   '--processes', 2, *more)


def finished(arguments: list[str]) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    return done.stdout


def read(path: Path) -> dict:
    return json.loads(path.read_text())


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """Return a folder with a whole run, ``one``, that was interrupted and continued."""
    folder = tmp_path_factory.mktemp('training')
    whole = quick(folder, 'one', '--models', folder / 'shipped')
    with subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        for line in run.stdout:
            if 'fit streaming' in line:
                run.send_signal(signal.SIGINT)
                break
        _, said = run.communicate()
    assert run.returncode == 130, said[-4000:]
    assert said.splitlines()[-1] == 'emotion-estimator: interrupted; the same command continues'
    assert 'Traceback' not in said
    shown = finished(whole)
    assert '9/12 fit paper-relevant: done before, in ' in shown
    assert '10/12 fit streaming (says' in shown
    return folder


@pytest.fixture(scope='module')
def faces(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return blendshapes and labels of PublicTest."""
    features = load_features(folder / 'one' / 'features' / 'face_mesh.npz')
    held = features.where(features.usage == PUBLIC_TEST)
    return held.blendshapes, TO_LABEL[held.emotion]


def accuracy(card: Path, faces: tuple[np.ndarray, np.ndarray]) -> float:
    classifier, (blendshapes, labels) = EmotionClassifier.load(card), faces
    said = np.array([classifier.classify_still(row).argmax() for row in blendshapes])
    return float((said == labels).mean())


def test_every_stage_leaves_what_it_should(folder: Path) -> None:
    run = folder / 'one'
    times = read(run / 'tables' / 'times.json')
    assert list(times['stages']) == [
        'data', 'head', 'clean', 'features', 'relevant', 'sequences', 'fit dense', 'fit paper',
        'fit paper-relevant', 'fit streaming', 'quantize', 'evaluate',
    ]
    assert all(one['done'] and (run / 'log' / f'{name.replace(" ", "-")}.txt').is_file()
               for name, one in times['stages'].items())
    assert times['seconds'] == pytest.approx(
        sum(one['seconds'] for one in times['stages'].values()), abs=0.1
    )
    for model in ('dense', 'paper', 'paper-relevant', 'streaming'):
        assert read(run / 'tables' / f'{model}.json')['public_test']
    for kind in ('blendshape_head', 'emotion_lstm'):
        made = ModelCard.load(run / 'models' / f'{kind}.json', kind)
        assert ModelCard.load(folder / 'shipped' / f'{kind}.json', kind).sha256 == made.sha256
        assert (folder / 'shipped' / f'{kind}.md').is_file()
    assert (run / 'report' / 'index.html').stat().st_size > 50_000


def test_the_model_tells_the_made_faces_apart(folder: Path, faces) -> None:
    majority = np.bincount(faces[1]).max() / len(faces[1])
    assert accuracy(folder / 'shipped' / 'emotion_lstm.json', faces) > majority + FAR_ABOVE_CHANCE


def test_the_report_says_what_the_file_says(folder: Path, faces) -> None:
    report = read(folder / 'one' / 'report' / 'report.json')
    figures = report['stills']['streaming']['face_mesh']['public_test']
    assert figures['n'] == len(faces[1])
    assert figures['accuracy'] == pytest.approx(
        accuracy(folder / 'one' / 'models' / 'emotion_lstm.json', faces), abs=1e-4
    )
    assert {'paper', 'paper-relevant', 'dense', 'streaming'} <= set(report['stills'])
    assert report['grouping']['labels'] == list(LABELS)


def test_a_second_run_with_the_same_seed_ends_as_the_first(folder: Path) -> None:
    # By itself, in a process that has fitted nothing else before.
    shutil.copytree(folder / 'one' / 'features', folder / 'two' / 'features')
    first = read(folder / 'one' / 'tables' / 'streaming.json')
    settings = first['settings']['training']
    finished(command('fit', 'streaming', '--run', folder / 'two', '--seed', settings['seed'],
                     '--epochs', settings['epochs'], '--steps', settings['steps']))
    second = read(folder / 'two' / 'tables' / 'streaming.json')
    for key in ('accuracy', 'macro_f1', 'cross_entropy', 'ece'):
        assert second['public_test']['face_mesh'][key] == pytest.approx(
            first['public_test']['face_mesh'][key], abs=0.005
        ), key


def test_called_again_nothing_is_left_to_do(folder: Path) -> None:
    shown = finished(quick(folder, 'one', '--models', folder / 'shipped'))
    assert shown.count(': done before, in ') == 12
