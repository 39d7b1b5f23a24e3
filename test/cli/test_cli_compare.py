"""``emotion-estimator compare`` as CI runs it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import pytest
from courses import course

from emotion_estimator.cli.main import main
from emotion_estimator.emotion import NONE
from emotion_estimator.frame import write_results

LABELS = ['unknown'] * 20 + ['happy'] * 20 + [NONE] * 5 + ['sad'] * 15


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Return a function that runs ``compare`` in the folder: status, output, lines of errors."""
    monkeypatch.chdir(folder)

    def compare(*arguments):
        monkeypatch.setattr(sys, 'argv', ['emotion-estimator', 'compare', *map(str, arguments)])
        status = main()
        said = capsys.readouterr()
        lines = said.err.splitlines()
        assert all(line.startswith('emotion-estimator: ') for line in lines), said.err
        return status, said.out, lines

    return compare


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Return a folder of results: the expected, the same again, a late one, and bad files."""
    folder = tmp_path_factory.mktemp('results')
    late = ['unknown'] * 23 + ['happy'] * 17 + [NONE] * 5 + ['sad'] * 15
    for name, labels in (('expected', LABELS), ('same', LABELS), ('late', late)):
        write_results(course(labels, begin=1.7e9), folder / f'{name}.jsonl')
    write_results(course(LABELS), folder / 'other.jsonl')
    (folder / 'empty.jsonl').write_text('')
    (folder / 'text.jsonl').write_text('hello\n')
    endless = (folder / 'same.jsonl').read_text().replace('"roi": [10,', '"roi": [Infinity,', 1)
    (folder / 'endless.jsonl').write_text(endless)
    (folder / 'loose.yaml').write_text('min_agreement: 0.9\nmax_onset_shift: 0.3\n')
    (folder / 'wrong.yaml').write_text('min_agreement: 90\n')
    (folder / 'folder').mkdir()
    return folder


def test_the_same_results_are_within_the_shipped_limits(run):
    status, out, lines = run('expected.jsonl', 'same.jsonl')
    assert (status, lines) == (0, [])
    assert 'agreement      all      1.0000  (60 of 60 frames)' in out
    assert out.endswith('limits         all kept\n')


def test_a_broken_limit_is_status_1_with_its_first_place(run):
    status, out, lines = run('expected.jsonl', 'late.jsonl')
    assert status == 1
    assert lines[0] == (
        'emotion-estimator: min_agreement 0.98 is broken: 0.95; first at 1700000002.000 '
        '(2.000 s after the first frame): expected happy, actual unknown'
    )
    assert any('max_onset_shift 0.25 is broken: 0.3;' in line for line in lines)
    assert out.endswith(f'limits         {len(lines)} broken\n')


def test_the_status_is_that_of_the_process(folder):
    result = subprocess.run(
        [sys.executable, '-m', 'emotion_estimator.cli.main', 'compare', 'expected.jsonl',
         'late.jsonl'],
        capture_output=True, text=True, check=False, cwd=folder, env=dict(os.environ),
    )  # fmt: skip
    assert result.returncode == 1
    assert 'min_agreement 0.98 is broken' in result.stderr


def test_limits_of_ones_own_and_none(run):
    assert run('expected.jsonl', 'late.jsonl', '--limits', 'loose.yaml')[0] == 0
    status, out, lines = run('expected.jsonl', 'late.jsonl', '--limits', 'none')
    assert (status, lines) == (0, [])
    assert 'first          difference at 1700000002.000' in out
    assert out.endswith('limits         not checked\n')


def test_json_is_one_object_and_the_status_the_same(run):
    status, out, lines = run('expected.jsonl', 'late.jsonl', '--json')
    assert status == 1
    shown = json.loads(out)
    assert shown['agreement'] == {'frames': 60, 'agreed': 57, 'share': 0.95}
    assert shown['broken'][0]['stamp'] == 1700000002.0
    assert len(shown['broken']) == len(lines)


@pytest.mark.skipif(
    importlib.util.find_spec('matplotlib') is None, reason='matplotlib is not installed'
)
@pytest.mark.parametrize(
    ('name', 'window'), [('both.png', ()), ('both.svg', ()), ('part.png', ('--window', 1, 2.5))]
)
def test_the_picture_is_drawn_whatever_the_status(run, tmp_path, name, window):
    assert run('expected.jsonl', 'late.jsonl', '--figure', tmp_path / name, *window)[0] == 1
    assert (tmp_path / name).stat().st_size > 10_000


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['expected.jsonl'], "Missing argument 'ACTUAL'"),
        (['expected.jsonl', 'gone.jsonl'], 'gone.jsonl cannot be read'),
        (['gone.jsonl', 'same.jsonl'], 'gone.jsonl cannot be read'),
        (['expected.jsonl', 'empty.jsonl'], 'empty.jsonl holds no frames'),
        (['expected.jsonl', 'text.jsonl'], 'text.jsonl, line 1 is not a result'),
        (['expected.jsonl', 'endless.jsonl'], 'endless.jsonl, line 1 is not a result'),
        (['expected.jsonl', 'folder'], 'folder'),
        (['expected.jsonl', 'gone.mcap'], 'gone.mcap'),
        (['expected.jsonl', 'gone.mcap.zstd'], 'bag gone.mcap.zstd does not exist'),
        (['expected.jsonl', 'gone.db3.zstd'], 'bag gone.db3.zstd does not exist'),
        (['expected.jsonl', 'other.jsonl'], 'are they of the same recording?'),
        (['expected.jsonl', 'same.jsonl', '--limits', 'wrong.yaml'], 'wrong.yaml: min_agreement'),
        (['expected.jsonl', 'same.jsonl', '--limits', 'gone.yaml'], 'gone.yaml cannot be read'),
        (['expected.jsonl', 'same.jsonl', '--tolerance', '-1'], '--tolerance'),
        (['expected.jsonl', 'same.jsonl', '--tolerance', 'nan'], 'tolerance'),
        (['expected.jsonl', 'same.jsonl', '--figure', 'a.png', '--window', '2', '1'], 'window 2 1'),
        (['expected.jsonl', 'same.jsonl', '--figure', 'a.png', '--window', 'nan', '1'], 'window'),
        (['expected.jsonl', 'same.jsonl', '--window', '1', '2'], '--window is for --figure'),
        (['expected.jsonl', 'same.jsonl', '--figure', 'both.txt'], 'both.txt must end in .png'),
    ],
)
def test_bad_input_is_one_line_and_status_2(run, arguments, says):
    status, out, lines = run(*arguments)
    assert (status, out) == (2, '')
    (line,) = lines
    assert says in line


@pytest.mark.skipif(
    importlib.util.find_spec('matplotlib') is None, reason='matplotlib is not installed'
)
def test_a_picture_that_cannot_be_written_hides_no_broken_limit(run):
    status, out, lines = run('expected.jsonl', 'late.jsonl', '--figure', 'gone/both.png')
    assert status == 2
    assert 'min_agreement 0.98 is broken' in lines[0]
    assert 'gone/both.png cannot be written (No such file or directory)' in lines[-1]
    assert out.endswith('broken\n')
