"""The example scripts: the shipped rules do what each script expects."""

from __future__ import annotations

from pathlib import Path

import pytest

from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.simulation.script import ScriptChecker, load_script
from emotion_estimator.simulation.simulator import as_text, simulate

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / 'docs' / 'command_line.md'
EXAMPLES = sorted((ROOT / 'examples' / 'dialogue').glob('*.yaml'))


@pytest.mark.parametrize('language', ['en', 'de'])
@pytest.mark.parametrize('path', EXAMPLES, ids=lambda path: path.stem)
def test_the_robot_does_what_the_script_expects(path, language):
    script = load_script(path)
    verdict = ScriptChecker(script, language)
    words = ROOT / 'config' / f'conversation_{language}.yaml'
    manager = DialogueManager.load(script.policy, words)
    told = [verdict(event) for event in simulate(manager, script.inputs(language))]
    assert verdict.finish() == []
    # A script that looks at nothing would be met by anything.
    assert any(step.expect is not None for step in script.steps)
    assert any(told) or all(step.expect == () for step in script.steps)


def test_there_are_examples():
    assert {
        'asked', 'care_home', 'cheer', 'decline', 'flicker', 'greeting', 'grief', 'interruption',
        'leaving', 'listening', 'two_people',
    } <= {path.stem for path in EXAMPLES}  # fmt: skip


@pytest.mark.parametrize('language', ['en', 'de'])
@pytest.mark.parametrize('path', EXAMPLES, ids=lambda path: path.stem)
def test_nobody_is_spoken_over_and_no_words_overlap(path, language):
    """The robot begins to speak only in silence, at 150 words a minute."""
    script = load_script(path)
    manager = DialogueManager.load(None, ROOT / 'config' / f'conversation_{language}.yaml')
    speaking, until = False, 0.0
    for event in simulate(manager, script.inputs(language)):
        speaking = event.speaking if event.speaking is not None else speaking
        action = event.action
        if action is not None and action.action == 'yield':
            until = event.stamp
        if action is None or not action.utterance or action.rule.startswith('service'):
            continue
        assert not speaking, action
        assert event.stamp >= until, action
        until = event.stamp + len(action.utterance.split()) * 60 / 150


@pytest.mark.skipif(not DOCUMENT.exists(), reason='an installation has no documents beside it')
def test_the_document_shows_what_the_care_home_example_gives():
    script = load_script(ROOT / 'examples' / 'dialogue' / 'care_home.yaml')
    verdict, manager = ScriptChecker(script, 'en'), DialogueManager.load()
    told = [script.about]
    for event in simulate(manager, script.inputs('en')):
        told += as_text(event, verdict(event))
    text = DOCUMENT.read_text(encoding='utf-8').splitlines()
    begin = text.index(f'    {script.about}')
    end = next(i for i in range(begin, len(text)) if not text[i])
    assert end - begin > 10
    assert [line[4:] for line in text[begin:end]] == told[: end - begin]
