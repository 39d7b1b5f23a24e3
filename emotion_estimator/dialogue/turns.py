"""The floor: who is speaking, what was asked, and whether it was answered.

A pure function of time and of what is reported: nothing here reads a clock. Times are seconds on
one axis that never runs backwards, see :class:`evidence.StreamClock`.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from emotion_estimator.dialogue.evidence import TOLERANCE

#: Who has the floor. ``waiting``: the robot has asked and waits for the answer.
Floor = Literal['robot_speaks', 'person_speaks', 'waiting', 'silence', 'nobody']

#: What a rule may react to: the person's turn has ended; they said no, declined to talk, or have
#: not understood; a question got no answer in its time; nobody has spoken for a while; the robot
#: was interrupted; the person left while the robot spoke.
TURN_EVENTS: tuple[str, ...] = (
    'answer', 'said_no', 'refusal', 'other_topic', 'pardon', 'unanswered', 'silence',
    'interrupted', 'left',
)  # fmt: skip

#: Voice activity below this many seconds, without words, is a cough or a chair.
_BLIP = 0.25

#: Seconds of speech without any pause after which a source of voice activity is taken to be stuck:
#: it is not believed before it has reported silence.
_LONGEST_SPEECH = 180.0

#: The same for a mouth that is seen and not heard: whoever chews must not silence the robot for
#: minutes.
_LONGEST_SEEN_SPEECH = 60.0

#: The source of voice activity that watches the person's mouth.
MOUTH = 'face'

#: Both begin to speak together when they do so within this many seconds.
_TOGETHER = 0.8

#: Seconds for which whoever has come back is not spoken to because of the silence.
_SETTLES = 2.0

#: Seconds within which recognised words belong to the turn that has just ended.
_LATE_WORDS = 5.0

#: A robot that reports that it speaks but not that it has finished is believed for this many times
#: the estimated duration, and this many seconds at least.
_ROBOT_FACTOR, _ROBOT_SLACK = 2.0, 8.0

#: One whose words are not known is believed for this many seconds.
_ROBOT_UNKNOWN = 60.0

#: Mean letters of a word with its space, where a language has few spaces or long words.
_LETTERS = 6.0

#: Maximum number of events to keep until they are asked for.
_MAX_EVENTS = 64

#: Maximum characters to keep of the words of one turn, and of the robot's sentence.
MAX_WORDS = 2000

#: Whoever asks to hear it again does so in no more words than these.
_FEW_WORDS = 10

#: Where sentences and their parts end.
_SENTENCES = re.compile(r'[.!?,;:\u3002\uff1f\uff01]+')

#: Latin, full-width, Arabic, Greek and Armenian question marks.
_QUESTION_MARKS = ('?', '\uff1f', '\u061f', ';', '\u055e')
#: Quotation marks and brackets that may follow.
_CLOSERS = ' "\')\u00bb\u00ab\u201c\u201d\u2019'


@dataclass(frozen=True)
class TurnTimes:
    """How turns are timed; all in seconds unless said otherwise.

    :param question_time: time that a question gets before anything else is said.
    :param words_per_minute: the robot's rate of speech, for when its voice reports nothing.
    :param after_speaking: silence after which a person's turn is over.
    :param backchannel: speech over the robot's that lasts no longer ("mm-hm") does not interrupt.
    :param speaking_timeout: an unrepeated report of the person's speech expires after this.
    :param left_after: absence after which the robot breaks off what it is saying.
    :param breath: silence after the robot's own words before it speaks unprompted.
    :param words_within: time that another node, such as a language model, gets to find words.
    """

    question_time: float = 6.0
    words_per_minute: float = 150.0
    after_speaking: float = 1.6
    backchannel: float = 0.7
    speaking_timeout: float = 60.0
    left_after: float = 2.5
    breath: float = 1.0
    words_within: float = 5.0


@dataclass
class PersonTurn:
    """One turn of the person, pauses for thought included.

    :param begin: when they began to speak.
    :param end: when they were last heard.
    :param speech: seconds of speech.
    :param over_robot: whether they began while the robot spoke.
    :param words: what was recognised; may be empty.
    """

    begin: float
    end: float
    speech: float = 0.0
    over_robot: bool = False
    words: str = ''


def speech_seconds(text: str, words_per_minute: float) -> float:
    """Estimate how long it takes to say ``text``; 0 for no words.

    :param words_per_minute: rate of speech, above 0.
    """
    words = max(len(text.split()), len(text.strip()) / _LETTERS)
    return words * 60.0 / words_per_minute


def _plain(text: str) -> str:
    """Return the words of ``text`` in lower case with single spaces, in any script."""
    known = unicodedata.normalize('NFKC', text.casefold()).replace('\u2019', "'")
    kept = (c if c == "'" or unicodedata.category(c)[0] not in 'PSZC' else ' ' for c in known)
    return ' '.join(''.join(kept).split())


def asks(text: str) -> bool:
    """Return whether the last sentence of ``text`` is a question."""
    return text.rstrip(_CLOSERS).endswith(_QUESTION_MARKS)


class Turns:
    """Follows the floor; see ``docs/dialogue.md`` for a table of its states."""

    def __init__(
        self,
        times: TurnTimes,
        refusals: Sequence[str] = (),
        repeats: Sequence[str] = (),
        noes: Sequence[str] = (),
        other_topics: Sequence[str] = (),
    ) -> None:
        """Begin with nobody in view.

        :param refusals: words and phrases, in lower case, by which a person asks to be left alone:
            the event ``refusal``. One or two words count as a sentence of their own, more of them
            wherever they occur.
        :param repeats: likewise, by which a person asks to hear it again: the event ``pardon``. A
            single word counts if nothing else was said, a phrase if it is a sentence of a few.
        :param noes: likewise, that mean no: the event ``said_no``, if it is all that was said.
        :param other_topics: likewise, by which a person asks for another topic, wherever they
            occur: the event ``other_topic``.
        """
        self.times = times
        self.listen_for(refusals, repeats, noes, other_topics)
        #: Reports that contradicted themselves or expired, by kind, for diagnostics.
        self.problems: Counter[str] = Counter()
        #: The person's latest complete turn.
        self.last_turn: PersonTurn | None = None
        #: The sentence that was broken off because the person left or interrupted.
        self.unfinished = ''
        #: Questions in a row that nobody answered.
        self.unanswered = 0
        self._now = 0.0
        self._turn: PersonTurn | None = None
        self._reports: dict[str, float] = {}
        self._since: dict[str, float] = {}
        self._stuck: set[str] = set()
        self._robot_since = self._robot_until = -math.inf
        self._talking = False  # Until the end of the robot's words has been dealt with.
        self._reported: float | None = None
        self._sentence = ''
        self._question: float | None = None
        self._deadline: float | None = None
        self._quiet_since = 0.0
        self._absent_since: float | None = 0.0
        self._returned = -math.inf
        self._interrupted = self._broken_off = self._expected = False
        self._heard: deque[str] = deque(maxlen=_MAX_EVENTS)

    def listen_for(
        self,
        refusals: Sequence[str],
        repeats: Sequence[str] = (),
        noes: Sequence[str] = (),
        other_topics: Sequence[str] = (),
    ) -> None:
        """Take other words and phrases, as in the constructor."""
        self._other_topics = tuple(_plain(each) for each in other_topics)
        self._refusals = tuple(_plain(each) for each in refusals)
        self._repeats = frozenset(_plain(each) for each in repeats)
        self._noes = frozenset(_plain(each) for each in noes)

    # What is reported ---------------------------------------------------------------------------

    def user_speaking(self, speaking: bool, now: float, source: str = 'topic') -> None:
        """Note whether a source of voice activity hears the person, at ``now`` seconds."""
        self._pass(now)
        if source in self._stuck:
            self._stuck -= set() if speaking else {source}
            return
        if speaking:
            self._since.setdefault(source, now)
            if self._turn is None:
                self._turn = PersonTurn(now, now, over_robot=self.robot_active)
                self._interrupted = False
            self._reports[source] = now
        elif self._reports.pop(source, None) is None:
            return  # Many sources repeat that they hear nothing.
        else:
            del self._since[source]
        if self._turn is not None:
            self._turn.end = max(self._turn.end, now)

    def user_said(self, text: str, now: float) -> None:
        """Take recognised words; where no voice activity was reported they are a turn themselves.

        :param text: of one utterance; an empty text counts as a problem and means nothing.
        """
        self._pass(now)
        words = ' '.join(text[: 2 * MAX_WORDS].split())[:MAX_WORDS]
        if len(text) > MAX_WORDS:
            self.problems['words_cut'] += 1
        if not words:
            self.problems['words_empty'] += 1
            return
        if self._turn is not None:
            self._turn.words = f'{self._turn.words} {words}'.strip()[:MAX_WORDS]
            return
        last = self.last_turn
        if last is not None and self._may_be_late(last):
            last.words = f'{last.words} {words}'.strip()[:MAX_WORDS]
            self._heard += self._meant(words)
            return
        turn = PersonTurn(now, now, words=words, over_robot=self.robot_active)
        self._close(turn)

    def robot_speaking(self, speaking: bool, now: float) -> None:
        """Note whether the robot's voice says that it speaks, at ``now`` seconds."""
        self._pass(now)
        if speaking:
            if not self.robot_active:
                self._robot_since = now
                self._end_waiting()
            self._reported = now if self._reported is None else self._reported
            self._talking = True
            if self._expected:
                self._expected, self._robot_until = False, now
            return
        if self._reported is None:
            # It may belong to an earlier sentence.
            self.problems['robot_silent_unasked'] += self.robot_active
            return
        self._reported = None
        self._robot_until = now
        self._robot_ended(now)

    def robot_said(
        self,
        text: str,
        now: float,
        question_time: float,
        asking: bool | None = None,
        sentence: str = '',
    ) -> None:
        """Note that the robot begins to say something, or continues with it.

        :param question_time: seconds that it gets if it is a question.
        :param asking: whether it asks for an answer; None reads it from the text.
        :param sentence: what remains unfinished if it is broken off; empty for the text.
        """
        self._pass(now)
        if not text.strip():
            return
        going_on = self.robot_active and not self._expected
        self._expected = False
        seconds = speech_seconds(text, self.times.words_per_minute)
        self._robot_until = max(self._robot_until, now) + seconds if going_on else now + seconds
        if not going_on:
            self._robot_since, self._broken_off = now, False
        self._sentence, self._talking = (sentence or text)[:MAX_WORDS], True
        self.unfinished = ''
        self._end_waiting()
        asked = asks(text) if asking is None else asking
        # A question that is followed by something else still waits for its answer.
        asked = asked or (going_on and self._question is not None)
        self._question = question_time if asked else None

    def robot_expected(self, now: float, question_time: float | None) -> None:
        """Note that another node was asked for words, which should begin soon.

        :param question_time: seconds that they get if they are a question; None: they are none.
        """
        self._pass(now)
        self._end_waiting()
        self._question = question_time
        self._robot_since, self._robot_until = now, now + self.times.words_within
        self._expected = self._talking = True

    def robot_stops(self, now: float) -> None:
        """Note that the robot was asked to fall silent; what it was saying stays unfinished."""
        self._pass(now)
        if not self.robot_active:
            return
        self.unfinished = '' if self._expected else self._sentence
        self._expected = self._talking = False
        self._robot_until = min(self._robot_until, now)
        self._question = self._reported = None
        self._quiet_since = max(self._quiet_since, now)

    def presence(self, present: bool, now: float, since: float | None = None) -> None:
        """Note whether the person counts as being there, at ``now`` seconds.

        :param since: when they were last seen; None: now.
        """
        self._pass(now)
        if not present:
            if self._absent_since is None:
                self._absent_since = now if since is None else since
            return
        if self._absent_since is None:
            return
        # Silence counts while somebody is there to keep it.
        self._quiet_since += now - max(self._absent_since, self._quiet_since)
        self._absent_since, self._returned = None, now
        self._broken_off = False
        if self._deadline is not None and self._question is not None:
            # Whoever looked away gets the whole time again.
            self._deadline = now + self._question

    def settle(self, now: float) -> None:
        """Note that time has jumped: nothing is said for a moment because of the silence."""
        self._pass(now)
        self._returned = now

    def forget_question(self) -> None:
        """Wait no longer for an answer: the person was away too long, or the topic has changed."""
        self._question = self._deadline = None

    # What follows -------------------------------------------------------------------------------

    @property
    def person_active(self) -> bool:
        """Return whether the person is heard speaking now."""
        return bool(self._reports)

    @property
    def robot_active(self) -> bool:
        """Return whether the robot is speaking, as reported or estimated."""
        return self._reported is not None or self._now < self._robot_until - TOLERANCE

    @property
    def present(self) -> bool:
        """Return whether the person is there: in view, or heard."""
        return self._absent_since is None or self.person_active

    @property
    def to_end_of_turn(self) -> float:
        """Return for how many seconds more the person must be silent for their turn to end."""
        if self._turn is None:
            return 0.0
        return max(0.0, self._turn.end + self.times.after_speaking - self._now)

    @property
    def heard(self) -> bool:
        """Return whether the person is in the middle of a turn that is more than a noise."""
        return self._turn is not None and not self._is_blip(self._turn)

    @property
    def turn(self) -> PersonTurn | None:
        """Return the person's turn in progress, which a pause for thought does not end."""
        return self._turn

    @property
    def floor(self) -> Floor:
        """Return who has the floor."""
        if self.heard:
            return 'person_speaks'
        if self.robot_active:
            return 'robot_speaks'
        if self._turn is not None:
            return 'person_speaks'
        if not self.present:
            return 'nobody'
        return 'silence' if self._deadline is None else 'waiting'

    @property
    def quiet(self) -> float:
        """Return for how many seconds nobody has spoken or been waited for; 0 otherwise.

        Absences do not count; whoever has just come back is left in peace for a moment.
        """
        if self.floor != 'silence' or self._now - self._returned < _SETTLES:
            return 0.0
        return max(0.0, self._now - self._quiet_since)

    @property
    def after_robot(self) -> float:
        """Return how many seconds ago the robot fell silent; 0 while it speaks."""
        return 0.0 if self.robot_active else self._now - max(self._robot_until, self._robot_since)

    def advance(self, now: float) -> Sequence[str]:
        """Advance time to ``now`` and return what has happened: some of ``TURN_EVENTS``.

        ``silence`` is not among them: see :attr:`quiet`.
        """
        self._pass(now)
        happened = tuple(self._heard)
        self._heard.clear()
        return happened

    def _pass(self, now: float) -> None:
        before, self._now = self._now, max(self._now, now)
        self._expire()
        turn = self._turn
        if turn is not None:
            if self.person_active:
                turn.speech += self._now - before
                turn.end = self._now
                self._interrupt(turn)
            elif self._now - turn.end >= self.times.after_speaking - TOLERANCE:
                self._turn = None
                self._close(turn)
        if self._talking and not self.robot_active:
            self._robot_ended(self._robot_until)
        if self._absent_since is not None and self.robot_active and not self._broken_off:
            since = max(self._absent_since, self._robot_since)
            if not self.person_active and self._now - since >= self.times.left_after - TOLERANCE:
                self._broken_off = True
                self._heard.append('left')
        if self._deadline is not None and self._now >= self._deadline - TOLERANCE:
            self._unanswered()

    def _expire(self) -> None:
        for source, reported in tuple(self._reports.items()) if self._reports else ():
            longest = _LONGEST_SEEN_SPEECH if source == MOUTH else _LONGEST_SPEECH
            stuck = self._now > self._since[source] + longest
            if stuck or self._now > reported + self.times.speaking_timeout:
                del self._reports[source], self._since[source]
                what = 'mouth' if source == MOUTH else 'user_speaking'
                self.problems[f'{what}_{"stuck" if stuck else "expired"}'] += 1
                if self._turn is not None and not self._reports:
                    # Nobody knows when they fell silent; they have had their time.
                    self._turn.end = reported
                if stuck:
                    self._stuck.add(source)
        if self._reported is not None:
            estimated = max(self._robot_until, self._reported) - self._reported
            limit = max(_ROBOT_FACTOR * estimated, estimated + _ROBOT_SLACK)
            if estimated <= 0:
                limit = _ROBOT_UNKNOWN
            if self._now > self._reported + limit:
                self._reported, self._robot_until = None, self._now
                self.problems['robot_speaking_expired'] += 1

    def _interrupt(self, turn: PersonTurn) -> None:
        if not self.robot_active or self._interrupted:
            return
        if turn.speech >= self.times.backchannel - TOLERANCE:
            self._interrupted = True
            self._heard.append('interrupted')

    @staticmethod
    def _is_blip(turn: PersonTurn) -> bool:
        return turn.speech < _BLIP and not turn.words

    def _close(self, turn: PersonTurn) -> None:
        blip = turn.speech < _BLIP
        short = blip or (turn.over_robot and turn.speech < self.times.backchannel)
        # Whoever gives way to words that began with theirs, or in their pause, has not answered.
        together = turn.speech > 0 and turn.begin < self._robot_since + _TOGETHER
        gave_way = self.robot_active and not self._interrupted and together
        if gave_way or (short and not turn.words):
            self.problems['voice_blips'] += blip
            if self._question is not None and self._deadline is None and not self.robot_active:
                self._deadline = self._now + self._question
            return
        self.last_turn = turn
        self.unanswered, self.unfinished = 0, ''
        self._question = self._deadline = None
        self._quiet_since = turn.end
        self._heard += ['answer', *self._meant(turn.words)]

    def _may_be_late(self, last: PersonTurn) -> bool:
        """Return whether words that come now are those of the turn that has ended."""
        if self._now - last.end > _LATE_WORDS:
            return False
        # Whoever was heard then, and is not now, has probably not spoken again.
        return not last.words or (last.speech > 0 and self._deadline is None)

    def _meant(self, words: str) -> list[str]:
        """Return ``said_no``, ``other_topic``, ``refusal`` or ``pardon`` if they mean that."""
        said = _plain(words)
        sentences = [plain for each in _SENTENCES.split(words) if (plain := _plain(each))]
        if said in self._noes:
            return ['said_no']
        if any(f' {each} ' in f' {said} ' for each in self._other_topics):
            return ['other_topic']
        for refusal in self._refusals:
            anywhere = refusal.count(' ') > 1 and f' {refusal} ' in f' {said} '
            if anywhere or refusal == said or refusal in sentences:
                return ['refusal']
        again = [each for each in sentences if each in self._repeats]
        few = len(said.split()) <= _FEW_WORDS
        if said in self._repeats or (again and again == sentences):
            return ['pardon']
        return ['pardon'] if few and any(' ' in each for each in again) else []

    def _robot_ended(self, at: float) -> None:
        self._talking = False
        if self._expected:
            self._expected = False
            self.problems['robot_said_nothing'] += 1
        self._quiet_since = max(self._quiet_since, at)
        if self._question is not None and self._turn is None:
            self._deadline = at + self._question

    def _unanswered(self) -> None:
        if self._turn is not None:
            return  # They have just begun; a blip does not count, and is waited for.
        if not self.present:
            return  # The time begins again when they are back.
        self._quiet_since = max(self._quiet_since, self._deadline or self._now)
        self._question = self._deadline = None
        self.unanswered += 1
        self._heard.append('unanswered')

    def _end_waiting(self) -> None:
        self._deadline = None
