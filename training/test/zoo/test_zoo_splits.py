from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.errors import InputError
from emotion_estimator_training.zoo.data.clips import PARTS, Clip
from emotion_estimator_training.zoo.data.splits import SHARES, folds, split, split_warnings

LABELS = ('happy', 'neutral', 'sad')


def clip(number: int, subject: str, label: str = 'happy') -> Clip:
    return Clip(f'{number}', Path(f'{number}.mp4'), label, subject)


def people(count: int) -> list[Clip]:
    """Return one clip of each label of each subject."""
    return [clip(3 * who + k, f's{who}', LABELS[k]) for who in range(count) for k in range(3)]


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(LABELS)), min_size=3, max_size=60),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_no_subject_crosses_and_no_clip_is_lost(facts, seed):
    clips = [clip(i, f's{who}', label) for i, (who, label) in enumerate(facts)]
    if len({one.subject for one in clips}) < len(PARTS):
        with pytest.raises(InputError, match='cannot be split'):
            split(clips, seed=seed)
        return
    parts = split(clips, seed=seed)
    assert sorted(sum(parts.values(), ()), key=lambda one: int(one.name)) == clips
    assert all(parts.values())
    subjects = [{one.subject for one in parts[part]} for part in PARTS]
    assert sum(map(len, subjects)) == len(set.union(*subjects))
    assert not any('more than one part' in line for line in split_warnings(parts, LABELS))
    assert parts == split(clips, seed=seed)


@pytest.mark.parametrize('by', ['subject', 'clip'])
@pytest.mark.parametrize('shares', [SHARES, (0.6, 0.2, 0.2), (0.8, 0.1, 0.1)])
def test_each_class_comes_in_the_shares(by, shares):
    clips = people(40)
    parts = split(clips, shares, by)
    for part, share in zip(PARTS, shares):
        for label, count in Counter(one.label for one in parts[part]).items():
            assert count == pytest.approx(40 * share, abs=1.01), (part, label)


def test_the_seed_decides():
    assert split(people(20), seed=1) != split(people(20), seed=2)


def test_subjects_that_cross_are_warned_of():
    parts = split(people(20), by='clip')
    (warning,) = split_warnings(parts, LABELS)
    assert 'subjects are in more than one part' in warning
    assert 'split by subject' in warning


def test_parts_that_lack_a_class_are_warned_of():
    clips = [*people(3), clip(90, 's0', 'fear')]
    warnings = split_warnings(split(clips), (*LABELS, 'fear'))
    assert sum('has no clip of fear' in line for line in warnings) == 2


def test_the_table_decides_where_it_says_so():
    clips = [replace(one, part=PARTS[i % 3]) for i, one in enumerate(people(4))]
    parts = split(clips, (0.8, 0.1, 0.1))
    assert [len(parts[part]) for part in PARTS] == [4, 4, 4]
    assert any('more than one part' in line for line in split_warnings(parts, LABELS))


@pytest.mark.parametrize('shares', [(0.5, 0.5), (0.5, 0.5, 0.0), (0.5, 0.4, 0.3), (1, 1, -1)])
def test_invalid_shares_are_refused(shares):
    with pytest.raises(InputError, match='are invalid; give three'):
        split(people(5), shares)


def test_too_few_subjects_are_refused():
    with pytest.raises(InputError, match=r'of 2 subjects cannot be split .* split by clip'):
        split(people(2))


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(LABELS)), min_size=3, max_size=60),
    st.integers(3, 6),
    st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_each_clip_is_tested_and_validated_with_once_and_no_subject_crosses(facts, count, seed):
    clips = [clip(i, f's{who}', label) for i, (who, label) in enumerate(facts)]
    if len({one.subject for one in clips}) < count:
        with pytest.raises(InputError, match=f'cannot be split into {count} folds'):
            folds(clips, count, seed=seed)
        return
    found = folds(clips, count, seed=seed)
    assert len(found) == count
    for part in ('test', 'validation'):
        assert Counter(one for fold in found for one in fold[part]) == Counter(clips)
    for fold in found:
        assert all(fold.values())
        assert Counter(sum(fold.values(), ())) == Counter(clips)
        assert not any('more than one part' in line for line in split_warnings(fold, LABELS))
    assert found == folds(clips, count, seed=seed)


def test_each_class_comes_in_every_fold_and_the_table_does_not_decide():
    clips = [replace(one, part='train') for one in people(40)]
    for fold in folds(clips, 10):
        assert Counter(one.label for one in fold['test']) == dict.fromkeys(LABELS, 4)
        assert len(fold['train']) == 96


def test_two_folds_are_refused():
    with pytest.raises(InputError, match='give at least 3'):
        folds(people(5), 2)
