"""What contributors meet first: workflow, templates, hooks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / '.github'
#: What a hook's program is in the lock file, where its name is another one.
PACKAGE_OF = {'lint-imports': 'import-linter'}


def test_the_workflow_runs_what_ci_runs_with_pinned_actions():
    workflow = yaml.safe_load((GITHUB / 'workflows' / 'test.yml').read_text())
    steps = workflow['jobs']['test']['steps']
    actions = [step['uses'] for step in steps if 'uses' in step]
    assert actions and all(re.fullmatch(r'actions/[\w-]+@v\d+', action) for action in actions)
    assert [step['run'] for step in steps if 'run' in step][-1] == '.ci/run'


@pytest.mark.parametrize('name', ['bug_report', 'feature_request'])
def test_issue_forms_ask_for_something(name):
    form = yaml.safe_load((GITHUB / 'ISSUE_TEMPLATE' / f'{name}.yml').read_text())
    assert form['name'] and form['description']
    fields = {field['id']: field for field in form['body']}
    assert any(field.get('validations', {}).get('required') for field in fields.values())
    if name == 'bug_report':
        assert 'emotion-estimator doctor' in fields['doctor']['attributes']['label']


def test_hooks_download_nothing_and_run_the_locked_programs():
    config = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())
    (repository,) = config['repos']
    assert repository['repo'] == 'local'
    lock = (ROOT / 'requirements' / 'test.lock').read_text()
    for hook in repository['hooks']:
        assert hook['language'] == 'system'
        (program,) = re.findall(r'\.venv/bin/([\w-]+)', hook['entry'])
        assert f'\n{PACKAGE_OF.get(program, program)}==' in lock


def test_blame_ignores_commits():
    lines = (ROOT / '.git-blame-ignore-revs').read_text().splitlines()
    commits = [line for line in lines if not line.startswith('#')]
    assert commits and all(re.fullmatch('[0-9a-f]{40}', commit) for commit in commits)


def test_industrial_ci_installs_what_no_rosdep_key_does():
    workflow = yaml.safe_load((GITHUB / 'workflows' / 'industrial_ci.yml').read_text())
    job = workflow['jobs']['industrial_ci']
    assert {'humble', 'jazzy', 'kilted'} <= set(job['strategy']['matrix']['ROS_DISTRO'])
    (step,) = (step for step in job['steps'] if step['uses'].startswith('ros-industrial/'))
    hook = step['env']['AFTER_INSTALL_TARGET_DEPENDENCIES']
    assert 'pip install ai-edge-litert' in hook
    # Models come with the package.
    assert 'fetch' not in hook
