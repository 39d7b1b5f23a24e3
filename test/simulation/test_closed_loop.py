"""A dialogue manager in conversation with a simulated person, and what is recorded of it."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from emotion_estimator.dialogue.conversation_file import parse_conversation
from emotion_estimator.dialogue.manager import DialogueManager
from emotion_estimator.emotion import NONE
from emotion_estimator.simulation.closed_loop import (
    VOICE_DELAY,
    VoiceActivity,
    converse,
    transcript,
)
from emotion_estimator.simulation.noise import Noise
from emotion_estimator.simulation.people import PEOPLE, QuietPerson
from emotion_estimator.simulation.person import PersonTraits, SimulatedPerson


class Silent(SimulatedPerson):
    """Is there, and says nothing."""

    def _begin(self):
        self._note()

    def _reply(self, asked):
        pass


class Puppet:
    """Stands for a manager: says what the test wants, and notes what it is told."""

    def __init__(self, says=(), yields=()):
        real = DialogueManager.load()
        self.file, self.policy, self.floor = real.file, real.policy, 'silence'
        self._says, self._yields = dict(says), set(yields)
        self._action = replace(real.start(0.0), action='continue', utterance='')
        self.heard = []

    def __call__(self, face, stamp, others=()):
        at = round(stamp, 3)
        self.heard.append((at, 'face', face.label if face else NONE))
        if at in self._yields:
            return replace(self._action, action='yield', stamp=stamp)
        if at in self._says:
            return replace(self._action, utterance=self._says[at], stamp=stamp)
        return None

    def user_speaking(self, speaking, stamp):
        self.heard.append((stamp, 'speaking', speaking))

    def user_said(self, text, stamp):
        self.heard.append((stamp, 'said', text))

    def robot_speaking(self, speaking, stamp):
        self.heard.append((stamp, 'robot', speaking))


def reports(manager, what):
    return [(stamp, value) for stamp, kind, value in manager.heard if kind == what]


TEN_WORDS = 'one two three four five six seven eight nine ten'


def test_the_robot_speaks_150_words_a_minute():
    manager = Puppet(says={2.0: TEN_WORDS})
    record = converse(manager, Silent(1), 20.0, 10.0, Noise(), 1)
    (move,) = record.utterances
    assert (move.begin, move.end, move.planned_end, move.cut) == (2.0, 6.0, 6.0, '')
    assert reports(manager, 'robot') == [(2.0, True), (6.0, False)]


def test_the_robot_may_speak_more_slowly():
    manager = Puppet(says={2.0: TEN_WORDS})
    record = converse(manager, Silent(1), 20.0, 10.0, Noise(), 1, words_per_minute=120.0)
    assert [(move.begin, move.end) for move in record.utterances] == [(2.0, 7.0)]


def test_a_voice_that_reports_nothing_is_not_reported():
    manager = Puppet(says={2.0: TEN_WORDS})
    converse(manager, Silent(1), 20.0, 10.0, Noise(), 1, reports=False)
    assert reports(manager, 'robot') == []


def test_yielding_cuts_the_utterance_off():
    manager = Puppet(says={2.0: TEN_WORDS}, yields={3.5})
    record = converse(manager, Silent(1), 20.0, 10.0, Noise(), 1)
    (move,) = record.utterances
    assert (move.end, move.planned_end, move.cut) == (3.5, 6.0, 'yield')
    assert [each.action.action for each in record.moves] == ['continue', 'yield']
    assert reports(manager, 'robot') == [(2.0, True), (3.5, False)]


@pytest.mark.parametrize(('yields', 'turns'), [((), 1), ((6.5,), 0)])
def test_a_question_that_was_cut_off_gets_no_answer(yields, turns):
    class Answers(SimulatedPerson):
        traits = PersonTraits(answers=1.0, deaf_at_first=0.0, early=0.0, interrupts=0.0)

        def _begin(self):
            self._note()

    manager = Puppet(says={6.0: 'Do you like tea with milk?'}, yields=yields)
    record = converse(manager, Answers(1), 14.0, 10.0, Noise(), 1)
    assert len(record.turns) == turns


def test_another_utterance_ends_the_first():
    manager = Puppet(says={2.0: TEN_WORDS, 4.0: TEN_WORDS})
    record = converse(manager, Silent(1), 20.0, 10.0, Noise(), 1)
    assert [(m.begin, m.end, m.cut) for m in record.utterances] == [(2, 4, 'next'), (4, 8, '')]


def test_the_record_ends_with_the_conversation():
    record = converse(Puppet(says={2.0: TEN_WORDS}), Silent(1), 5.0, 10.0, Noise(), 1)
    assert [(m.begin, m.end, m.cut) for m in record.utterances] == [(2, 5, 'end')]


def test_questions_are_known_by_mark_and_by_the_file():
    invitation = 'Tell me about tea.'
    topics = {'tea': {'name': 'tea', 'follow_ups': {'neutral': [invitation]}}}
    manager = Puppet(says={2.0: 'How are you?', 20.0: 'I see.', 40.0: f'I see. {invitation}'})
    manager.file = parse_conversation({'topics': topics}, 'test')
    record = converse(manager, Silent(1), 60.0, 10.0, Noise(), 1)
    assert [move.promised > 0 for move in record.utterances] == [True, False, True]


def test_what_the_person_says_is_heard_later():
    manager = Puppet(says=dict.fromkeys((20.0, 50.0, 80.0, 110.0, 140.0), 'How are you?'))
    person = QuietPerson(11)
    record = converse(manager, person, 200.0, 10.0, Noise(), 1)
    spoken = [phrase for turn in record.turns for phrase in turn.phrases]
    assert spoken
    heard = reports(manager, 'speaking')
    assert [value for _, value in heard[:2]] == [True, False]
    for phrase in spoken:
        begun = min(s for s, value in heard if value and s >= phrase.begin)
        assert VOICE_DELAY[0] <= begun - phrase.begin <= VOICE_DELAY[1] + 1e-9
    said = reports(manager, 'said')
    assert [text for _, text in said] == [p.recognised for p in spoken if p.recognised is not None]
    assert all(stamp > phrase.end for (stamp, _), phrase in zip(said, spoken))


def test_voice_activity_bridges_gaps_that_are_shorter_than_its_delay():
    voice, heard = VoiceActivity(1), []
    for on, stamp in ((True, 1.0), (False, 2.0), (True, 2.05), (False, 3.0), (True, 4.0)):
        heard += voice.reports(stamp)
        voice.hear(on, stamp)
    heard += voice.reports(9.0)
    assert [(int(stamp), on) for stamp, on in heard] == [(1, True), (3, False), (4, True)]


def test_a_short_noise_is_reported_as_long_as_it_was():
    voice, heard = VoiceActivity(1), []
    for stamp in range(100):
        voice.hear(True, stamp)
        voice.hear(False, stamp + 0.2)
        heard += voice.reports(stamp + 0.9)
    lasts = [end - begin for (begin, _), (end, _) in zip(heard[::2], heard[1::2])]
    assert lasts == pytest.approx([0.2] * 100)


def test_voice_that_lasts_is_reported_again():
    class Talks(Silent):
        def _begin(self):
            self._take_turn('answer', 40.0, 0.0)
            self._note()

    manager = Puppet()
    converse(manager, Talks(1), 30.0, 10.0, Noise(), 1)
    stamps = [stamp for stamp, speaking in reports(manager, 'speaking') if speaking]
    assert all(after - before <= 6.0 for before, after in pairwise([*stamps, 30.0]))


@pytest.mark.parametrize('kind', PEOPLE)
def test_conversations_are_reproducible(kind):
    records = [
        converse(DialogueManager.load(), PEOPLE[kind](5), 90.0, 10.0, Noise(0.2, 0.4), 5)
        for _ in range(2)
    ]
    assert records[0] == records[1]
    assert records[0].utterances


def test_spans_fill_the_record():
    record = converse(DialogueManager.load(), PEOPLE['restless'](5), 120.0, 10.0, Noise(), 5)
    spans = list(record.spans())
    assert spans[0][0] == 0.0
    assert spans[-1][1] == 120.0
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    for begin, end, state in spans:
        assert record.state((begin + end) / 2) == state


def test_actions_about_an_expression_say_which():
    manager = DialogueManager.load()
    about = {rule.name: rule.emotion for rule in manager.policy.rules}
    found = set()
    for seed in range(3):
        for kind in ('grieving', 'cheerful'):
            record = converse(
                DialogueManager.load(), PEOPLE[kind](seed), 120.0, 10.0, Noise(), seed
            )
            for move in record.moves:
                if move.about:
                    assert about[move.action.rule] == (move.about,)
                found.add(move.about)
    assert found == {'', 'sad', 'happy'}


def test_floors_change():
    record = converse(DialogueManager.load(), PEOPLE['quiet'](5), 120.0, 10.0, Noise(), 5)
    assert all(a[1] != b[1] for a, b in pairwise(record.floors))
    assert {'robot_speaks', 'waiting', 'person_speaks'} <= {floor for _, floor in record.floors}


def test_the_transcript_has_both_sides_on_one_axis():
    record = converse(DialogueManager.load(), PEOPLE['talkative'](5), 60.0, 10.0, Noise(), 5)
    lines = list(transcript(record))
    stamps = [float(line.split(' s ')[0]) for line in lines]
    assert stamps == sorted(stamps)
    assert any('ROBOT' in line for line in lines)
    assert any('PERSON' in line for line in lines)
    assert not list(transcript(record, 70.0, math.inf))
