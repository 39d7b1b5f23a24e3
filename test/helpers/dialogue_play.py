"""A small policy and conversation, and courses played to them, for the tests of the dialogue."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.conversation_file import ConversationFile, parse_conversation
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.policy_file import PolicyFile, parse_policy
from emotion_estimator.emotion import LABELS, NONE, FaceEmotion, Roi

#: Rules with times on a grid of 0.1 s, which 10, 20, 30 and 60 frames per second share.
RULES: dict[str, Any] = {
    'min_gap': 1.0,
    'max_step': 2.0,
    # Words take no time and questions wait for nobody; test_turns.py has the turns.
    'words_per_minute': 1_000_000,
    'question_time': 0,
    'after_speaking': 0.8,
    'breath': 0,
    'short_absence': 0,
    'welcome_gap': 0,
    'rules': [
        {'name': 'smile', 'emotion': 'happy', 'held_for': 0.7, 'share': 1.0, 'cooldown': 6.0,
         'repeat': 0.0, 'action': 'continue', 'approach': 'warm'},
        {'name': 'sad', 'emotion': 'sad', 'held_for': 1.5, 'share': 0.8, 'cooldown': 4.0,
         'repeat': 0.0, 'action': 'change_topic', 'approach': 'careful', 'priority': 2},
        {'name': 'long sad', 'emotion': 'sad', 'held_for': 3.0, 'share': 1.0, 'cooldown': 30.0,
         'action': 'check_in', 'priority': 3},
        {'name': 'leave', 'emotion': 'none', 'held_for': 1.5, 'share': 1.0, 'cooldown': 0.0,
         'action': 'pause', 'priority': 9},
        {'name': 'back', 'emotion': 'face', 'held_for': 0.5, 'share': 1.0, 'cooldown': 0.0,
         'action': 'resume'},
        {'name': 'gone', 'emotion': 'none', 'held_for': 8.0, 'share': 0.8, 'cooldown': 0.0,
         'action': 'end'},
    ],
}  # fmt: skip

TALK: dict[str, Any] = {
    'approaches': ['neutral', 'warm', 'careful'],
    'topics': {
        'tea': {
            'name': 'a cup of tea',
            'openings': {'neutral': ['Tea?', 'Black tea?']},
            'follow_ups': {'neutral': ['With milk?', 'With sugar?'], 'warm': ['In a warm cup?']},
            'leads_to': ['music'],
        },
        'music': {'name': 'music', 'openings': {'neutral': ['Music?']}, 'leads_to': ['tea']},
        'cats': {'name': 'cats', 'openings': {'neutral': ['Cats?'], 'careful': ['A soft cat?']}},
    },
    'lines': {
        'continue': {'warm': ['Nice: {topic}.'], 'neutral': ['Go on. {follow_up}']},
        'change_topic': {'neutral': ['{opening}']},
        'resume': {'neutral': ['Back to {topic}.']},
        'start': {'neutral': ['Hello. {opening}']},
        'pause': {'neutral': ['I wait.']},
    },
}


def rules(**changes: Any) -> PolicyFile:
    return parse_policy(copy.deepcopy(RULES) | changes, 'policy.yaml')


def talk(**changes: Any) -> ConversationFile:
    return parse_conversation(copy.deepcopy(TALK) | changes, 'talk.yaml')


def manager(**changes: Any) -> DialogueManager:
    return DialogueManager(rules(**changes), talk())


def rule(name: str, /, **changes: Any) -> dict[str, Any]:
    """Return the rule of ``RULES`` with that name, changed."""
    found = next(each for each in RULES['rules'] if each['name'] == name)
    return found | changes


def face(label: str, confidence: float = 0.9, face_id: str = 'a') -> FaceEmotion | None:
    if label == NONE:
        return None
    probabilities = np.full(len(LABELS), (1 - confidence) / 2, np.float32)
    if label in LABELS:
        probabilities[LABELS.index(label)] = confidence
    return FaceEmotion(face_id, label, confidence, LABELS, probabilities, Roi(0, 0, 9, 9))


def play(
    decide: Callable[[FaceEmotion | None, float], DialogueAction | None],
    course: Iterable[tuple[str, float]],
    fps: float = 30,
    start: float = 100.0,
    **who: Any,
) -> list[DialogueAction]:
    """Feed [(label, seconds)] and return the actions; the last frame is at the course's end."""
    course = list(course)
    labels: list[str] = []
    for label, seconds in course:
        labels += [label] * round(seconds * fps)
    labels.append(course[-1][0])
    actions = [decide(face(label, **who), start + i / fps) for i, label in enumerate(labels)]
    return [action for action in actions if action]


def fired(actions: Iterable[DialogueAction]) -> list[str]:
    return [action.rule for action in actions]
