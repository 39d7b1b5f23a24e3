"""A scene for the tests of turns: a face that shows something, a person who speaks, a robot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml
from dialogue_play import face, manager, talk

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.dialogue.conversation_file import parse_conversation
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.dialogue.policy_file import parse_policy

CONFIG = Path(__file__).resolve().parents[2] / 'config'

#: Lines of every kind, none of which is a question unless it says so.
LINES = {
    'start': {'neutral': ['Hello, it is good to see you. {opening}']},
    'resume': {'neutral': ['Welcome back.', 'There you are.']},
    'take_up': {'neutral': ['I was saying: {unfinished}']},
    'answer': {'neutral': ['I see. {follow_up}', 'And what was that like?']},
    'prompt': {'neutral': ['Perhaps: {follow_up}', 'Shall I ask something else?']},
    'continue': {'neutral': ['I like that.', 'Go on.']},
    'acknowledge': {'neutral': ['I am here.', 'Thank you.']},
    'celebrate': {'neutral': ['How nice.']},
    'change_topic': {'neutral': ['Now {topic}. {opening}']},
    'end': {'neutral': ['Goodbye.']},
}

ANSWER = {'name': 'answer', 'event': 'answer', 'action': 'continue', 'line': 'answer'}
GLAD = ANSWER | {'name': 'glad', 'emotion': 'happy', 'share': 0.5, 'held_for': 1.0, 'priority': 1}
SMILE = {
    'name': 'smile', 'emotion': 'happy', 'held_for': 0.5, 'share': 1.0, 'cooldown': 0.0,
    'repeat': 0.0, 'action': 'continue', 'wait': 3.0,
}  # fmt: skip
GREET = {'name': 'greet', 'emotion': 'face', 'held_for': 0.5, 'cooldown': 0.0, 'action': 'resume',
         'priority': 9}  # fmt: skip
LEAVE = {'name': 'leave', 'emotion': 'none', 'held_for': 1.5, 'cooldown': 0.0, 'action': 'pause',
         'priority': 8}  # fmt: skip

#: Frames per second.
FPS = 20


class Scene:
    """Plays a scene to a dialogue manager; times are seconds from its beginning."""

    def __init__(self, decide: DialogueManager | None = None, fps: int = FPS, **rules) -> None:
        self.decide = decide or manager(**rules)
        self.fps = fps
        self.frame = 0
        #: Everything that the robot did.
        self.actions: list[DialogueAction] = []
        #: The floor after each frame.
        self.floors: list[str] = []

    @property
    def now(self) -> float:
        return self.frame / self.fps

    def step(self, label: str, face_id: str = 'a', others: tuple | None = None) -> None:
        action = self.decide(face(label, face_id=face_id), self.now, others)
        if action is not None:
            self.actions.append(action)
        self.floors.append(self.decide.floor)
        self.frame += 1

    def show(self, label: str, seconds: float, **who) -> list[DialogueAction]:
        """Show a face for a while; return what the robot did meanwhile."""
        return self.until(label, lambda end=self.now + seconds: self.now >= end - 1e-9, **who)

    def until(self, label: str, done: Callable[[], bool], **who) -> list[DialogueAction]:
        """Show a face until something is so, ten minutes at most."""
        before, end = len(self.actions), self.now + 600.0
        while not done() and self.now < end:
            self.step(label, **who)
        assert self.now < end, f'still {self.decide.floor}'
        return self.actions[before:]

    def floor(self, label: str, *floors: str) -> list[DialogueAction]:
        """Show a face until one of these has the floor."""
        return self.until(label, lambda: self.decide.floor in floors)

    def speak(self, label: str, seconds: float, words: str = '') -> list[DialogueAction]:
        """Let the person speak; return what the robot did meanwhile."""
        before, end = len(self.actions), self.now + seconds
        while self.now < end - 1e-9:
            self.decide.user_speaking(True, self.now)
            self.step(label)
        if words:
            self.decide.user_said(words, self.now)
        self.decide.user_speaking(False, self.now)
        return self.actions[before:]

    def answer(self, label: str = 'unknown', seconds: float = 3.0, words: str = ''):
        """Wait until the robot has asked, answer, and return what it does then."""
        self.floor(label, 'waiting')
        self.show(label, 0.5)
        assert self.speak(label, seconds, words) == []
        return self.show(label, 2.0)

    @property
    def lines(self) -> list[str]:
        """Kinds of lines that were said, and in parentheses what was done in silence."""
        return [each.line or f'({each.action})' for each in self.actions]


def shipped(**changes) -> Scene:
    """Return a scene with the shipped policy, some fields changed."""
    raw = yaml.safe_load((CONFIG / 'dialogue.yaml').read_text()) | changes
    words = yaml.safe_load((CONFIG / 'conversation_en.yaml').read_text())
    return Scene(
        DialogueManager(parse_policy(raw, 'policy'), parse_conversation(words, 'talk')), fps=10
    )


def decider(*given: dict, lines: dict | None = None, **timing) -> DialogueManager:
    """Return a manager with these rules and the usual times of turns."""
    times = {'min_gap': 0.5, 'after_speaking': 1.2}
    policy = {'rules': list(given) or [ANSWER], **times, **timing}
    conversation = talk(lines=LINES | (lines or {}))
    return DialogueManager(parse_policy(policy, 'policy.yaml'), conversation)


def scene(*given: dict, lines: dict | None = None, **timing) -> Scene:
    return Scene(decider(*given, lines=lines, **timing))
