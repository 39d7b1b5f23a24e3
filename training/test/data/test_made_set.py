"""The set made from the portrait, and the verbs on it, from images to relevant blendshapes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from emotion_estimator.cli.evaluate import read_blendshape_table
from emotion_estimator.errors import InputError
from emotion_estimator_training.cli.training import data as verbs
from emotion_estimator_training.cli.training import training
from emotion_estimator_training.data import made_set
from emotion_estimator_training.data.stills import Stills, load_stills
from emotion_estimator_training.features.feature_set import load_features


@pytest.fixture(scope='module')
def made() -> Stills:
    return made_set.make(faces=60, seed=5)


def test_it_holds_every_class_in_every_split_and_images_without_a_face(made: Stills) -> None:
    assert made.pixels.shape == (63, 48, 48)
    for usage, least in ((0, 7), (1, 6), (2, 6)):
        assert len(set(made.emotion[made.usage == usage])) >= least
    flat = np.abs(np.diff(made.pixels.astype(int), axis=1)).mean(axis=(1, 2)) < 1
    assert flat.any(), 'greys and slopes'
    assert not made.duplicate.any()
    assert len(np.unique(made.pixels, axis=0)) >= 62, 'no two faces are the same'


def test_the_seed_decides_everything(made: Stills) -> None:
    again = made_set.make(faces=60, seed=5)
    np.testing.assert_array_equal(made.pixels, again.pixels)
    np.testing.assert_array_equal(made.emotion, again.emotion)
    assert (made.pixels != made_set.make(faces=60, seed=6).pixels).any()


@pytest.mark.parametrize('form', made_set.FORMS)
def test_every_form_is_read_back(tmp_path, made: Stills, form: str) -> None:
    got = load_stills(made_set.write(made, tmp_path / 'set', form))
    assert len(got) == len(made)
    assert np.bincount(got.emotion).tolist() == np.bincount(made.emotion).tolist()
    assert {p.tobytes() for p in got.pixels} == {p.tobytes() for p in made.pixels}


def test_a_folder_that_cannot_be_is_named(tmp_path, made: Stills) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='cannot be written'):
        made_set.write(made, tmp_path / 'file' / 'set')


def _run(*arguments: object) -> str:
    result = CliRunner().invoke(training, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_verbs_go_from_images_to_relevant_blendshapes(tmp_path: Path) -> None:
    mediapipe = pytest.importorskip('mediapipe')
    if not hasattr(mediapipe, 'solutions'):
        pytest.skip('this mediapipe bundles no face mesh')
    run = tmp_path / 'run'
    place = _run('make-set', '--out', tmp_path / 'set', '--faces', 60).splitlines()[0]
    counts = json.loads(_run('data', '--data', place, '--run', run, '--json'))
    assert counts['images'] == 63
    assert counts == json.loads((run / 'tables' / 'counts.json').read_text())
    assert 'Table 2' in _run('data', '--data', place, '--run', run)

    shared = ('--data', place, '--cache', tmp_path / 'cache', '--run', run, '--processes', 1)
    seen = json.loads(_run('clean', *shared, '--json'))
    missed = [
        i
        for name in seen['sources']['face_mesh'].values()
        for c in name.values()
        for i in c['image_ids']
    ]
    assert 3 <= len(missed) <= 6, 'the three without a face, and hardly another'
    with (run / 'tables' / 'undetected.csv').open() as file:
        assert sorted(int(row['image_id']) for row in csv.DictReader(file)) == sorted(missed)
    before = (run / 'tables' / 'undetected.json').read_bytes()
    as_they_are = json.loads(_run('clean', *shared, '--enlarge', 1, '--json'))
    written = json.loads((run / 'tables' / 'undetected-enlarge-1.json').read_text())
    assert written == as_they_are
    assert written['enlarge'] == 1
    assert (run / 'tables' / 'undetected.json').read_bytes() == before, 'that of the other is kept'

    _run('features', *shared, '--augment', 1)
    table = load_features(run / 'features' / 'face_mesh.npz')
    assert (~table.augmented).sum() == 63 - len(missed)
    assert not set(table.image_id) & set(missed)
    small = ('--cache', tmp_path / 'cache', '--run', tmp_path / 'small', '--processes', 1)
    _run('features', '--data', place, *small, '--enlarge', 1, '--augment', 0)
    found = load_features(tmp_path / 'small' / 'features' / 'face_mesh.npz')
    both = np.intersect1d(found.image_id, table.image_id)
    scores = [
        one.blendshapes[~one.augmented & np.isin(one.image_id, both)] for one in (found, table)
    ]
    assert np.abs(scores[0] - scores[1]).max() > 0.05, 'the stills were enlarged all the same'
    scores, labels = read_blendshape_table(run / 'features' / 'face_mesh-training.csv')
    smile = scores[:, 44]
    assert smile[labels == 0].mean() > 0.5 > 0.2 > smile[labels == 2].mean()

    _run('relevant', '--run', run, '--least', 5)
    tables = json.loads((run / 'tables' / 'relevant.json').read_text())
    assert 'mouthSmileLeft' in tables['face_mesh']['relevant']
    assert sorted(p.name for p in (run / 'figures').iterdir()) == [
        'augmented.png',
        'relevant.png',
        'undetected-enlarge-1.png',
        'undetected.png',
    ]


@pytest.mark.parametrize('given', [(), ('--enlarge', '1')])
def test_clean_looks_at_stills_as_large_as_asked(tmp_path, monkeypatch, made, given) -> None:
    asked = []

    def stop(stills, places, processes):
        asked.append(places.enlarge)
        raise InputError('enough')

    monkeypatch.setattr(verbs, 'seen_by_both', stop)
    place = made_set.write(made, tmp_path / 'set', 'npz')
    CliRunner().invoke(training, ['clean', '--data', str(place), *given])
    assert asked == [1.0 if given else 4.0]


def test_relevant_says_what_must_come_first(tmp_path) -> None:
    with pytest.raises(InputError, match='holds no features; "emotion-estimator training features'):
        _run('relevant', '--run', tmp_path)


def test_a_scheduler_is_for_dask(tmp_path) -> None:
    result = CliRunner().invoke(
        training, ['features', '--data', str(tmp_path), '--scheduler', 'tcp://127.0.0.1:1']
    )
    assert result.exit_code == 2
    assert '--engine dask' in result.output
