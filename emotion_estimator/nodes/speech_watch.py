"""What is wrong with the reports about speech, as log lines and as a warning of diagnostics."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from emotion_estimator.dialogue.turns import MAX_WORDS

#: What is wrong and what to do about it, by kind of ``DialogueManager.problems``.
PROBLEMS: dict[str, str] = {
    'user_speaking_expired': (
        'the person was reported to speak and nothing followed, so their turn was ended; let voice '
        'activity detection repeat true while they speak and publish false when they stop'
    ),
    'user_speaking_stuck': (
        'voice activity was true for minutes without a pause, so it is ignored until it is false; '
        'look for a noise, or make voice activity detection less sensitive'
    ),
    'mouth_stuck': (
        "the person's mouth moved as in speech for a minute without a rest, so it is ignored until "
        'it rests; they may be chewing or singing: set hear_face to false where that is usual'
    ),
    'robot_speaking_expired': (
        'dialogue/robot_speaking was true for far longer than the words take, so they were taken '
        'as said; let text-to-speech publish false when it ends'
    ),
    'robot_silent_unasked': (
        'dialogue/robot_speaking was false without a true before it, so it was ignored; let '
        'text-to-speech publish true when it begins'
    ),
    'robot_said_nothing': (
        'no words came for a prompt in time, so the robot said nothing; check that the node that '
        'answers dialogue/prompt is running and publishes dialogue/say'
    ),
    'words_cut': (
        f'a recognised text of more than {MAX_WORDS} characters was cut; publish each utterance on '
        'its own'
    ),
}
#: What happens in any room and is nobody's mistake.
_HARMLESS: dict[str, str] = {
    'words_empty': 'a recognised text was empty and was ignored',
    'voice_blips': 'voice activity was too short for a word and was ignored',
}
#: Seconds for which a problem is a warning, and between two log lines about the same kind.
_RECENT = 30.0
#: Seconds after which a turn is too long for a person who is talked with.
_LONG_TURN = 300.0
#: Seconds that whatever hears the person may need to start.
_STARTS = 10.0


class SpeechWatch:
    """Follows the counts of problems and the floor in real time; of one activation."""

    def __init__(
        self,
        warn: Callable[[str], object],
        debug: Callable[[str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start watching.

        :param warn: called with one line for a problem that somebody should solve.
        :param debug: called with one line for what may happen.
        :param clock: returns real time in seconds.
        """
        self._warn = warn
        self._debug = debug
        self._clock = clock
        self._begin = clock()
        self._counts: dict[str, int] = {}
        self._logged: dict[str, float] = {}
        self._latest: tuple[float, str] | None = None
        self._speaks_since: float | None = None

    def expect(self, problems: Mapping[str, int]) -> None:
        """Take counts that are old: they are no news."""
        self._counts = dict(problems)

    def note(self, problems: Mapping[str, int], floor: str) -> None:
        """Take the counts and the floor as they are now; log what is new.

        :param problems: how often each kind has occurred, as ``DialogueManager.problems``.
        :param floor: one of ``turns.Floor``.
        """
        now = self._clock()
        if floor != 'person_speaks':
            self._speaks_since = None
        elif self._speaks_since is None:
            self._speaks_since = now
        for kind, count in problems.items():
            if count > self._counts.get(kind, 0):
                self._occurred(kind, count, now)
            self._counts[kind] = count

    def problem(self) -> str:
        """Return what has gone wrong lately; empty if nothing has."""
        now = self._clock()
        if self._latest is not None and now - self._latest[0] < _RECENT:
            return self._latest[1]
        if self._speaks_since is None or now - self._speaks_since < _LONG_TURN:
            return ''
        minutes = (now - self._speaks_since) / 60.0
        return (
            f'the person has been speaking for {minutes:.0f} minutes, so the robot says nothing; '
            'look for a television or a noise, or make voice activity detection less sensitive'
        )

    def deaf(self, topics: Sequence[str], publishers: int) -> str:
        """Return a line if nothing tells when the person speaks; empty in the first seconds.

        :param topics: names of the topics on which it could be reported.
        :param publishers: number of publishers on all of them.
        """
        if publishers or self._clock() - self._begin < _STARTS:
            return ''
        return (
            f'nobody publishes {" or ".join(topics)}, so the robot cannot tell when the person '
            'speaks and will talk over them; start voice activity detection'
        )

    def _occurred(self, kind: str, count: int, now: float) -> None:
        harmless = _HARMLESS.get(kind)
        line = harmless or PROBLEMS.get(kind) or f'speech: {kind.replace("_", " ")}'
        if not harmless:
            self._latest = now, line
        if now - self._logged.get(kind, -_RECENT) >= _RECENT:
            self._logged[kind] = now
            (self._debug if harmless else self._warn)(f'{line} ({count} so far)')
