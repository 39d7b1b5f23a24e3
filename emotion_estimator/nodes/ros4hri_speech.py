"""What people say, from ROS4HRI's voices (REP-155): who speaks, and the recognised text.

The topics are global, as all of ROS4HRI's. Recognisers name their voices in
``/humans/voices/tracked``, often once a second; each voice has ``is_speaking`` and ``speech``.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from rclpy.node import Node
from rclpy.subscription import Subscription
from std_msgs.msg import Bool

from emotion_estimator.nodes import qos
from emotion_estimator.nodes.conversion import seconds
from emotion_estimator.nodes.lifecycle import until_shutdown

if TYPE_CHECKING:
    from rclpy.type_support import MsgT

_VOICES = '/humans/voices'
#: Maximum number of voices that are heard at a time.
_MAX_VOICES = 16
#: Ids that are looked at in one list.
_MAX_LISTED = 256
#: Longest id; a topic's name has 255 characters at most.
_MAX_ID = 100
_VALID_ID = re.compile(r'[A-Za-z][A-Za-z0-9_]*')
#: Characters of a recognised text that are passed on; five minutes of speech have fewer.
_MAX_TEXT = 5000
#: Seconds after the last incremental result for which a voice without ``is_speaking`` speaks.
_PAUSE = 5.0
#: Seconds for which one says that it speaks without any further sign; longer is a lost "false".
_MAX_SPEECH = 60.0
#: Seconds within which the same text without a stamp is the same utterance.
_REPEATED = 1.0
#: Minimum seconds between two log lines about the same oddity.
_LOG_PERIOD = 10.0


def open_ros4hri_speech(
    node: Node,
    on_speaking: Callable[[bool], object],
    on_said: Callable[[str], object],
    now: Callable[[], float] | None = None,
) -> Ros4hriSpeech | None:
    """Return the listener to ROS4HRI's voices; None, with one log line, if hri_msgs is missing.

    :param on_speaking: called with true when anybody begins to speak, and again while they do,
        about once a second; with false when nobody speaks any more.
    :param on_said: called once with the text of each utterance, when it is final.
    :param now: seconds on the time axis of the dialogue; None takes the node's clock.
    """
    try:
        messages = importlib.import_module('hri_msgs.msg')
        for name in ('IdsList', 'LiveSpeech'):
            getattr(messages, name)
    except (ImportError, AttributeError):
        node.get_logger().info(
            f'hri_msgs is not installed; {_VOICES} (ROS4HRI, REP-155) is not heard'
        )
        return None
    return Ros4hriSpeech(node, messages, on_speaking, on_said, now)


@dataclass
class _Voice:
    """One voice: what it does, by the listener's clock, and how it is heard."""

    subscriptions: list[Subscription[Any]] = field(default_factory=list)
    #: Last ``is_speaking``; None before the first.
    flag: bool | None = None
    #: Time of the last sign of speech: a true, or an incremental text.
    sign: float = 0.0
    #: Whether there is an incremental text that has not become final.
    unfinished: bool = False
    #: Last final text, its stamp in seconds, and when it came.
    text: str = ''
    stamp: float = 0.0
    said: float = 0.0

    def speaks(self, now: float) -> bool:
        """Return whether the voice speaks; what it says of itself comes before what it utters."""
        if self.flag is not None:
            return self.flag and 0.0 <= now - self.sign <= _MAX_SPEECH
        return self.unfinished and 0.0 <= now - self.sign <= _PAUSE


class Ros4hriSpeech:
    """Follows ``/humans/voices/tracked`` and hears each voice's ``is_speaking`` and ``speech``.

    Somebody speaks while any voice does. A voice that is no longer tracked has ended. Nothing is
    decided without a message: if a recogniser dies, "speaking" is no longer repeated, and expires
    where it was heard.
    """

    def __init__(
        self,
        node: Node,
        messages: Any,
        on_speaking: Callable[[bool], object],
        on_said: Callable[[str], object],
        now: Callable[[], float] | None = None,
    ) -> None:
        """Start listening.

        :param messages: ``hri_msgs.msg``, or a module with the same two messages.
        :param on_speaking: see :func:`open_ros4hri_speech`, as for ``on_said`` and ``now``.
        """
        self._node = node
        self._messages = messages
        self._on_speaking = on_speaking
        self._on_said = on_said
        self._now = now or (lambda: float(node.get_clock().now().nanoseconds) * 1e-9)
        self._voices: dict[str, _Voice] = {}
        self._speaking = False
        self._said = self._odd = self._stuck = 0
        self._refused: set[str] = set()
        self._left_out = 0
        self._tracked: Subscription[Any] | None = self._listen(
            messages.IdsList, 'tracked', self._on_tracked
        )

    def close(self) -> None:
        """Stop listening; whoever was speaking has ended."""
        if self._tracked is None:
            return
        with until_shutdown(self._node):
            for voice_id in list(self._voices):
                self._drop(voice_id)
            self._node.destroy_subscription(self._tracked)
        self._tracked = None
        self._refused.clear()
        self._report()

    def values(self) -> dict[str, object]:
        """Return metrics by name, for diagnostics."""
        now = self._now()
        return {
            'voices': len(self._voices),
            'voices_speaking': sum(voice.speaks(now) for voice in self._voices.values()),
            'voices_left_out': self._left_out,
            'voices_stuck': self._stuck,
            'voice_texts': self._said,
            'voice_texts_odd': self._odd,
        }

    def problem(self) -> str:
        """Return a line if a voice that is tracked now cannot be heard, otherwise ''."""
        if not self._refused:
            return ''
        some = ', '.join(sorted(map(_shown, self._refused))[:3])
        return (
            f'{len(self._refused)} voices on {_VOICES}/tracked are not heard ({some}): '
            f'at most {_MAX_VOICES}, with ids of letters, digits and _, are'
        )

    def _listen(
        self, kind: type[MsgT], name: str, heard: Callable[[MsgT], None]
    ) -> Subscription[MsgT]:
        return self._node.create_subscription(kind, f'{_VOICES}/{name}', heard, qos.RESULTS)

    def _on_tracked(self, message: Any) -> None:
        ids = list(dict.fromkeys(message.ids[:_MAX_LISTED]))
        for voice_id in self._voices.keys() - set(ids):
            self._drop(voice_id)
        refused = set()
        for voice_id in ids:
            if voice_id in self._voices:
                continue
            if not _is_valid(voice_id) or len(self._voices) >= _MAX_VOICES:
                refused.add(voice_id[: _MAX_ID + 1])
                continue
            self._meet(voice_id)
        self._left_out += len(refused - self._refused)
        self._refused = refused
        if refused:
            self._warn(self.problem())
        now = self._now()
        for voice_id, voice in self._voices.items():
            if voice.flag and not voice.speaks(now):
                voice.flag = False
                self._stuck += 1
                self._warn(
                    f'voice {voice_id} has been speaking for {_MAX_SPEECH:.0f} s without a word; '
                    'taken as ended'
                )
        self._report()

    def _meet(self, voice_id: str) -> None:
        self._voices[voice_id] = _Voice(
            [
                self._listen(Bool, f'{voice_id}/is_speaking', partial(self._on_flag, voice_id)),
                self._listen(
                    self._messages.LiveSpeech,
                    f'{voice_id}/speech',
                    partial(self._on_speech, voice_id),
                ),
            ]
        )

    def _drop(self, voice_id: str) -> None:
        for subscription in self._voices.pop(voice_id).subscriptions:
            self._node.destroy_subscription(subscription)

    def _on_flag(self, voice_id: str, message: Bool) -> None:
        voice = self._voices.get(voice_id)
        if voice is None:
            # It was received before the subscription was destroyed.
            return
        voice.flag = message.data
        if message.data:
            voice.sign = self._now()
        self._report()

    def _on_speech(self, voice_id: str, message: Any) -> None:
        voice = self._voices.get(voice_id)
        if voice is None:
            return
        if message.incremental.strip() and not message.final.strip():
            voice.unfinished = True
            voice.sign = self._now()
            self._report()
        if message.final.strip():
            voice.unfinished = False
            # Before the text: it is what was said in the turn that has ended.
            self._report()
            self._say(voice, self._readable(message.final), seconds(message.header.stamp))

    def _say(self, voice: _Voice, text: str, stamp: float) -> None:
        now = self._now()
        same_time = stamp == voice.stamp if stamp > 0 else 0.0 <= now - voice.said < _REPEATED
        if text == voice.text and same_time:
            return
        voice.text, voice.stamp, voice.said = text, stamp, now
        self._said += 1
        self._on_said(text)

    def _readable(self, final: str) -> str:
        """Return the text on one line, and shortened if it is longer than anybody speaks."""
        text = ' '.join(final[: 2 * _MAX_TEXT].split())
        if len(final) > _MAX_TEXT:
            self._odd += 1
            self._warn(f'a recognised text of {len(final)} characters is cut to {_MAX_TEXT}')
        return text[:_MAX_TEXT]

    def _report(self) -> None:
        now = self._now()
        speaking = any(voice.speaks(now) for voice in self._voices.values())
        if speaking or self._speaking:
            self._on_speaking(speaking)
        self._speaking = speaking

    def _warn(self, line: str) -> None:
        self._node.get_logger().warning(line, throttle_duration_sec=_LOG_PERIOD)


def _is_valid(voice_id: str) -> bool:
    return len(voice_id) <= _MAX_ID and _VALID_ID.fullmatch(voice_id) is not None


def _shown(voice_id: str) -> str:
    return repr(voice_id if len(voice_id) <= 20 else f'{voice_id[:20]}...')
