"""One line of the conversation, as the page shows it."""

from __future__ import annotations

from dataclasses import dataclass

from emotion_estimator.dialogue.action import DialogueAction

ROBOT, PERSON, NOTE = 'robot', 'person', 'note'


@dataclass(frozen=True)
class Remark:
    """What somebody said, or what the robot did without words.

    :param stamp: seconds, on the clock of the images.
    :param speaker: ``robot``, ``person``, or ``note`` for an action without words.
    :param words: what was said or done.
    :param about: why, for the robot: action, rule and evidence.
    """

    stamp: float
    speaker: str
    words: str
    about: str = ''


def of_action(action: DialogueAction) -> Remark:
    """Return the line that tells of a dialogue action."""
    name = action.action.replace('_', ' ')
    about = f'{name} · {action.rule}: {action.reason}'
    if action.suppressed:
        about += f' · held back: {"; ".join(action.suppressed)}'
    if action.utterance:
        return Remark(action.stamp, ROBOT, action.utterance, about)
    return Remark(action.stamp, NOTE, name, about)
