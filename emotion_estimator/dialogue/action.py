"""The dialogue manager's decisions: what the robot's dialogue system should do, and why."""

from __future__ import annotations

from dataclasses import dataclass

#: What the dialogue manager may decide.
ACTIONS: tuple[str, ...] = (
    'continue',
    'change_topic',
    'change_approach',
    'check_in',
    'celebrate',
    'acknowledge',
    'yield',
    'pause',
    'resume',
    'end',
)


@dataclass(frozen=True)
class Suppressed:
    """A rule whose evidence is complete but that may not act.

    :param rule: name of the rule.
    :param why: the reason in words, such as ``cooldown, 12.3 s left``.
    """

    rule: str
    why: str

    def __str__(self) -> str:
        """Return rule and reason on one line."""
        return f'{self.rule}: {self.why}'


@dataclass(frozen=True)
class DialogueAction:
    """A decision of the dialogue manager.

    :param action: one of ``ACTIONS``.
    :param topic: id of the conversation's topic from now on.
    :param approach: tone from now on.
    :param utterance: sentence to say; empty leaves the words to the robot's dialogue system.
    :param reason: the evidence in words.
    :param emotion: label that triggered the action; empty when a service requested it.
    :param confidence: mean confidence of the label while it was seen, 0 to 1.
    :param rule: name of the rule, or ``service start`` and the like.
    :param face_id: face that triggered the action; empty for nobody.
    :param stamp: seconds; stamp of the frame that completed the evidence.
    :param line: kind of line that the utterance is, one of ``policy_file.LINES``.
    :param suppressed: other rules with complete evidence, each with why it did not act.
    """

    action: str
    topic: str
    approach: str
    utterance: str
    reason: str
    emotion: str
    confidence: float
    rule: str
    face_id: str
    stamp: float
    suppressed: tuple[str, ...] = ()
    line: str = ''
