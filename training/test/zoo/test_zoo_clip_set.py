from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from emotion_estimator.cli.main import group
from emotion_estimator.emotion import EXPRESSIONS, LABELS
from emotion_estimator.errors import InputError
from emotion_estimator_training.zoo.data.clips import (
    Clip,
    LabelMap,
    Problem,
    load_clips,
    load_label_map,
    summary,
)


def table(folder: Path, *lines: str, header: str = 'clip,label,subject') -> Path:
    path = folder / 'labels.csv'
    path.write_text('\n'.join([header, *lines]) + '\n', encoding='utf-8')
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ('a.mp4', 'b.avi'):
        (tmp_path / name).write_bytes(b'not opened')
    (tmp_path / 'c').mkdir()
    cv2.imwrite(str(tmp_path / 'c' / '1.png'), np.zeros((8, 8, 3), np.uint8))
    return tmp_path


def test_clips_are_videos_or_folders_in_the_order_of_the_table(folder):
    found = load_clips(
        table(
            folder,
            ' c , sad,s2,1.5,',
            '',
            'a.mp4,happy,s1,,2',
            'b,sad,s1,,',
            header='\ufeffClip,Label,Subject,start,end',
        )
    )
    assert found.clips == (
        Clip('c', folder / 'c', 'sad', 's2', 1.5, None),
        Clip('a.mp4', folder / 'a.mp4', 'happy', 's1', None, 2.0),
        Clip('b', folder / 'b.avi', 'sad', 's1'),
    )
    assert found.classes == ('happy', 'sad')
    assert found.problems == ()
    assert found.clips[0].title == 'c [1.5-end s]'


def test_each_bad_line_is_named_and_the_others_are_read(folder):
    found = load_clips(
        table(
            folder,
            'a.mp4,happy,s1',
            'gone,happy,s1',
            'b,grief,s1',
            'b,sad,',
            'b,sad,s1,2,1',
            'b,sad,s1,x,',
            'b,sad,s1,-1,',
            'b',
            'a.mp4,sad,s1',
            'b,SAD,s1,0,inf',
            'c,bored,s2',
            'c,sad,s2',
            header='clip,label,subject,start,end',
        ),
        labels=LabelMap(
            'own', ('happy', 'sad'), {'happy': 'happy', 'sad': 'sad'}, frozenset({'bored'})
        ),
    )
    assert [clip.name for clip in found.clips] == ['a.mp4', 'c']
    assert found.left_out == 1
    assert [(one.kind, one.what) for one in found.problems] == [
        ('missing', 'gone'),
        ('label', "b: 'grief' (line 4)"),
        ('row', 'line 5: no subject'),
        ('row', 'line 6: end 1 is not after start 2'),
        ('row', "line 7: start 'x' is not a time in seconds"),
        ('row', "line 8: start '-1' is not a time in seconds"),
        ('row', 'line 9: no label'),
        ('twice', 'a.mp4 (line 10) is listed before as happy of s1'),
        ('row', "line 11: end 'inf' is not a time in seconds"),
    ]
    lines = summary(found.problems)
    assert lines[0].startswith('6 table lines that cannot be read: line 5: no subject; ')
    assert lines[0].endswith('; and 3 more')
    assert '1 missing clips: gone' in lines


def test_segments_of_one_video_are_clips_of_their_own(folder):
    found = load_clips(
        table(folder, 'a,happy,s1,0,2', 'a,sad,s1,2,3', header='clip,label,subject,start,end')
    )
    assert [clip.label for clip in found.clips] == ['happy', 'sad']


TIMES = 'clip,label,subject,start,end'


def test_an_empty_start_is_0(folder):
    found = load_clips(
        table(
            folder,
            'a,happy,s1,,2',
            'b,sad,s1,0,',
            'a.mp4,sad,s1,0,2',
            'b,sad,s1,,',
            header=TIMES,
        )
    )
    assert [clip.label for clip in found.clips] == ['happy', 'sad']
    assert [(one.kind, one.what) for one in found.problems] == [
        ('twice', 'a.mp4 [0-2 s] (line 4) is listed before as happy of s1'),
        ('twice', 'b (line 5) is listed before'),
    ]


def test_of_segments_that_contradict_each_other_the_first_is_taken(folder):
    found = load_clips(
        table(
            # Ends that are not exact, and an overlap of one label, are none.
            folder,
            'a,happy,s1,0,2',
            'a,sad,s1,1.95,4',
            'a,sad,s1,3,5',
            'a,happy,s1,3.5,',
            'a,sad,s1,,',
            'b,sad,s1,,',
            'b,happy,s1,4,5',
            header=TIMES,
        )
    )
    assert [(clip.name, clip.start) for clip in found.clips] == [
        ('a', 0),
        ('a', 1.95),
        ('a', 3),
        ('b', None),
    ]
    assert {one.kind for one in found.problems} == {'overlap'}
    assert summary(found.problems) == [
        '3 segments that overlap an earlier one with another label: '
        'a [3.5-end s] (line 5) is happy, a [1.95-4 s] is sad; '
        'a (line 6) is sad, a [0-2 s] is happy; b [4-5 s] (line 8) is happy, b is sad'
    ]


def test_labels_that_differ_only_in_case_are_warned_of(folder):
    lines = 'a,happy,s1', 'b,Happy,s2', 'c,sad,s3'
    (warning,) = load_clips(table(folder, *lines)).warnings
    assert 'differ only in case (Happy/happy)' in warning
    assert f'warning: {warning}' in verb('--data', folder).output
    mapped = LabelMap('own', ('happy', 'sad'), {'happy': 'happy', 'sad': 'sad'})
    assert load_clips(table(folder, *lines), labels=mapped).warnings == ()


def test_the_table_may_say_what_is_for_what(folder):
    found = load_clips(
        table(
            folder,
            'a,happy,s1,val',
            'b,sad,s1,TEST',
            'c,sad,s1,mine',
            header='clip,label,subject,split',
        )
    )
    assert [clip.part for clip in found.clips] == ['validation', 'test']
    assert "split 'mine' is not one of train, validation, test" in found.problems[0].what


def test_clips_of_kind_moved_are_not_learned_from(folder):
    path = table(
        folder,
        *('a,happy,s1,shown', 'b,sad,s2,', 'c,sad,s1,moved', 'd,sad,s3,'),
        header='clip,label,subject,kind',
    )
    (folder / 'd.mp4').write_bytes(b'not opened')
    assert [clip.kind for clip in load_clips(path).clips] == ['shown', '', 'moved', '']
    printed = CliRunner().invoke(group, ['zoo', 'data', '--data', str(path)])
    assert (
        '1 of kind moved besides: they are measured apart, and not learned from' in printed.output
    )


@pytest.mark.parametrize(
    ('lines', 'header', 'message'),
    [
        (['a,happy'], 'clip,label', 'no column subject'),
        (['a,happy,s', 'b,happy,s'], 'clip,label,subject', r'one class only \(happy\)'),
        (['gone,happy,s', 'a,sad,s'], 'clip,label,subject', 'missing clips: gone'),
        ([], 'clip,label,subject', 'no usable clip'),
        (['"a,happy,s\0'], 'clip,label,subject', 'labels.csv'),
    ],
)
def test_a_table_that_leaves_no_two_classes_is_refused(folder, lines, header, message):
    with pytest.raises(InputError, match=message) as error:
        load_clips(table(folder, *lines, header=header))
    assert '\n' not in str(error.value)


def test_a_table_that_cannot_be_read_is_named(folder):
    with pytest.raises(InputError, match=r'none\.csv cannot be read'):
        load_clips(folder / 'none.csv')
    (folder / 'bad.csv').write_bytes(b'clip,label,subject\n\xff\xfe,happy,s\n')
    with pytest.raises(InputError, match=r'bad\.csv is not CSV in UTF-8'):
        load_clips(folder / 'bad.csv')
    with pytest.raises(InputError, match='is not a folder'):
        load_clips(table(folder), folder / 'nowhere')


def test_shipped_maps_have_the_packages_labels():
    assert load_label_map('fer').classes == EXPRESSIONS
    assert load_label_map('happy-unknown-sad').classes == LABELS


def test_both_baum_sets_become_the_same_seven():
    one, two = load_label_map('baum1'), load_label_map('baum2')
    assert one.classes == two.classes == EXPRESSIONS
    assert [one('Contempt'), one('Disgust'), two('Angry'), one(' Happiness ')] == [
        'disgust',
        'disgust',
        'angry',
        'happy',
    ]
    assert one('Thinking') is None
    with pytest.raises(KeyError):
        two('Thinking')


def test_emmpathic_keeps_three():
    labels = load_label_map('emmpathic')
    assert labels.classes == ('neutral', 'happy', 'pensive')
    assert labels('None') is None


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('label_maps: {own: {a: [x], b: [X]}}', "'x' already belongs to a"),
        ('label_maps: {own: {a: [x]}}', 'at least two classes'),
        ('label_maps: {own: {a: x, b: [y]}}', 'class a: give a list'),
        ('label_maps: {other: {}}', "no label map 'own'; it has: other"),
        ('- 1', 'has no label_maps'),
        ('a: [', 'invalid YAML'),
        ('label_maps: {own: {a: [x], a: [y]}}', "line 1 .key 'a' occurs twice"),
    ],
)
def test_an_invalid_label_map_is_refused(tmp_path, text, message):
    config = tmp_path / 'zoo.yaml'
    config.write_text(text)
    with pytest.raises(InputError, match=message):
        load_label_map('own', config)


def test_a_summary_counts_all_and_names_the_first():
    problems = [Problem('no face', f'{i}', f'{i}') for i in range(5)]
    assert summary(problems) == ['5 clips without a face: 0; 1; 2; and 2 more']
    assert summary([]) == []


def verb(*arguments: object) -> Result:
    return CliRunner().invoke(group, ['zoo', 'data', *map(str, arguments)])


def test_the_verb_counts_clips_by_class_and_part(folder):
    for i in range(12):
        (folder / f'v{i}.mp4').touch()
    table(
        folder,
        *(f'v{i},{"joy" if i % 2 else "bored"},s{i // 2}' for i in range(12)),
        'v0,grief,s9',
        'v1,None,s9',
    )
    (folder / 'zoo.yaml').write_text(
        'label_maps: {own: {happy: [Joy], dull: [bored], leave_out: [none]}}'
    )
    options = ('--data', folder, '--labels', 'own', '--config', folder / 'zoo.yaml')
    said = json.loads(verb(*options, '--json').output)
    assert said['parts'] == {
        'train': {'happy': 3, 'dull': 3},
        'validation': {'happy': 1, 'dull': 1},
        'test': {'happy': 2, 'dull': 2},
    }
    assert said['subjects'] == {'train': 3, 'validation': 1, 'test': 2}
    assert said['left_out'] == 1
    (problem,) = said['problems']
    assert problem == "1 clips whose label is not in the map: v0: 'grief' (line 14)"
    text = verb(*options, '--by', 'clip').output
    assert '1 clips have labels that the map own leaves out' in text
    assert 'left out: 1 clips whose label is not in the map' in text
    assert 'warning: ' in text


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--shares', '50/50'), '50/50'),
        (('--shares', '1/2/x'), '1/2/x'),
        (('--labels', 'nothing'), "no label map 'nothing'"),
    ],
)
def test_the_verb_refuses_invalid_options(folder, options, message):
    table(folder, 'a,happy,s1', 'b,sad,s2', 'c,sad,s3')
    result = verb('--data', folder, *options)
    assert result.exit_code != 0
    assert message in result.output + str(result.exception)
