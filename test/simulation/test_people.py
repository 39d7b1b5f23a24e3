"""Simulated people do what their kind does, whatever the rate, and tell the truth about it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from emotion_estimator.emotion import NONE
from emotion_estimator.errors import InputError
from emotion_estimator.simulation.people import (
    PEOPLE,
    CheerfulPerson,
    GrievingPerson,
    QuietPerson,
    RestlessPerson,
    TalkativePerson,
)
from emotion_estimator.simulation.person import (
    FALSE_VOICE,
    PersonTraits,
    SimulatedPerson,
    Spells,
)
from emotion_estimator.simulation.sayings import SAYINGS

NEVER = Spells(0.0)
#: Somebody who does nothing by themselves and answers each question.
PLAIN = {
    'answers': 1.0,
    'murmurs': 0.0,
    'remarks': 0.0,
    'early': 0.0,
    'interrupts': 0.0,
    'initiative': 0.0,
    'deaf': 0.0,
    'deaf_at_first': 0.0,
    'mumbles': 0.0,
    'smiles_telling': 0.0,
    'laughs': 0.0,
    'amused': 0.0,
    'away': NEVER,
    'glances': NEVER,
    'asides': NEVER,
    'smiles': NEVER,
    'sadness': NEVER,
    'noise': NEVER,
}


def person_with(seed=1, **traits):
    class Person(SimulatedPerson):
        pass

    Person.traits = PersonTraits(**{**PLAIN, **traits})
    # Nobody arrives late, so that times can be counted on.
    while not (person := Person(seed)).history[0].present:
        seed += 1
    return person


def interview(person, seconds, step=0.1, question=3.0):
    """Ask a question whenever both have been silent for 8 s; return when each was over."""
    asked, ends, quiet = [], None, 0.0
    for tick in range(round(seconds / step)):
        stamp = tick * step
        if ends is not None and stamp >= ends:
            person.robot_ends(ends)
            asked.append(ends)
            ends = None
        speaking = person(stamp).speaking
        quiet = 0.0 if speaking or ends is not None else quiet + step
        if quiet > 8.0:
            ends, quiet = stamp + question, 0.0
            person.robot_begins(True, stamp, question)
    return asked


def spans(history, seconds):
    ends = [state.stamp for state in history[1:]] + [seconds]
    return [(state, end - state.stamp) for state, end in zip(history, ends)]


def delays(person, asked):
    """Return how long after each question the answer to it began, unless it was before its end."""
    turns = [turn for turn in person.turns if turn.kind == 'answer']
    for end, following in pairwise([*asked, float('inf')]):
        answers = [t.begin for t in turns if end <= t.begin < following - 3.0]
        yield from [begin - end for begin in answers[:1]]


@pytest.mark.parametrize('kind', PEOPLE)
def test_the_course_does_not_depend_on_how_often_it_is_looked_at(kind):
    often, seldom = PEOPLE[kind](7), PEOPLE[kind](7)
    for begin in range(10, 300, 20):
        for tick in range(begin * 10, begin * 10 + 200):
            often(tick / 10)
        for person in (often, seldom):
            person.robot_begins(begin % 40 == 10, begin + 20.0, 3.0)
            person.robot_ends(begin + 23.0)
    often(400.0)
    seldom(400.0)
    assert often.history == seldom.history
    assert often.turns == seldom.turns != []


@pytest.mark.parametrize('kind', PEOPLE)
def test_seeds_make_people(kind):
    one, same, another = PEOPLE[kind](1), PEOPLE[kind](1), PEOPLE[kind](2)
    for person in (one, same, another):
        interview(person, 300)
    assert one.history == same.history != another.history
    assert one.turns == same.turns != another.turns


@pytest.mark.parametrize('kind', PEOPLE)
def test_who_comes_and_goes_does_not_ask_the_robot(kind):
    with_robot, alone = PEOPLE[kind](3), PEOPLE[kind](3)
    interview(with_robot, 300)
    alone(300.0)
    presence = [
        [(a.stamp, b.present) for a, b in pairwise(p.history) if a.present != b.present]
        for p in (with_robot, alone)
    ]
    # The stamps of the states before each change differ, since other things change as well.
    assert [there for _, there in presence[0]] == [there for _, there in presence[1]]


def test_states_are_the_truth():
    for kind, seed in [(kind, seed) for kind in PEOPLE for seed in range(4)]:
        person = PEOPLE[kind](seed)
        interview(person, 600)
        assert all(a.stamp < b.stamp for a, b in pairwise(person.history))
        for state in person.history:
            assert state.label in ('happy', 'sad', 'unknown', NONE)
            assert state.present or state.label == NONE
            assert state.voice or not state.speaking
        person(600.0)
        spoken = sum(p.end - p.begin for turn in person.turns for p in turn.phrases)
        said = sum(lasts for state, lasts in spans(person.history, 600) if state.speaking)
        in_progress = person.turn_so_far(600.0)
        rest = sum(p.end - p.begin for p in in_progress.phrases) if in_progress else 0.0
        assert said == pytest.approx(spoken + rest, abs=1e-6)
        for before, after in pairwise(t for t in person.turns if t.kind != 'nod'):
            assert before.begin < before.end <= after.begin


def test_a_question_is_answered_when_it_has_been_said():
    person = person_with(thinks=(1.0, 1.0), talks=(3.0, 3.0))
    person.robot_begins(True, 5.0, 4.0)
    assert not person(8.9).speaking
    person.robot_ends(9.0)
    assert not person(9.9).speaking
    assert person(10.1).speaking
    person(60.0)
    (turn,) = person.turns
    assert turn.kind == 'answer'
    assert turn.begin == pytest.approx(10.0)
    assert turn.awaits_reaction
    assert turn.text in ' '.join(p.recognised for p in turn.phrases)


def test_a_question_that_was_broken_off_is_not_answered():
    person = person_with()
    person.robot_begins(True, 5.0, 4.0)
    person.robot_ends(6.0, finished=False)
    person(60.0)
    assert not person.turns


def test_the_next_words_of_the_robot_replace_an_answer_that_has_not_begun():
    person = person_with(thinks=(3.0, 3.0))
    person.robot_begins(True, 5.0, 2.0)
    person.robot_ends(7.0)
    person.robot_begins(False, 8.0, 4.0)
    person.robot_ends(12.0)
    person(60.0)
    assert not person.turns


@pytest.mark.parametrize(('yields', 'cut'), [(1.0, 'robot'), (0.0, '')])
def test_some_fall_silent_when_the_robot_talks_over_them(yields, cut):
    person = person_with(yields=yields, thinks=(1.0, 1.0), talks=(20.0, 20.0))
    person.robot_begins(True, 1.0, 2.0)
    person.robot_ends(3.0)
    assert person(8.0).speaking
    person.robot_begins(True, 8.0, 4.0)
    person(9.0)
    assert [turn.cut for turn in person.turns] == ([cut] if cut else [])
    assert person.history[-1].speaking is not bool(cut)
    person.robot_ends(12.0)
    person(60.0)
    assert person.turns[0].cut == cut
    if cut:
        # Half a sentence was said, and recognised.
        last = person.turns[0].phrases[-1]
        whole = next(text for text in SAYINGS['en']['answer'] if text.startswith(last.text))
        assert last.recognised == last.text
        assert len(last.text) <= len(whole)


def test_the_deaf_hear_nothing_or_ask():
    asks = Counter()
    for seed in range(60):
        person = person_with(seed, deaf_at_first=1.0)
        person.robot_begins(True, 1.0, 2.0)
        person.robot_ends(3.0)
        person(10.0)
        asks[person.turns[0].kind if person.turns else 'nothing'] += 1
        person.robot_begins(True, 20.0, 2.0)
        person.robot_ends(22.0)
        person(60.0)
        assert person.turns[-1].kind == 'answer'
    assert set(asks) == {'pardon', 'nothing'}


def test_mumbling_is_not_recognised():
    person = person_with(mumbles=1.0)
    interview(person, 300)
    assert {phrase.recognised for turn in person.turns for phrase in turn.phrases} == {'', None}


def test_false_voice_is_short_and_no_speech():
    person = person_with(noise=Spells(6.0, (FALSE_VOICE, FALSE_VOICE)))
    person(600.0)
    heard = [(s, lasts) for s, lasts in spans(person.history, 600) if s.voice]
    assert len(heard) > 20
    assert all(lasts == pytest.approx(0.2) and not s.speaking for s, lasts in heard)


def test_some_laugh_audibly_without_words():
    person = person_with(amused=1.0, laughs=1.0, thinks=(6.0, 6.0))
    person.robot_begins(True, 1.0, 2.0)
    person.robot_ends(3.0)
    state = person(3.1)
    assert (state.voice, state.speaking, state.label) == (True, False, 'happy')
    assert not person(4.6).voice


def test_speech_to_somebody_else_awaits_nothing():
    person = person_with(asides=Spells(3.0, (2.0, 6.0)))
    person(300.0)
    assert {turn.kind for turn in person.turns} == {'aside'}
    assert not any(turn.awaits_reaction for turn in person.turns)
    assert any(state.speaking and not state.attentive for state in person.history)


def test_whoever_leaves_stops_talking_but_not_for_a_glance():
    person = person_with(away=Spells(4.0, (5.0, 30.0)), talks=(15.0, 20.0), thinks=(0.1, 0.2))
    interview(person, 1200)
    assert 'left' in {turn.cut for turn in person.turns}
    assert not any(state.speaking and not state.present for state in person.history)


def all_of(kind, people=12, seconds=600):
    people = [kind(seed) for seed in range(people)]
    asked = [interview(person, seconds) for person in people]
    turns = [turn for person in people for turn in person.turns]
    return people, asked, turns


def test_the_talkative_answer_quickly_and_long_with_pauses():
    people, asked, turns = all_of(TalkativePerson)
    answers = [t for t in turns if t.kind == 'answer' and not t.cut]
    lengths = [t.end - t.begin for t in answers]
    assert 4.0 <= sum(lengths) / len(lengths) <= 25.0
    assert max(lengths) > 15.0
    pauses = [b.begin - a.end for t in answers for a, b in pairwise(t.phrases) if b.begin > a.end]
    assert 0.8 < max(pauses) <= 1.5
    assert max(d for p, q in zip(people, asked) for d in delays(p, q)) <= 1.0


def test_the_quiet_think_before_they_say_little():
    people, asked, turns = all_of(QuietPerson)
    kinds = Counter(turn.kind for turn in turns)
    assert min(kinds[kind] for kind in ('answer', 'murmur', 'nod')) > 5
    waits = [d for p, q in zip(people, asked) for d in delays(p, q)]
    assert min(waits) >= 2.0
    assert max(waits) <= 5.5
    assert max(t.end - t.begin for t in turns if t.kind == 'answer') < 8.0


def test_the_restless_come_and_go():
    people, _, turns = all_of(RestlessPerson)
    away = [
        lasts
        for person in people
        for state, lasts in spans(person.history, 600)
        if not state.present
    ]
    assert len(away) > 30
    assert max(away) > 20.0
    assert any(turn.cut == 'left' for turn in turns)
    # A face is out of view at times while the person is there.
    assert any(s.present and s.label == NONE for person in people for s in person.history)


def test_the_grieving_are_sad_and_tell_it_or_do_not_want_to():
    people, _, turns = all_of(GrievingPerson, people=20)
    kinds = Counter(turn.kind for turn in turns)
    assert kinds['telling'] > 20
    assert kinds['refusal'] > 5
    for turn in turns:
        if turn.kind == 'telling':
            person = next(p for p in people if turn in p.turns)
            during = [s.label for s in person.history if turn.begin < s.stamp < turn.end]
            assert set(during) <= {'sad', NONE}
    assert any(not state.wants_to_talk for person in people for state in person.history)
    # Some cry audibly, without words.
    assert any(
        lasts > 1.0 and state.voice and not state.speaking
        for person in people
        for state, lasts in spans(person.history, 600)
    )
    sad = [0.0, 0.0]
    for person in people:
        for state, lasts in spans(person.history, 600):
            sad[state.stamp > 300] += lasts * (state.label == 'sad')
    assert sad[1] < 0.75 * sad[0]


def test_the_cheerful_break_in_and_smile():
    people, asked, turns = all_of(CheerfulPerson)
    assert sum(turn.kind == 'interruption' for turn in turns) > 10
    begun = [turn.begin for p, q in zip(people, asked) for turn in p.turns for end in q
             if end - 3.0 < turn.begin < end]  # fmt: skip
    assert len(begun) > 0.15 * sum(len(each) for each in asked)
    smiles = sum(lasts for p in people for s, lasts in spans(p.history, 600) if s.label == 'happy')
    assert 0.1 < smiles / (600 * len(people)) < 0.6


def test_people_speak_german():
    person = QuietPerson(1, language='de')
    interview(person, 300)
    known = {text for pool in SAYINGS['de'].values() for text in pool}
    assert {
        phrase.text for turn in person.turns for phrase in turn.phrases if not turn.cut
    } <= known


def test_an_unknown_language_is_refused():
    with pytest.raises(InputError, match='en or de'):
        QuietPerson(1, language='fr')


def test_both_languages_have_the_same_kinds_of_sayings():
    assert {frozenset(pools) for pools in SAYINGS.values()} == {frozenset(SAYINGS['en'])}
