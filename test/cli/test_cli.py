"""The command line as a user runs it: its output, its errors, its exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import cv2
import numpy as np
import pytest
from available import FACES, LANDMARK_SOURCE, TASK, needs_face_mesh, needs_faces

from emotion_estimator import __version__
from emotion_estimator.cli import main as cli
from emotion_estimator.cli.main import VERBS, group
from emotion_estimator.emotion import EXPRESSIONS, LABELS
from emotion_estimator.errors import InputError
from emotion_estimator.sources.portrait import Portrait


def run(*arguments, cwd=None, **environment):
    return subprocess.run(
        [sys.executable, '-m', 'emotion_estimator.cli.main', *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env=os.environ | environment,
    )


def errors(result):
    """Return the lines on standard error, which must all be ours."""
    lines = result.stderr.splitlines()
    assert all(line.startswith('emotion-estimator:') for line in lines), result.stderr
    return lines


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    """One smiling face, a wall, and a file that is no image."""
    folder = tmp_path_factory.mktemp('pictures')
    smiling = next(f for f in Portrait(5.0).frames() if f.truth == 'happy' and f.stamp > 5)
    cv2.imwrite(str(folder / 'smile.png'), cv2.cvtColor(smiling.image, cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(folder / 'wall.png'), np.full((240, 320, 3), 128, np.uint8))
    (folder / 'broken.jpg').write_bytes(b'\xff\xd8 this is no JPEG')
    return folder


def test_images_as_json(pictures):
    result = run(
        'image',
        pictures / 'smile.png',
        pictures / 'wall.png',
        '--json',
        '--landmarks',
        LANDMARK_SOURCE,
    )
    assert result.returncode == 0, result.stderr
    smile, wall = map(json.loads, result.stdout.splitlines())
    assert wall == {'file': str(pictures / 'wall.png'), 'faces': []}
    (face,) = smile['faces']
    assert face['label'] == 'happy'
    assert face['confidence'] == max(face['probabilities'].values())
    assert set(face['probabilities']) == set(LABELS)
    assert sum(face['probabilities'].values()) == pytest.approx(1, abs=1e-4)
    x, y, width, height = face['roi']
    assert 100 < width < 300
    assert 0 <= x < 512 - width
    assert 0 <= y < 512 - height


def test_seven_labels_and_abstention(pictures):
    result = run(
        'image',
        pictures / 'smile.png',
        '--json',
        '--landmarks',
        LANDMARK_SOURCE,
        '--vocabulary',
        'seven',
        '--abstain-below',
        '1',
    )
    assert result.returncode == 0, result.stderr
    (face,) = json.loads(result.stdout)['faces']
    assert tuple(face['probabilities']) == EXPRESSIONS
    assert face['label'] == 'unknown'
    assert face['confidence'] == max(face['probabilities'].values())
    assert -1 <= face['valence'] <= 1 and -1 <= face['arousal'] <= 1


def test_thresholds_of_sad_and_happy(pictures):
    command = ('image', pictures / 'smile.png', '--json', '--landmarks', LANDMARK_SOURCE)
    plain, strict = (
        json.loads(run(*command, *options).stdout)['faces'][0]
        for options in ((), ('--happy-threshold', '1', '--sad-threshold', '1'))
    )
    assert strict['probabilities'] == plain['probabilities']
    assert (plain['label'], strict['label']) == ('happy', 'unknown')
    assert strict['confidence'] == plain['probabilities']['unknown']
    for value in ('nan', '1.5', '-0.1', 'x'):
        wrong = run(*command, '--sad-threshold', value)
        assert wrong.returncode == 2
        (line,) = errors(wrong)
        # As the option, or, for what click takes for a number, as the setting.
        assert '--sad-threshold' in line or 'sad_threshold must be from 0.0 to 1.0' in line


def test_a_bad_image_is_named_and_the_others_are_read(pictures):
    result = run(
        'image',
        pictures / 'broken.jpg',
        pictures / 'gone.jpg',
        pictures / 'wall.png',
        '--landmarks',
        LANDMARK_SOURCE,
    )
    assert result.returncode == 2
    assert result.stdout == f'{pictures / "wall.png"}: no face\n'
    broken, gone, account = result.stderr.splitlines()
    assert broken.startswith('emotion-estimator: image ') and 'broken.jpg cannot be dec' in broken
    assert gone.startswith('emotion-estimator: image ') and 'gone.jpg cannot be read' in gone
    assert account == (
        'all files: declared 3 images, read 1, left out 2: 1 cannot be decoded (18 bytes, damaged '
        'JPEG), 1 cannot be read (No such file or directory)'
    )


def test_a_video_gives_one_line_a_frame(tmp_path):
    path = tmp_path / 'film.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10.0, (512, 512))
    frames = [f for f in Portrait(10.0).frames() if 5.0 <= f.stamp < 6.5]
    for frame in frames:
        writer.write(cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    writer.release()
    result = run('video', path, '--json', '--landmarks', LANDMARK_SOURCE)
    assert result.returncode == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line['stamp'] for line in lines] == pytest.approx(
        [k / 10 for k in range(len(frames))], abs=0.02
    )
    assert all(len(line['faces']) == 1 for line in lines)
    assert {line['faces'][0]['face_id'] for line in lines} == {'face_1'}
    assert lines[-1]['faces'][0]['label'] == frames[-1].truth


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        (['image'], "Missing argument 'FILES...'"),
        (['image', 'x.png', '--landmarks', 'dlib'], "'dlib' is not one of"),
        (['image', 'x.png', '--branches', 'all'], "'all' is not one of 'fused'"),
        (['video', 'x.mp4', '--abstain-below', '1.5'], 'is not in the range'),
        (['fly'], "No such command 'fly'"),
        (['video', 'gone.mp4'], "source 'gone.mp4' is not a file"),
        (['video', 'text.mp4'], 'text.mp4'),
        (['video', '99'], 'camera 99 cannot be opened'),
        (['video', '99999999999'], 'is not a device number'),
        (['video', '9' * 5000], 'is not a device number'),
        (['video', 'x' * 300], 'File name too long'),
        (['video', '~nobody-here/x'], 'cannot be opened'),
        (['image', 'x.png', '--model-path', 'x' * 300], 'File name too long'),
        (['image', 'x.png', '--model-path', '~nobody-here/x'], 'cannot be opened'),
        (['models', 'fetch', '--url', 'foo'], "unknown url type: 'foo'"),
        (['models', 'fetch', '--url', 'http://127.0.0.1:9/', '--timeout', 'nan'], 'cannot fetch'),
        (['image', 'text.mp4', '--landmarks', 'face_landmarker', '--model-path', 'no.task'],
         'no.task cannot be read'),
        (['evaluate', '--blendshapes', 'gone.csv'], 'gone.csv cannot be read'),
        (['evaluate', '--blendshapes', 'long.csv'], 'long.csv cannot be read'),
        (['evaluate'], "Missing option '--blendshapes'"),
    ],
)  # fmt: skip
def test_bad_usage_and_input_give_one_line_and_status_2(tmp_path, arguments, expected):
    (tmp_path / 'text.mp4').write_text('not a film')
    (tmp_path / 'long.csv').write_text('1' * 200_000)
    result = run(*arguments, cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path))
    assert result.returncode == 2
    assert len(errors(result)) == 1
    assert expected in errors(result)[0]
    assert 'Traceback' not in result.stderr
    assert result.stdout == ''


@pytest.mark.parametrize('verb', ['training', 'zoo'])
def test_without_the_research_package_its_verbs_give_the_remedy(monkeypatch, verb):
    monkeypatch.setattr(cli, 'entry_points', lambda **_: ())
    with pytest.raises(InputError, match=f'{verb} needs the research package.*pip install ./train'):
        cli.group.main([verb, 'data'], standalone_mode=False)


#: Takes away the library for bags, which no distribution of ROS has.
WITHOUT_ROSBAGS = """
import sys
sys.modules['rosbags'] = None
from emotion_estimator.cli.main import main
sys.exit(main())
"""


def run_without_rosbags(*arguments):
    return subprocess.run(
        [sys.executable, '-c', WITHOUT_ROSBAGS, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize('verb', ['--version', '--help', 'doctor', 'models', 'compare'])
def test_without_rosbags_what_needs_no_bag_works(tmp_path, verb):
    results = tmp_path / 'results.jsonl'
    results.write_text('{"stamp": 1.0, "faces": []}\n')
    arguments = {'compare': [results, results], 'models': ['list']}.get(verb, [])
    result = run_without_rosbags(verb, *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout


@pytest.mark.parametrize(
    'arguments',
    [['replay', 'a.mcap'], ['record', 'portrait', '--bag', 'bag'], ['compare', 'a.mcap', 'b.db3']],
)
def test_without_rosbags_the_verbs_that_need_it_give_the_remedy(arguments):
    result = run_without_rosbags(*arguments)
    assert result.returncode == 2
    (line,) = errors(result)
    assert 'bags need the library rosbags' in line
    assert 'pip install' in line


@pytest.mark.parametrize('verb', VERBS)
def test_the_list_of_verbs_has_the_summary_of_each_verb(verb):
    command = group.get_command(click.Context(group), verb)
    assert command.name == verb
    assert command.get_short_help_str(limit=1000).startswith(VERBS[verb][1].rstrip('.'))


def test_without_a_verb_the_help_is_shown():
    result = run()
    assert result.returncode == 0
    assert 'Commands:' in result.stdout


def test_evaluate_counts_every_row(tmp_path):
    rng = np.random.default_rng(3)
    rows = np.column_stack([rng.random((9, 52)), np.arange(9) % 3, np.arange(9)])
    path = tmp_path / 'table.csv'
    np.savetxt(path, rows, delimiter=',', fmt='%.5f')
    result = run('evaluate', '--blendshapes', path, '--json')
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report['n'] == 9
    matrix = np.array(report['confusion_matrix'])
    assert matrix.sum(axis=1).tolist() == [3, 3, 3]
    assert report['accuracy'] == pytest.approx(np.trace(matrix) / 9)
    assert set(report['recall']) == set(LABELS)


def test_evaluate_in_words_with_a_class_that_does_not_occur(tmp_path):
    path = tmp_path / 'table.csv'
    path.write_text(','.join(['0.25'] * 52) + ',1\n')
    result = run('evaluate', '--blendshapes', path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith('1 rows: accuracy ')
    assert [line.split()[1:] for line in lines if line.split()[1] in ('happy', 'sad')] == [
        ['happy', '-'], ['sad', '-'],
    ]  # fmt: skip


#: Takes away what pip knows of this package, as in a pure colcon build.
WITHOUT_METADATA = """
import importlib.metadata as metadata, sys
known = metadata.distribution
def distribution(name):
    if name.replace('_', '-') == 'emotion-estimator':
        raise metadata.PackageNotFoundError(name)
    return known(name)
metadata.distribution = distribution
from emotion_estimator.cli.main import main
sys.exit(main())
"""


@pytest.mark.parametrize('verb', ['--version', 'doctor'])
def test_a_build_without_pip_knows_its_version(verb):
    result = subprocess.run(
        [sys.executable, '-c', WITHOUT_METADATA, verb], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert __version__ in result.stdout


def test_doctor_fits_a_screen_and_finds_what_is_needed():
    result = run('doctor')
    assert result.returncode == 0, result.stdout
    lines = result.stdout.splitlines()
    assert len(lines) <= 25
    for subject in (
        'mediapipe',
        'landmarks',
        'runtime',
        'appearance',
        'emotion model',
        'node communication',
    ):
        assert any(line[4:].startswith(subject) for line in lines)
    assert not [line for line in lines if line.startswith('NO')]
    # A subprocess may find another copy of the package than this test.
    assert any(re.search(rf'{__version__} at .*/emotion_estimator$', line) for line in lines)


def test_models_are_listed(tmp_path):
    result = run('models', 'list', XDG_CACHE_HOME=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert [line.partition(':')[0].partition('-')[0] for line in result.stdout.splitlines()] == [
        'blendshape_head', 'appearance', 'emotion_lstm', 'speaking', 'upright', 'face_landmarker',
    ]  # fmt: skip
    assert result.stdout.endswith('models/face_landmarker.task (the official file)\n')


@needs_faces('single_face.jpg', 'multi_face.jpg')
@pytest.mark.parametrize('landmarks', [
    pytest.param('face_mesh', marks=needs_face_mesh),
    'face_landmarker',
])  # fmt: skip
@pytest.mark.parametrize('more', [(), ('--max-faces', '8')])
def test_real_photographs_the_smiles_are_happy(landmarks, more):
    result = run(
        'image',
        FACES / 'single_face.jpg',
        FACES / 'multi_face.jpg',
        '--json',
        '--landmarks',
        landmarks,
        '--model-path',
        TASK if landmarks == 'face_landmarker' else '',
        *more,
    )
    assert result.returncode == 0, result.stderr
    found = {
        Path(row['file']).name: row['faces'] for row in map(json.loads, result.stdout.splitlines())
    }
    assert [face['label'] for face in found['single_face.jpg']] == ['happy']
    # Five people; four show their teeth, the one at the back hardly smiles.
    assert len(found['multi_face.jpg']) == (5 if more else 4)
    assert ('smaller faces are left out; raise --max-faces' in result.stderr) == (not more)
    happy = sum(face['label'] == 'happy' for face in found['multi_face.jpg'])
    assert happy >= (4 if more else 3)


@pytest.mark.parametrize(
    ('typed', 'meant'), [('vidoe', 'video'), ('modles', 'models'), ('replya', 'replay')]
)
def test_a_similar_verb_is_suggested(typed, meant, capsys):
    assert cli.main([typed, 'x']) == 2
    assert f'did you mean {meant}?' in capsys.readouterr().err


def test_nothing_is_suggested_where_nothing_is_similar(capsys):
    assert cli.main(['xyzzy']) == 2
    assert 'did you mean' not in capsys.readouterr().err


def test_make_help_lists_every_target_once():
    root = Path(__file__).parents[2]
    told = subprocess.run(['make', 'help'], cwd=root, capture_output=True, text=True, check=True)
    listed = re.findall(r'^  ([a-z-]+) ', told.stdout, re.M)
    described = re.findall(r'^([a-z-]+):.*##', (root / 'Makefile').read_text(), re.M)
    assert listed == described
    assert {'Run it', 'Test', 'Measure'} <= set(told.stdout.splitlines())
