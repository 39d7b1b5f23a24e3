"""The example conversations: what each script expects is what the shipped rules do."""

from __future__ import annotations

from pathlib import Path

import pytest

from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.script import load_script
from emotion_estimator.dialogue.simulator import simulate
from emotion_estimator.dialogue.verdict import Verdict

EXAMPLES = sorted((Path(__file__).parents[1] / 'examples' / 'dialogue').glob('*.yaml'))


@pytest.mark.parametrize('path', EXAMPLES, ids=lambda path: path.stem)
def test_the_robot_does_what_the_script_expects(path):
    script = load_script(path)
    verdict = Verdict(script)
    manager = DialogueManager.load(script.policy, script.conversation)
    told = [verdict(event) for event in simulate(manager, script.moments())]
    assert verdict.finish() == []
    # A script that looks at nothing would be met by anything.
    assert any(step.expect is not None for step in script.steps)
    assert any(told) or all(step.expect == () for step in script.steps)


def test_there_are_examples():
    assert {'care_home', 'flicker', 'listening', 'asked'} <= {path.stem for path in EXAMPLES}
