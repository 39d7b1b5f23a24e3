"""The training loop: history, best epochs, patience, resume, and checkpoints."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.errors import ModelError
from emotion_estimator_training.models.training_loop import (
    LoopPlan,
    best_checkpoint,
    claim_folder,
    clean_checkpoints,
    describe_checkpoint,
    forget_after,
    is_finished,
    list_checkpoints,
    prefetched,
    read_history,
    record,
    shuffled_batches,
    train_epochs,
    weights_path,
)


def save(folder, epoch, score):
    weights_path(folder, epoch).write_bytes(b'weights')
    describe_checkpoint(folder, {'epoch': epoch, 'macro_f1': score})
    record(folder, {'epoch': epoch, 'macro_f1': score})


def test_cleaner_keeps_the_two_best(tmp_path):
    for epoch, score in enumerate([0.3, 0.6, 0.5, 0.7, 0.4], start=1):
        save(tmp_path, epoch, score)
    clean_checkpoints(tmp_path)
    assert [one.epoch for one in list_checkpoints(tmp_path)] == [4, 2]
    assert {path.name for path in tmp_path.glob('epoch-*')} == {
        'epoch-0002.json',
        'epoch-0002.weights.h5',
        'epoch-0004.json',
        'epoch-0004.weights.h5',
    }
    assert len(read_history(tmp_path)) == 5


def test_each_nth_epoch_is_kept_beside_the_best(tmp_path):
    for epoch in range(1, 8):
        save(tmp_path, epoch, 1 / epoch)
        clean_checkpoints(tmp_path, every=3)
    assert sorted(one.epoch for one in list_checkpoints(tmp_path)) == [1, 2, 3, 6]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(1, 4))
def test_cleaning_after_each_epoch_keeps_what_cleaning_once_keeps(tmp_path_factory, scores, keep):
    often, once = (tmp_path_factory.mktemp(name) for name in ('often', 'once'))
    for epoch, score in enumerate(scores, start=1):
        save(often, epoch, score)
        clean_checkpoints(often, keep)
        save(once, epoch, score)
    clean_checkpoints(once, keep)
    kept = [(one.epoch, one.score) for one in list_checkpoints(often)]
    assert kept == [(one.epoch, one.score) for one in list_checkpoints(once)]
    assert len(kept) == min(keep, len(scores))
    assert kept[0][1] == max(scores)


def test_cleaner_spares_weights_on_their_way_and_removes_abandoned_ones(tmp_path):
    save(tmp_path, 2, 0.5)
    weights_path(tmp_path, 1).write_bytes(b'half')
    weights_path(tmp_path, 3).write_bytes(b'not yet described')
    (tmp_path / 'notes.txt').write_text('mine')
    assert clean_checkpoints(tmp_path) == [weights_path(tmp_path, 1)]
    assert weights_path(tmp_path, 3).exists()
    assert (tmp_path / 'notes.txt').exists()


def test_half_written_sidecars_are_no_checkpoints(tmp_path):
    save(tmp_path, 1, 0.5)
    (tmp_path / 'epoch-0002.json').write_text('{"epoch": 2, "macro')
    (tmp_path / 'epoch-0003.json').write_text(json.dumps({'epoch': 3, 'macro_f1': 0.9}))
    assert best_checkpoint(tmp_path).epoch == 1


def test_no_weights_is_said_in_one_line(tmp_path):
    with pytest.raises(ModelError, match='training fit'):
        best_checkpoint(tmp_path)


def test_epochs_that_training_did_not_survive_are_forgotten(tmp_path):
    for epoch in (1, 2, 3):
        save(tmp_path, epoch, 0.1 * epoch)
    with (tmp_path / 'history.jsonl').open('a') as lines:
        lines.write('{"epoch": 4, "mac')
    assert [one['epoch'] for one in forget_after(tmp_path, 2)] == [1, 2]
    assert [one['epoch'] for one in read_history(tmp_path)] == [1, 2]
    assert [one.epoch for one in list_checkpoints(tmp_path)] == [2, 1]


def test_training_stops_at_the_last_epoch_or_without_progress():
    history = [{'epoch': i + 1, 'macro_f1': s} for i, s in enumerate([0.1, 0.5, 0.4, 0.5, 0.3])]
    assert not is_finished(history, epochs=9, patience=4)
    assert is_finished(history, epochs=9, patience=3)
    assert is_finished(history, epochs=5, patience=9)
    assert not is_finished([], epochs=5, patience=9)


def rising(number, advance):
    """Train nothing; the third epoch is the best."""
    advance()
    return {'epoch': number + 1, 'macro_f1': [0.1, 0.2, 0.5, 0.4, 0.3, 0.2][number]}


def test_the_loop_stops_after_its_patience_and_keeps_the_best():
    kept = []
    history = train_epochs(
        LoopPlan('loop', 6, patience=2, progress=False),
        rising,
        {},
        None,
        lambda metrics, is_best: kept.append((metrics['epoch'], is_best)),
    )
    assert [one['epoch'] for one in history] == [1, 2, 3, 4, 5]
    assert kept == [(1, True), (2, True), (3, True), (4, False), (5, False)]


def test_one_call_may_train_some_epochs_only():
    plan = LoopPlan('loop', 6, call_epochs=2, batches=6, shown=('macro_f1',), progress=False)
    assert [one['epoch'] for one in train_epochs(plan, rising, {}, None)] == [1, 2]


def test_a_state_without_its_history_is_not_continued(tmp_path):
    tf = pytest.importorskip('tensorflow', reason='training needs tensorflow')
    plan = LoopPlan('loop', 2, progress=False)
    count = tf.Variable(0)

    def counted(number, advance):
        count.assign_add(1)
        return rising(number, advance)

    first = train_epochs(plan, counted, {'count': count}, tmp_path)
    assert train_epochs(plan, counted, {'count': count}, tmp_path) == first
    assert int(count) == 2
    (tmp_path / 'history.jsonl').unlink()
    assert train_epochs(plan, counted, {'count': count}, tmp_path) == first
    assert int(count) == 4


def test_a_folder_of_another_training_is_emptied(tmp_path):
    folder = tmp_path / 'run'
    for seed, kept in ((1, False), (1, True), (2, False)):
        claim_folder(folder, {'seed': seed, 'path': tmp_path})
        assert (folder / 'weights').exists() == kept
        (folder / 'weights').touch()


def test_what_is_made_ahead_comes_in_order_and_once():
    made = []

    def make(number):
        made.append(number)
        return number * 10

    assert list(prefetched(make, range(4))) == [0, 10, 20, 30]
    assert made == [0, 1, 2, 3]
    assert list(prefetched(make, range(0))) == []


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 99))
def test_an_epochs_batches_hold_every_row_once(rows, batch, epoch):
    batches = shuffled_batches(rows, batch, [3, epoch])
    assert sorted(np.concatenate(batches)) == list(range(rows))
    assert {len(one) for one in batches[:-1]} <= {batch}
    again = shuffled_batches(rows, batch, [3, epoch])
    assert all((one == other).all() for one, other in zip(batches, again))
