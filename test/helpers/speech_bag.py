"""Speech for bags of tests: messages on the dialogue manager's topics, and who hears them live."""

from __future__ import annotations

import math
from collections.abc import Iterable

from hypothesis import strategies as st

from emotion_estimator.bags.messages import make, serialize
from emotion_estimator.bags.speech import BOOL, SPEECH_TOPICS, STRING, SpeechMessage
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.frame import FrameResult

USER, SAID, ROBOT = SPEECH_TOPICS


def speaking(value: bool = True) -> SpeechMessage:
    return SpeechMessage(USER, speaking=value)


def said(text: str) -> SpeechMessage:
    return SpeechMessage(SAID, text=text)


def voice(value: bool = True) -> SpeechMessage:
    return SpeechMessage(ROBOT, speaking=value)


def speech_bytes(speech: SpeechMessage) -> bytes:
    """Return the message's CDR."""
    if speech.name == SAID:
        return serialize(make(STRING, data=speech.text))
    return serialize(make(BOOL, data=speech.speaking))


def recorded(speech: SpeechMessage, time: int, namespace: str = '') -> tuple[str, str, int, bytes]:
    """Return the message as :func:`bag_making.write_bag` takes it; ``time`` in nanoseconds."""
    kind = SPEECH_TOPICS[speech.name]
    return f'{namespace}/{speech.name}', kind, time, speech_bytes(speech)


#: Any report; without the empty text, which bags may not be able to hold.
any_speech = st.one_of(
    st.booleans().map(speaking),
    st.booleans().map(voice),
    st.sampled_from(['no', 'yes, I like it', 'Ich möchte nicht darüber reden', '?']).map(said),
)


def answers_live(
    manager: DialogueManager, inputs: Iterable[FrameResult | SpeechMessage], know_others: bool
) -> list:
    """Return the actions that follow from inputs in this order, as in the live node.

    Written out here, so that nothing of the replay is tested against itself.
    """
    last = math.nan
    actions = []
    for given in inputs:
        if isinstance(given, FrameResult):
            last = given.stamp
            face = given.faces[0] if given.faces else None
            others = given.faces[1:] if know_others else None
            actions.append(manager(face, given.stamp, others))
        elif given.name == USER:
            manager.user_speaking(given.speaking, last)
        elif given.name == SAID:
            manager.user_said(given.text, last)
        else:
            manager.robot_speaking(given.speaking, last)
    return [action for action in actions if action is not None]
