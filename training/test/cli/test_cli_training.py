"""The verbs of training, as they are typed: bad usage, and packages that are not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest


def errors(result):
    return [line for line in result.stderr.splitlines() if 'emotion-estimator' in line]


@pytest.mark.parametrize(
    ('arguments', 'says'),
    [
        (['training', 'fly'], "No such command 'fly'"),
        (['training', 'data'], "Missing option '--data'"),
        (['training', 'data', '--data', 'gone.csv'], 'gone.csv cannot be read'),
        (['training', 'features', '--data', 'text.mp4'], 'text.mp4 is not an .npz of FER2013'),
        (['training', 'relevant', '--run', 'gone'], 'training features'),
        (['training', 'blendshapes', '--data', 'x.npz'], '--teacher face_landmarker.task'),
        (['training', 'data', '--data', 'x.npz', '--seed', '-1'], "Invalid value for '--seed'"),
    ],
)  # fmt: skip
def test_bad_usage_and_input_give_one_line_and_status_2(tmp_path, arguments, says):
    (tmp_path / 'text.mp4').write_text('not a film')
    result = subprocess.run(
        [sys.executable, '-m', 'emotion_estimator.cli.main', *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert result.returncode == 2
    assert len(errors(result)) == 1
    assert says in errors(result)[0]
    assert 'Traceback' not in result.stderr
    assert result.stdout == ''


#: Takes away packages that only training needs.
WITHOUT_PACKAGES = """
import sys
class Missing:
    def find_spec(self, name, *rest):
        if name.split('.')[0] in ('tensorflow', 'tf_keras', 'matplotlib', 'jinja2'):
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Missing())
from emotion_estimator.cli.main import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ('arguments', 'lacks'),
    [
        (['all', '--quick', '--run', 'run'], 'matplotlib'),
        (['data', '--data', 'x.npz'], 'matplotlib'),
        (['features', '--data', 'x.npz'], 'matplotlib'),
        (['tune'], 'tensorflow'),
        (['quantize'], 'tensorflow'),
        (['evaluate', '--data', 'x.npz'], 'matplotlib'),
        (['stability', '--data', 'x.npz'], 'matplotlib'),
    ],
)  # fmt: skip
def test_training_says_what_to_install_of_a_missing_package(tmp_path, arguments, lacks):
    result = subprocess.run(
        [sys.executable, '-c', WITHOUT_PACKAGES, 'training', *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert result.returncode == 2
    assert errors(result) == [f'emotion-estimator: training needs {lacks}; pip install ./training']
