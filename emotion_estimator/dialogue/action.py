"""What the dialogue manager tells a dialogue engine to do, and why."""

from __future__ import annotations

from dataclasses import dataclass

#: What a dialogue engine may be asked to do.
ACTIONS: tuple[str, ...] = (
    'continue',
    'change_topic',
    'change_approach',
    'check_in',
    'celebrate',
    'pause',
    'resume',
    'end',
)


@dataclass(frozen=True)
class Suppressed:
    """A rule that has its evidence and still may not act.

    :param rule: its name.
    :param why: in words, as ``cooldown, 12.3 s left``.
    """

    rule: str
    why: str

    def __str__(self) -> str:
        """Return one line for people."""
        return f'{self.rule}: {self.why}'


@dataclass(frozen=True)
class DialogueAction:
    """A decision for the dialogue engine.

    :param action: one of ``ACTIONS``.
    :param topic: topic of the conversation from now on.
    :param approach: tone from now on.
    :param utterance: a sentence to say; empty leaves the words to the engine.
    :param reason: the evidence in words.
    :param emotion: the label that decided; empty where a service asked.
    :param confidence: its mean confidence while it held, 0 to 1.
    :param rule: name of the rule, or ``service start`` and the like.
    :param face_id: the face that decided; empty for nobody.
    :param stamp: seconds, of the frame that completed the evidence.
    :param suppressed: rules that would have acted as well, each with what kept it from it.
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
