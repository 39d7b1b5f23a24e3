"""Somebody who hears a robot and talks to it, with the truth about what they do."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import ClassVar

from emotion_estimator.emotion import NONE, UNKNOWN
from emotion_estimator.errors import InputError
from emotion_estimator.simulation.sayings import SAYINGS

#: Minimum and maximum, in seconds, of something drawn uniformly.
Span = tuple[float, float]

#: Seconds of a false alarm of the voice activity detection.
FALSE_VOICE = 0.2

#: Absences below this many seconds do not stop somebody who is talking.
_GLANCE = 3.0

#: Seconds for which somebody who has declined to talk does not want to.
_WITHDRAWN = (30.0, 90.0)


@dataclass(frozen=True)
class Spells:
    """How often something begins, at random times, and how long it lasts.

    :param rate: beginnings per minute while it is not in progress.
    :param lasts: minimum and maximum duration in seconds, drawn log-uniformly.
    """

    rate: float
    lasts: Span = (1.0, 1.0)


@dataclass(frozen=True)
class PersonTraits:
    """What makes a kind of person; chances are 0 to 1, durations seconds.

    :param answers: chance of answering a question in words.
    :param nods: chance of nodding instead of answering.
    :param murmurs: chance of answering with a mere "mm-hm".
    :param remarks: chance of replying to a sentence that is no question.
    :param thinks: time before an answer.
    :param talks: length of an answer.
    :param pauses: chance of a thinking pause after each sentence of an answer.
    :param pause: length of such a pause.
    :param early: chance of answering before a question is over.
    :param interrupts: chance of breaking into any sentence of the robot.
    :param yields: chance of falling silent when the robot talks over them.
    :param starts: time of silence after which they begin to talk themselves.
    :param initiative: chance that they do so then.
    :param deaf: chance of not hearing what the robot says.
    :param deaf_at_first: the same for the robot's first question.
    :param mumbles: chance of speech that the recogniser gets wrong: as nothing or not at all.
    :param smiles_telling: chance of a smile while talking.
    :param amused: chance of a smile after the robot's words.
    :param laughs: chance that this is a laugh, which is heard as a voice.
    :param away: absences from the view of the camera.
    :param glances: looks to the side; the face may be lost meanwhile.
    :param asides: speech to somebody else.
    :param smiles: smiles of their own accord.
    :param sadness: sad expressions.
    :param noise: false alarms of the voice activity detection.
    """

    answers: float = 0.85
    nods: float = 0.0
    murmurs: float = 0.05
    remarks: float = 0.3
    thinks: Span = (0.6, 2.0)
    talks: Span = (2.0, 8.0)
    pauses: float = 0.2
    pause: Span = (0.3, 1.0)
    early: float = 0.05
    interrupts: float = 0.02
    yields: float = 0.7
    starts: Span = (15.0, 40.0)
    initiative: float = 0.5
    deaf: float = 0.03
    deaf_at_first: float = 0.2
    mumbles: float = 0.08
    smiles_telling: float = 0.15
    amused: float = 0.1
    laughs: float = 0.1
    away: Spells = Spells(0.03, (6.0, 40.0))
    glances: Spells = Spells(0.5, (0.8, 4.0))
    asides: Spells = Spells(0.05, (2.0, 8.0))
    smiles: Spells = Spells(0.8, (1.0, 6.0))
    sadness: Spells = Spells(0.1, (3.0, 10.0))
    noise: Spells = Spells(0.3, (FALSE_VOICE, FALSE_VOICE))


@dataclass(frozen=True)
class PersonState:
    """The truth about a person, from one moment on until the next state.

    :param stamp: seconds; since when this is so.
    :param label: expression shown; ``none`` while the face is out of view.
    :param present: whether the person is there; they may be there with the face out of view.
    :param attentive: whether they listen to the robot.
    :param speaking: whether they are uttering words, to the robot or to somebody else.
    :param voice: whether the voice activity detection has something to hear: words, sobs, noise.
    :param wants_to_talk: whether they would like to talk.
    """

    stamp: float
    label: str
    present: bool
    attentive: bool
    speaking: bool
    voice: bool
    wants_to_talk: bool


@dataclass(frozen=True)
class Phrase:
    """Words spoken without a pause.

    :param begin: seconds.
    :param end: seconds.
    :param recognised: what the speech recogniser gets, empty for a murmur; None: nothing at all.
    """

    begin: float
    end: float
    text: str
    recognised: str | None


@dataclass(frozen=True)
class SimulatedTurn:
    """What a person says from taking the turn to leaving it, thinking pauses included.

    :param begin: seconds.
    :param end: seconds.
    :param kind: ``answer``, ``remark`` (unasked), ``interruption``, ``telling`` (of something
        sad), ``refusal`` (does not want to talk), ``pardon`` (asks the robot to repeat),
        ``murmur`` (mm-hm), ``nod`` (without words), or ``aside`` (to somebody else).
    :param phrases: what was said, in order.
    :param cut: what broke it off: ``robot`` talked over it, the person ``left``, or nothing.
    """

    begin: float
    end: float
    kind: str
    phrases: tuple[Phrase, ...] = ()
    cut: str = ''

    @property
    def awaits_reaction(self) -> bool:
        """Return whether the person expects the robot to react when the turn is over."""
        return self.kind not in ('murmur', 'nod', 'aside')

    @property
    def text(self) -> str:
        """Return all words."""
        return ' '.join(phrase.text for phrase in self.phrases)


@dataclass
class _OpenTurn:
    """A turn in progress: sentences still to come, each with the pause that follows it."""

    kind: str
    begin: float
    planned: list[tuple[float, str, float]]
    phrases: list[Phrase] = field(default_factory=list)
    #: When the current phrase began, its words and planned length; None in a pause.
    speaks: tuple[float, str, float] | None = None


class SimulatedPerson:
    """Somebody who sees and hears a robot and talks to it.

    The course is a pure function of the seed, of time, and of what the robot says: it does not
    depend on how often it is asked for. Presence, glances, noise and spontaneous moods do not even
    depend on the robot, so that two robots meet the same person.

    Call ``robot_begins`` and ``robot_ends`` when the robot begins and ends to speak, and the
    person with stamps that do not decrease.
    """

    traits: ClassVar[PersonTraits] = PersonTraits()

    def __init__(self, seed: int, language: str = 'en') -> None:
        """Begin at time 0.

        :param seed: the same seed gives the same person.
        :param language: one of ``sayings.SAYINGS``.
        :raises InputError: the language is another one.
        """
        self._seed = seed
        if language not in SAYINGS:
            raise InputError(
                f'people speak {" or ".join(SAYINGS)}, not {language!r}; choose one of these'
            )
        self._sayings = SAYINGS[language]
        self._pace = random.Random(f'{seed} pace').uniform(0.85, 1.15)
        self._draw = random.Random(f'{seed} replies')
        self._turns = random.Random(f'{seed} turns of the head')
        self._agenda: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = count()
        self._now = 0.0
        self._turn: _OpenTurn | None = None
        self._aside = self._noise = self._glance = self._hidden = False
        self._sad = self._heard_a_question = False
        #: Until when they smile, look sad from the last telling, laugh or sob audibly, and do not
        #: want to talk.
        self._smiles = self._saddened = self._sounds = self._withdrawn = -math.inf
        #: Whether what the robot is saying asks something; None while it is silent.
        self._robot_asks: bool | None = None
        #: Counts up to cancel a reply that has not begun, or a phrase that was cut off.
        self._replies = self._speeches = 0
        self._present = True
        self._said: dict[str, int] = {}
        #: What the person did, each change of state in order.
        self.history: list[PersonState] = []
        #: The turns that are over.
        self.turns: list[SimulatedTurn] = []
        #: The phrases that are over, in order, for a speech recogniser.
        self.phrases: list[Phrase] = []
        self._begin()

    def __call__(self, stamp: float) -> PersonState:
        """Return what is true at ``stamp`` seconds, not below earlier stamps."""
        while self._agenda and self._agenda[0][0] <= stamp:
            self._now, _, act = heapq.heappop(self._agenda)
            act(self._now)
            self._note()
        return self.history[-1]

    def turn_so_far(self, stamp: float) -> SimulatedTurn | None:
        """Return the turn in progress, as said until ``stamp`` seconds; None when silent."""
        self(stamp)
        turn = self._turn
        if turn is None:
            return None
        phrases = list(turn.phrases)
        if turn.speaks is not None:
            begin, text, _ = turn.speaks
            phrases.append(Phrase(begin, stamp, text, None))
        return SimulatedTurn(turn.begin, stamp, turn.kind, tuple(phrases))

    def robot_begins(self, asks: bool, stamp: float, seconds: float) -> None:
        """Hear the robot begin to speak.

        :param asks: whether it is about to ask a question.
        :param stamp: seconds.
        :param seconds: how long it will speak.
        """
        self(stamp)
        self._now = stamp
        self._robot_asks = asks
        self._replies += 1
        if self._turn is not None:
            if self._turn.kind != 'aside' and self._chance(self.traits.yields):
                turn = self._turn
                self._later(self._draw.uniform(0.3, 0.8), lambda now: self._give_way(now, turn))
        elif self._listens():
            self._perhaps_break_in(asks, seconds)
        self._note()

    def robot_ends(self, stamp: float, finished: bool = True) -> None:
        """Hear the robot end to speak.

        :param stamp: seconds.
        :param finished: whether it said everything, rather than breaking off.
        """
        self(stamp)
        self._now = stamp
        asked, self._robot_asks = self._robot_asks, None
        if asked is None or self._turn is not None:
            return
        if not finished or not self._listens():
            self._await_silence()
        elif self._is_deaf_to(asked):
            self._miss()
        else:
            self._reply(asked)
            if self._chance(self.traits.amused):
                self._be_amused()
        self._note()

    # What kinds of people do differently.

    def _reply(self, asked: bool) -> None:
        """Plan what follows a sentence of the robot that was heard to its end."""
        traits = self.traits
        if not asked:
            if self._chance(traits.remarks):
                self._plan('remark', self._draw.uniform(*traits.thinks), self._length())
            else:
                self._await_silence()
            return
        what = self._draw.random()
        thinks = self._draw.uniform(*traits.thinks)
        if what < traits.answers:
            self._plan('answer', thinks, self._length())
        elif what < traits.answers + traits.nods:
            self._plan('nod', thinks, 0.0)
        elif what < traits.answers + traits.nods + traits.murmurs:
            self._plan('murmur', thinks, 0.0)
        else:
            self._await_silence()

    def _be_amused(self) -> None:
        lasts = self._draw.uniform(1.0, 4.0)
        self._smile(self._now, lasts)
        if self._chance(self.traits.laughs):
            self._make_sound(min(lasts, self._draw.uniform(0.4, 1.5)))

    def _begins_to_talk(self) -> None:
        """Plan what follows a silence that has lasted."""
        if self._chance(self.traits.initiative):
            self._plan('remark', 0.0, self._length())
        else:
            self._await_silence()

    def _expression(self) -> str:
        """Return the expression while the face is in view."""
        if self._sad or self._saddened > self._now:
            return 'sad'
        return 'happy' if self._smiles > self._now else UNKNOWN

    # Hearing and speaking.

    def _make_sound(self, seconds: float) -> None:
        """Laugh or sob from now on, which the voice activity detection takes for speech."""
        self._sounds = self._until(self._now + seconds)

    def _listens(self) -> bool:
        return self._present and not self._aside

    def _is_deaf_to(self, asked: bool) -> bool:
        """Return whether they do not catch what was said; oftener when first asked something."""
        first = asked and not self._heard_a_question
        self._heard_a_question = self._heard_a_question or asked
        return self._chance(self.traits.deaf_at_first if first else self.traits.deaf)

    def _miss(self) -> None:
        """Ask to repeat what was not caught, or let it pass."""
        if self._chance(0.3):
            self._plan('pardon', self._draw.uniform(0.8, 2.0), 0.0)
        else:
            self._await_silence()

    def _perhaps_break_in(self, asks: bool, seconds: float) -> None:
        """Plan an interruption, or an answer to a question that can be guessed."""
        if self._chance(self.traits.interrupts):
            self._plan('interruption', seconds * self._draw.uniform(0.3, 0.9),
                       self._draw.uniform(0.8, 4.0))  # fmt: skip
        elif asks and self._chance(self.traits.early):
            self._plan('answer', seconds * self._draw.uniform(0.8, 0.98), self._length())

    def _plan(self, kind: str, after: float, length: float) -> None:
        """Begin a turn after some seconds, unless something else comes first."""
        self._replies += 1
        reply = self._replies

        def begin(now: float) -> None:
            if reply == self._replies and self._listens() and self._turn is None:
                self._take_turn(kind, length, now)

        self._later(after, begin)

    def _await_silence(self) -> None:
        """Plan to begin to talk when nobody has spoken for a while."""
        self._replies += 1
        reply = self._replies

        def begin(now: float) -> None:
            if reply != self._replies:
                return
            if self._listens() and self._turn is None and self._robot_asks is None:
                self._begins_to_talk()
            else:
                self._await_silence()

        self._later(self._draw.uniform(*self.traits.starts), begin)

    def _length(self) -> float:
        """Return how long an answer becomes: most are short for the kind, some long."""
        return _log_uniform(self.traits.talks, self._draw)

    def _take_turn(self, kind: str, length: float, now: float) -> None:
        if kind == 'nod':
            self.turns.append(SimulatedTurn(now, now, 'nod'))
            self._await_silence()
            return
        planned: list[tuple[float, str, float]] = []
        total = 0.0
        while not planned or total < length:
            text = self._saying(kind)
            lasts = len(text.split()) * 60 / 150 * self._pace
            if kind == 'murmur':
                lasts = 0.5
            if planned and total + lasts > 1.3 * length:
                break
            pauses = self._chance(self.traits.pauses)
            pause = self._draw.uniform(*self.traits.pause) if pauses else 0.0
            planned.append((lasts, text, pause))
            total += lasts + pause
        self._turn = _OpenTurn(kind, now, planned)
        self._aside = kind == 'aside'
        if kind == 'telling':
            self._saddened = math.inf
        elif kind != 'aside' and self._chance(self.traits.smiles_telling):
            self._later(total / 2, lambda then: self._smile(then, total / 2 + 1.5))
        self._say_next(now)

    def _saying(self, kind: str) -> str:
        """Return something to say that was not said before, as long as there is."""
        pool = self._sayings[kind] if kind in self._sayings else self._sayings['answer']
        fewest = min(self._said.get(text, 0) for text in pool)
        text = self._draw.choice([text for text in pool if self._said.get(text, 0) == fewest])
        self._said[text] = fewest + 1
        return text

    def _say_next(self, now: float) -> None:
        turn = self._turn
        if turn is None:
            return
        if not turn.planned:
            self._end_turn(now)
            return
        lasts, text, pause = turn.planned.pop(0)
        turn.speaks = (now, text, lasts)
        self._speeches += 1
        speech = self._speeches

        def end(then: float) -> None:
            if speech != self._speeches:
                return
            self._end_phrase(then)
            if turn.planned and pause > 0:
                self._later(pause, resume)
            else:
                self._say_next(then)

        def resume(then: float) -> None:
            if speech == self._speeches:
                self._say_next(then)

        self._later(lasts, end)

    def _end_phrase(self, now: float) -> None:
        turn = self._turn
        if turn is None or turn.speaks is None:
            return
        begin, text, lasts = turn.speaks
        words = text.split()
        said = ' '.join(words[: max(1, math.ceil(len(words) * (now - begin) / lasts - 1e-6))])
        recognised: str | None = said
        if turn.kind == 'aside' or self._chance(self.traits.mumbles):
            recognised = self._draw.choice(('', None))
        phrase = Phrase(begin, now, said, recognised)
        turn.phrases.append(phrase)
        self.phrases.append(phrase)
        turn.speaks = None

    def _end_turn(self, now: float, cut: str = '') -> None:
        turn = self._turn
        if turn is None:
            return
        self._end_phrase(now)
        # A pause at the end belongs to no turn.
        end = turn.phrases[-1].end
        self.turns.append(SimulatedTurn(turn.begin, end, turn.kind, tuple(turn.phrases), cut))
        self._turn = None
        self._speeches += 1
        if turn.kind == 'aside':
            self._aside = False
        if turn.kind == 'telling':
            self._saddened = self._until(now + self._draw.uniform(1.0, 4.0))
        if turn.kind == 'refusal':
            self._withdrawn = self._until(now + self._draw.uniform(*_WITHDRAWN))
        if self._robot_asks is None:
            self._await_silence()

    def _give_way(self, now: float, turn: _OpenTurn) -> None:
        if turn is self._turn:
            self._end_turn(now, cut='robot')

    # Moods, presence and noise, which do not depend on the robot.

    def _begin(self) -> None:
        traits = self.traits
        arrival = random.Random(f'{self._seed} arrival')
        if arrival.random() < 0.25:
            self._present = False
            self._later(arrival.uniform(2.0, 15.0), self._come_back)
        self._recur('away', lambda: traits.away, self._leave, self._come_back)
        self._recur('glances', lambda: traits.glances, self._look_away, self._look_back)
        self._recur('asides', lambda: traits.asides, self._speak_aside, lambda now: None)
        self._recur('smiles', lambda: traits.smiles, self._smile, lambda now: None)
        self._recur('sadness', self._sadness, lambda now, _: self._set_sad(True),
                    lambda now: self._set_sad(False))  # fmt: skip
        self._recur('noise', lambda: traits.noise, lambda now, _: self._set_noise(True),
                    lambda now: self._set_noise(False))  # fmt: skip
        self._await_silence()
        self._note()

    def _sadness(self) -> Spells:
        """Return how often they are sad from now on."""
        return self.traits.sadness

    def _recur(
        self,
        name: str,
        spells: Callable[[], Spells],
        begin: Callable[[float, float], None],
        end: Callable[[float], None],
    ) -> None:
        """Let something begin and end at random times of its own.

        :param begin: takes the stamp and the duration.
        """
        draw = random.Random(f'{self._seed} {name}')

        def wait(now: float) -> None:
            spell = spells()
            if spell.rate > 0:
                self._later(draw.expovariate(spell.rate / 60), start)

        def start(now: float) -> None:
            lasts = _log_uniform(spells().lasts, draw)
            begin(now, lasts)
            self._later(lasts, stop)

        def stop(now: float) -> None:
            end(now)
            wait(now)

        wait(self._now)

    def _leave(self, now: float, lasts: float) -> None:
        self._present = False
        if lasts >= _GLANCE and self._turn is not None:
            self._end_turn(now, cut='left')

    def _come_back(self, now: float) -> None:
        self._present = True

    def _look_away(self, now: float, lasts: float) -> None:
        self._glance = True
        # The face is lost when it turns far.
        self._hidden = self._turns.random() < 0.4

    def _look_back(self, now: float) -> None:
        self._glance = self._hidden = False

    def _speak_aside(self, now: float, lasts: float) -> None:
        if self._present and self._turn is None:
            self._replies += 1
            self._take_turn('aside', lasts, now)

    def _smile(self, now: float, lasts: float) -> None:
        self._smiles = self._until(max(self._smiles, now + lasts))

    def _set_sad(self, on: bool) -> None:
        self._sad = on

    def _set_noise(self, on: bool) -> None:
        self._noise = on

    # Bookkeeping.

    def _chance(self, share: float) -> bool:
        return self._draw.random() < share

    def _until(self, stamp: float) -> float:
        """Return ``stamp``, when the state is looked at again."""
        self._later(stamp - self._now, lambda now: None)
        return stamp

    def _later(self, seconds: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._agenda, (self._now + seconds, next(self._number), act))

    def _note(self) -> None:
        """Append the state to the history, if it has changed."""
        in_view = self._present and not self._hidden
        speaking = self._turn is not None and self._turn.speaks is not None
        state = PersonState(
            stamp=self._now,
            label=self._expression() if in_view else NONE,
            present=self._present,
            attentive=self._listens() and not self._glance,
            speaking=speaking,
            voice=speaking or self._noise or self._sounds > self._now,
            wants_to_talk=self._withdrawn <= self._now,
        )
        if not self.history:
            self.history.append(state)
        elif replace(state, stamp=self.history[-1].stamp) != self.history[-1]:
            if self.history[-1].stamp == self._now:
                self.history[-1] = state
            else:
                self.history.append(state)


def _log_uniform(span: Span, draw: random.Random) -> float:
    low, high = span
    return low * math.exp(draw.random() * math.log(high / low))
