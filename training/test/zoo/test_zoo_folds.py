"""Cross-validation: a run for each fold, gathered in one table, resumed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

for module in ('tensorflow', 'tf_keras', 'sklearn'):
    pytest.importorskip(module, reason=f'training needs {module} (pip install ./training)')

from click.testing import CliRunner
from zoo_models import tiny_catalog
from zoo_tracks import CLASSES, made_track, made_tracks

from emotion_estimator.errors import InputError
from emotion_estimator_training.cli.zoo.models import run as run_verb
from emotion_estimator_training.zoo import cross_validation
from emotion_estimator_training.zoo import run as run_module
from emotion_estimator_training.zoo.cross_validation import (
    FOLDS_PAGE,
    FOLDS_TABLE,
    cross_validate,
    folds_table,
    gather,
)
from emotion_estimator_training.zoo.data import video_set
from emotion_estimator_training.zoo.data.splits import folds
from emotion_estimator_training.zoo.data.video_set import SetChoice, VideoSet, open_folds
from emotion_estimator_training.zoo.run import RunSettings

SETTINGS = RunSettings(hop=5, covered=False, timed=False, progress=False)


def videos(count: int = 3) -> list[VideoSet]:
    tracks = {track.clip: track for track in made_tracks(count, 10)}
    return [
        VideoSet(
            CLASSES,
            {part: tuple(tracks[clip] for clip in clips) for part, clips in fold.items()},
            10.0,
            ['2 clips are not there'],
            ['test has no clip of fear'],
        )
        for fold in folds(list(tracks), count)
    ]


def result(matrix, **others):
    """Return what a run says of a model, with this confusion matrix."""
    matrix = np.array(matrix)
    accuracy = float(np.trace(matrix) / matrix.sum())
    return {
        'model': 'frame',
        'description': 'tiny',
        'kind': 'frame',
        'parameters': 7,
        'accuracy': accuracy,
        'macro_f1': accuracy,
        'validation_macro_f1': 0.5,
        'clip_accuracy': accuracy,
        'flips_per_second': 0.5,
        'covered_accuracy': None,
        'confusion_matrix': matrix.tolist(),
        'by_clip': [[f's{n}', accuracy] for n in range(int(matrix.sum()))],
        **others,
    }


def test_folds_are_gathered_by_hand():
    # Of 4 queries 3 are right, of 2 one.
    runs = [[result([[2, 0], [1, 1]])], [result([[0, 1], [0, 1]])]]
    [one] = gather(runs, CLASSES)
    assert one['folds'] == 2 and one['failed'] == {}
    accuracy = one['metrics']['accuracy']
    assert accuracy['values'] == [0.75, 0.5]
    assert accuracy['mean'] == 0.625
    assert accuracy['deviation'] == pytest.approx(np.std([0.75, 0.5], ddof=1), abs=1e-4)
    assert 'covered_accuracy' not in one['metrics']
    pooled = one['pooled']
    assert pooled['confusion_matrix'] == [[2, 1], [1, 2]] and pooled['n'] == 6
    # Not the mean of the folds: every query counts once, every clip counts once.
    assert pooled['accuracy'] == pytest.approx(4 / 6, abs=1e-4)
    assert pooled['clip_accuracy'] == pytest.approx((4 * 0.75 + 2 * 0.5) / 6, abs=1e-4)
    assert pooled['recall'] == {'happy': 0.6667, 'sad': 0.6667}
    assert len(pooled['by_clip']) == 6
    _, [row] = folds_table([one])
    assert row[:3] == ['frame', '2', '0.625 ± 0.177'] and '0.667' in row and '-' in row


def test_one_fold_has_no_deviation_and_a_failed_one_is_named():
    [one] = gather([[{'model': 'frame', 'failed': 'why'}], [result([[1, 0], [0, 1]])]], CLASSES)
    assert one['folds'] == 1 and one['failed'] == {'1': 'why'}
    assert one['metrics']['accuracy']['deviation'] is None
    assert folds_table([one])[1][0][2] == '1.000'


def test_each_fold_is_a_run_and_is_not_run_again(tmp_path, monkeypatch):
    found = cross_validate(videos(), tiny_catalog(), 'frame,mean', tmp_path, SETTINGS)
    assert [(one['model'], one['folds']) for one in found] == [('frame', 3), ('mean', 3)]
    # 6 clips of 10 frames, at every fifth.
    assert [one['pooled']['n'] for one in found] == [12, 12]
    for number in (1, 2, 3):
        table = json.loads((tmp_path / f'fold-0{number}' / 'zoo.json').read_text())
        values = [one['metrics']['accuracy']['values'][number - 1] for one in found]
        assert [one['accuracy'] for one in table['models']] == values
    page = (tmp_path / FOLDS_PAGE).read_text()
    assert '3 of 3 folds are done' in page and '6 of 3 subjects' in page
    assert 'fold 2: test has no clip of fear' in page and '2 clips are not there' in page
    saved = json.loads((tmp_path / FOLDS_TABLE).read_text())
    assert saved['models'] == found and saved['done'] == 3

    def forbidden(*_):
        raise AssertionError('measured again')

    monkeypatch.setattr(run_module, '_measure', forbidden)
    assert cross_validate(videos(), tiny_catalog(), 'frame,mean', tmp_path, SETTINGS) == found


def faked(monkeypatch, answers):
    """Let runs return these results, one after another; return the settings that they got."""
    seen, left = [], iter(answers)

    def fake(video, catalog, names, folder, settings):
        folder.mkdir(parents=True)
        seen.append(settings)
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(cross_validation, 'run', fake)
    return seen


def test_a_fold_without_results_does_not_end_the_others(tmp_path, monkeypatch):
    good = [result([[1, 0], [0, 1]])]
    seen = faked(monkeypatch, [good, InputError('too few clips'), good])
    timed = replace(SETTINGS, timed=True)
    [one] = cross_validate(videos(), tiny_catalog(), 'frame', tmp_path, timed)
    assert one['folds'] == 2 and one['failed'] == {'2': 'too few clips'}
    page = (tmp_path / FOLDS_PAGE).read_text()
    assert '- frame, fold 2: too few clips' in page
    assert '| frame | 1.000 | - | 1.000 |' in page
    # Size and time are those of any fold.
    assert [one.timed for one in seen] == [True, False, False]


def test_no_results_at_all_are_an_error(tmp_path, monkeypatch):
    faked(monkeypatch, [InputError('too few clips')] * 3)
    with pytest.raises(InputError, match='no fold measured a model: too few clips'):
        cross_validate(videos(), tiny_catalog(), 'frame', tmp_path, SETTINGS)
    with pytest.raises(InputError, match="no model 'vgg'"):
        cross_validate(videos(), tiny_catalog(), 'vgg', tmp_path, SETTINGS)


def test_the_papers_ordering_is_asked_over_the_subjects_of_all_folds(tmp_path, monkeypatch):
    models = ('frame', 'mean', 'lstm')
    matrices = ([[1, 1], [1, 1]], [[2, 0], [1, 1]], [[2, 0], [0, 2]])
    answer = [result(matrix, model=name) for name, matrix in zip(models, matrices)]
    faked(monkeypatch, [answer] * 3)
    cross_validate(videos(), tiny_catalog(), ','.join(models), tmp_path, SETTINGS)
    order = json.loads((tmp_path / FOLDS_TABLE).read_text())['order']
    assert order['holds'] and order['chosen_on'] == 'validation'
    assert 'Sequence models above aggregation' in (tmp_path / FOLDS_PAGE).read_text()


def test_folds_of_a_set_have_the_same_classes(tmp_path, monkeypatch):
    table = ['clip,label,subject']
    tracks = (*made_tracks(4, 10), made_track('fear', 's0', 10, classes=('happy', 'fear')))
    for track in tracks:
        (tmp_path / f'{track.clip.name}.mp4').touch()
        table.append(f'{track.clip.name},{track.clip.label},{track.clip.subject}')
    (tmp_path / 'clips.csv').write_text('\n'.join(table))

    def found(clips, *_):
        by_name = {track.clip.name: track for track in tracks}
        return tuple(replace(by_name[clip.name], clip=clip) for clip in clips), ()

    monkeypatch.setattr(video_set, 'face_tracks', found)
    opened = open_folds(SetChoice(tmp_path), tmp_path, None, 4)
    # One person's fear cannot be learned where the same person is tested.
    assert {video.classes for video in opened} == {('happy', 'sad')}
    tested = [track.clip.name for video in opened for track in video.tracks['test']]
    assert sorted(tested) == sorted(track.clip.name for track in made_tracks(4, 10))


def test_the_verb_prints_the_table_of_all_folds(tmp_path, monkeypatch):
    opened = {}

    def fold_sets(count, **of_set):
        opened['count'] = count
        return videos(count)

    monkeypatch.setattr('emotion_estimator_training.cli.zoo.models.open_fold_sets', fold_sets)
    good = [result([[1, 0], [0, 1]])]
    faked(monkeypatch, [good, [{'model': 'frame', 'failed': 'why'}], good])
    options = ['--data', str(tmp_path), '--run', str(tmp_path / 'out'), '--models', 'frame']
    shown = CliRunner().invoke(run_verb, [*options, '--folds', '3'], catch_exceptions=False)
    assert shown.exit_code == 0 and opened == {'count': 3}
    assert '1.000 ± 0.000' in shown.output
    assert 'not measured: frame, fold 2: why' in shown.output
    assert shown.output.splitlines()[-1] == str(tmp_path / 'out' / FOLDS_PAGE)
    refused = CliRunner().invoke(run_verb, [*options, '--folds', '2'])
    assert refused.exit_code == 2 and '--folds' in refused.output
