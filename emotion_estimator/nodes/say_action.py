"""Speaking by way of a ROS action such as ROS4HRI's ``Say``: sentence by sentence, and bounded.

What fills a goal is known for some interfaces (``INTERFACES``), which need not be installed.
"""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action.client import ActionClient
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble has it here only
from rclpy.node import Node
from rclpy.task import Future

from emotion_estimator.errors import InputError, first_line
from emotion_estimator.nodes.lifecycle import until_shutdown
from emotion_estimator.untrusted import quote

#: Words a minute of a slow voice, which care robots are given.
_RATE = 90.0
#: Characters a word, for languages that are written without spaces.
_WORD = 6
#: Seconds to wait for a server that is not found, for its answer to a goal, and for the result
#: beyond the time that the words take, or after a cancellation.
_FIND, _ACCEPT, _LATE, _CANCEL = 2.0, 5.0, 5.0, 2.0
#: Sentences that wait, at most, and characters of a sentence; what is beyond is not said.
_MAX_WAITING, _MAX_TEXT = 20, 4000
#: Seconds between two looks at what is due.
_PERIOD = 0.1


def _for_tts_msgs(goal: Any, text: str, language: str, caller: str) -> None:
    goal.input = text
    # With a country or not at all: a server refuses a locale that it has no voice for.
    goal.locale = _locale(language)


def _for_communication_skills(goal: Any, text: str, language: str, caller: str) -> None:
    goal.input = text
    goal.meta.caller = caller


def _for_audio_common(goal: Any, text: str, language: str, caller: str) -> None:
    goal.text = text
    if language:
        # espeak's names: en, de, en-gb.
        goal.language = language.replace('_', '-').lower()


#: How to fill the goal of each known interface with text, language (BCP 47) and caller's name.
INTERFACES: dict[str, Callable[[Any, str, str, str], None]] = {
    'communication_skills/action/Say': _for_communication_skills,
    'tts_msgs/action/TTS': _for_tts_msgs,
    'audio_common_msgs/action/TTS': _for_audio_common,
}


@dataclass
class _Sentence:
    """What is being said: its text, its goal, and when it has taken too long (steady seconds)."""

    text: str
    language: str
    due: float
    #: What happens when it is due: find, accept, result or cancel.
    waits_for: str = 'find'
    goal: Any = None


class SayAction:
    """Has an action server speak, one sentence after the other.

    ``on_speaking`` is called with true when the first of several sentences has been accepted, and
    with false when the last one has ended, was stopped or failed, also where none was accepted. A
    server that is missing, refuses, fails, dies or does not answer in time costs one log line and a
    count. Where it seems gone, the sentences that wait are dropped, since they would come too late.
    All of this happens in the node's executor, which must be one thread.
    """

    def __init__(
        self,
        node: Node,
        action_name: str,
        interface: str,
        on_speaking: Callable[[bool], object] = lambda speaking: None,
    ) -> None:
        """Create the client.

        :param action_name: such as ``/skill/say`` or ``/tts_engine/tts``.
        :param interface: one of ``INTERFACES``.
        :raises InputError: the interface is not known, or is not installed; names those that are.
        """
        self._node = node
        self._name = action_name
        self._fill = INTERFACES.get(interface)
        self._kind = _action_type(interface)
        self._on_speaking = on_speaking
        try:
            self._client: Any = ActionClient(node, self._kind, action_name)
        except Exception as error:
            # rclpy raises what its helpers raise, such as InvalidTopicNameException.
            raise InputError(f'no action client for {action_name!r}: {first_line(error)}') from None
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_PERIOD, self._look, clock=self._clock)
        self._timer.cancel()
        self._waiting: deque[tuple[str, str]] = deque()
        self._current: _Sentence | None = None
        #: Whether there is something to say since speaking last ended, and whether it has begun.
        self._busy = self._speaking = False
        self._problem = ''
        self._said = self._stopped = self._failed = self._cut = 0

    def say(self, text: str, language: str = '') -> None:
        """Say a sentence after those that are being said; do nothing if it is empty.

        :param language: BCP 47 tag, such as ``en`` or ``en-GB``; empty leaves it to the server.
        """
        text = ' '.join(text[: 2 * _MAX_TEXT].split())
        if not text or self._client is None:
            return
        if len(text) > _MAX_TEXT or len(self._waiting) >= _MAX_WAITING:
            self._cut += 1
            self._warn('speech queue full or sentence too long; the rest is dropped')
            if len(self._waiting) >= _MAX_WAITING:
                return
            text = text[:_MAX_TEXT].rsplit(' ', 1)[0]
        self._waiting.append((text, language))
        self._busy = True
        if self._current is None:
            self._next()

    def stop(self) -> None:
        """Fall silent: cancel what is being said, and forget what waits."""
        self._waiting.clear()
        sentence = self._current
        if sentence is None or sentence.waits_for == 'cancel':
            return
        self._stopped += 1
        if sentence.waits_for == 'find':
            self._end()
            return
        self._cancel(sentence)

    def close(self) -> None:
        """Fall silent, and destroy the client; nothing is said from then on."""
        if self._client is None:
            return
        self.stop()
        with until_shutdown(self._node):
            self._end()
            self._node.destroy_timer(self._timer)
            self._client.destroy()
        self._client = None

    def values(self) -> dict[str, object]:
        """Return metrics by name, for diagnostics."""
        return {
            'say_action': self._name,
            'say_sentences': self._said,
            'say_stopped': self._stopped,
            'say_failed': self._failed,
            'say_left_out': self._cut,
            'say_waiting': len(self._waiting),
        }

    def problem(self) -> str:
        """Return what kept the last sentence from being said; '' once one has been said again."""
        return self._problem

    def _next(self) -> None:
        """Begin the next sentence, or end speaking if there is none."""
        if not self._waiting:
            self._end()
            return
        text, language = self._waiting.popleft()
        self._current = _Sentence(text, language, self._time() + _FIND)
        self._timer.reset()
        self._look()

    def _end(self) -> None:
        self._current = None
        self._timer.cancel()
        if self._busy:
            # Also where it has not begun: whoever counts words may believe that it has.
            self._busy = self._speaking = False
            self._on_speaking(False)

    def _look(self) -> None:
        """Send the goal once the server is there; give up what is due."""
        sentence = self._current
        if sentence is None:
            return
        there = self._client.server_is_ready()
        if sentence.waits_for == 'find' and there:
            self._send(sentence)
        elif sentence.waits_for == 'cancel' and self._time() > sentence.due:
            self._end_of(sentence)
        elif sentence.waits_for == 'result' and not there:
            self._fail(sentence, 'the server has gone', gone=True)
        elif self._time() > sentence.due:
            problem = {
                'find': 'no server is there; start one, or set say_action to its name',
                'accept': f'no answer to a goal for {_ACCEPT:.0f} s',
                'result': f'no result {_LATE:.0f} s after the words should have been said',
            }[sentence.waits_for]
            if sentence.waits_for != 'find':
                self._cancel(sentence)
            self._fail(sentence, problem, gone=True)

    def _send(self, sentence: _Sentence) -> None:
        assert self._fill is not None
        goal = self._kind.Goal()
        self._fill(goal, sentence.text, sentence.language, self._node.get_name())
        sentence.waits_for, sentence.due = 'accept', self._time() + _ACCEPT
        future = self._client.send_goal_async(goal)
        future.add_done_callback(lambda done: self._on_answer(sentence, done))

    def _on_answer(self, sentence: _Sentence, done: Future[Any]) -> None:
        handle = _result(done)
        if handle is not None and handle.accepted:
            sentence.goal = handle
        if sentence is not self._current:
            # Given up before the server answered.
            if sentence.goal is not None:
                sentence.goal.cancel_goal_async()
            return
        if sentence.goal is None:
            if sentence.waits_for == 'cancel':
                self._end_of(sentence)
            else:
                self._fail(sentence, 'the goal was rejected')
            return
        if sentence.waits_for == 'cancel':
            # Stopped before the server answered.
            self._cancel(sentence)
        else:
            words = max(len(sentence.text.split()), len(sentence.text) / _WORD)
            sentence.waits_for = 'result'
            sentence.due = self._time() + words / _RATE * 60.0 + _LATE
            if not self._speaking:
                self._speaking = True
                self._on_speaking(True)
        # A callback may have closed this.
        if self._client is not None:
            result = handle.get_result_async()
            result.add_done_callback(lambda done: self._on_result(sentence, done))

    def _on_result(self, sentence: _Sentence, done: Future[Any]) -> None:
        if sentence is not self._current:
            return
        answer = _result(done)
        status = GoalStatus.STATUS_UNKNOWN if answer is None else answer.status
        if sentence.waits_for == 'cancel':
            self._end_of(sentence)
        elif status == GoalStatus.STATUS_SUCCEEDED:
            self._said += 1
            self._problem = ''
            self._end_of(sentence)
        elif status == GoalStatus.STATUS_CANCELED:
            # Somebody else silenced the robot: not only this sentence.
            self._stopped += 1
            self._waiting.clear()
            self._end_of(sentence)
        else:
            self._fail(sentence, _reason(answer) or 'the goal was aborted')

    def _cancel(self, sentence: _Sentence) -> None:
        sentence.waits_for, sentence.due = 'cancel', self._time() + _CANCEL
        if sentence.goal is not None:
            sentence.goal.cancel_goal_async()

    def _fail(self, sentence: _Sentence, problem: str, gone: bool = False) -> None:
        """Note why a sentence was not said; drop those that wait if the server is ``gone``."""
        self._failed += 1
        self._problem = f'{self._name}: {problem}'
        dropped = len(self._waiting) if gone else 0
        more = f', nor {dropped} more' if dropped else ''
        self._node.get_logger().warning(f'{self._problem}; {_shown(sentence.text)} not said{more}')
        if gone:
            self._waiting.clear()
        self._end_of(sentence)

    def _end_of(self, sentence: _Sentence) -> None:
        if sentence is self._current:
            self._next()

    def _time(self) -> float:
        return float(self._clock.now().nanoseconds) * 1e-9

    def _warn(self, line: str) -> None:
        self._node.get_logger().warning(line, throttle_duration_sec=10.0)


def _action_type(interface: str) -> Any:
    """Return the class of an action's interface.

    :raises InputError: it is not one of ``INTERFACES``, or not installed.
    """
    known = ', '.join(INTERFACES)
    if interface not in INTERFACES:
        raise InputError(f'say_action_type {interface!r} is not known; known are {known}')
    package, _, name = interface.split('/')
    try:
        return getattr(importlib.import_module(f'{package}.action'), name)
    except (ImportError, AttributeError):
        raise InputError(
            f'{package} is not installed, so say_action_type cannot be {interface}; '
            f'install it, or take one of {known}'
        ) from None


def _locale(language: str) -> str:
    """Return a BCP 47 tag with a country as ``en_GB``; '' for one without."""
    parts = language.replace('_', '-').split('-')
    country = next((part for part in parts[1:] if len(part) == 2 and part.isalpha()), '')
    return f'{parts[0].lower()}_{country.upper()}' if country else ''


def _result(done: Future[Any]) -> Any:
    """Return a future's result; None if it failed, or if the client has been destroyed."""
    return None if done.cancelled() or done.exception() is not None else done.result()


def _reason(answer: Any) -> str:
    """Return the server's own words, of those interfaces that carry any, on one line."""
    result = getattr(answer, 'result', None)
    for part in (result, getattr(result, 'result', None)):
        text = getattr(part, 'error_msg', '')
        if isinstance(text, str) and text.strip():
            return quote(' '.join(text[:1000].split()))
    return ''


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f'{text[:37]}...')
