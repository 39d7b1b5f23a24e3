"""docs/dialogue.md is true: its YAML loads, its numbers and names are those of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import yaml

from emotion_estimator.dialogue.action import ACTIONS
from emotion_estimator.dialogue.conversation_file import parse_conversation
from emotion_estimator.dialogue.debounce import BELIEVE, BELIEVE_OTHERS
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.policy_file import parse_policy

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / 'docs' / 'dialogue.md').read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf'```{language}\n(.*?)```', TEXT, re.S)


def documents() -> list[dict]:
    return [yaml.safe_load(block) for block in blocks('yaml')]


def test_the_documented_rules_load_with_the_shipped_conversation():
    shown = next(document for document in documents() if 'rules' in document)
    shipped = yaml.safe_load((ROOT / 'config' / 'conversation_en.yaml').read_text())
    DialogueManager(parse_policy(shown, 'docs'), parse_conversation(shipped, 'shipped'))


def test_the_documented_conversation_loads():
    shown = next(document for document in documents() if 'lines' in document)
    rules = {'rules': [{'name': 'gloom', 'emotion': 'sad', 'action': 'change_topic'}]}
    manager = DialogueManager(parse_policy(rules, 'test'), parse_conversation(shown, 'docs'))
    said = [
        manager.start(0.0).utterance,
        manager.choose_topic('garden', 10.0).utterance,
        manager.end(20.0).utterance,
    ]
    assert all(said) and len(set(said)) == 3


def test_every_action_is_explained():
    rows = re.findall(r'^\| ((?:`\w+`(?:, )?)+) \| ', TEXT, re.M)
    assert set(ACTIONS) <= {name for row in rows for name in re.findall(r'\w+', row)}


def test_the_documented_times_are_the_defaults():
    text = ' '.join(TEXT.split())
    assert (BELIEVE['happy'], BELIEVE['sad'], BELIEVE['unknown']) == (0.4, 2.0, 1.0)
    assert (BELIEVE['none'], BELIEVE_OTHERS) == (1.0, 1.0)
    assert 'happy 0.4 s, sad 2 s, unknown and `none` (nobody) 1 s, any other 1 s' in text


def test_documented_python_compiles_and_links_exist():
    for block in blocks('python'):
        ast.parse(block)
    for target in re.findall(r'\]\((\.\./[^)#]+)\)', TEXT):
        assert (ROOT / 'docs' / target).exists(), target
