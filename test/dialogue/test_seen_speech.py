"""The mouth of the person spoken to as voice activity: the setting ``hear_face``."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dialogue_play import face, fired, manager

FPS = 10


def watcher(**changes):
    """Return a manager that watches the face, greets nobody and has answers followed up."""
    decide = manager(
        rules=[{'name': 'reply', 'event': 'answer', 'action': 'continue', 'cooldown': 0.0}],
        **changes,
    )
    decide.hears_face = True
    return decide


class Course:
    """Shows faces to a manager, frame by frame."""

    def __init__(self, decide):
        self.decide, self.now, self.actions = decide, 100.0, []

    def show(self, seconds, speaking=False, face_id='a', others=None):
        """Return the floor after each frame."""
        floors = []
        for _ in range(round(seconds * FPS)):
            seen = face_id and replace(
                face('unknown', face_id=face_id), speaking=0.9 * speaking, is_speaking=speaking
            )
            action = self.decide(seen or None, self.now, others)
            self.actions += [action] if action else []
            floors.append(self.decide.floor)
            self.now += 1 / FPS
        return floors


def test_a_person_who_is_seen_speaking_has_the_floor_until_they_end():
    course = Course(watcher())
    course.show(1.0)
    assert set(course.show(2.0)) == {'silence'}
    assert set(course.show(4.0, speaking=True)[3:]) == {'person_speaks'}
    assert course.actions == []
    floors = course.show(2.0)
    # Pauses for thought belong to the turn: after_speaking is 0.8 s.
    assert set(floors[:7]) == {'person_speaks'}
    assert floors[-1] == 'silence'
    assert fired(course.actions) == ['reply']
    assert 'spoke for 4' in course.actions[0].reason


def test_by_default_only_voices_are_heard():
    course = Course(watcher())
    course.decide.hears_face = False
    course.show(1.0)
    assert set(course.show(5.0, speaking=True)) == {'silence'}
    assert course.actions == []


def test_a_microphone_is_heard_as_well():
    course = Course(watcher())
    course.show(1.0)
    course.decide.user_speaking(True, course.now)
    course.show(2.0, speaking=True)
    assert set(course.show(2.0)) == {'person_speaks'}  # The voice has not ended.
    course.decide.user_speaking(False, course.now)
    assert course.show(2.0)[-1] == 'silence'


def test_no_longer_watching_ends_what_was_seen():
    course = Course(watcher())
    assert course.show(3.0, speaking=True)[-1] == 'person_speaks'
    course.decide.hears_face = False
    assert course.show(1.5, speaking=True)[-1] == 'silence'
    assert not course.decide.context(course.now)['presence']['speaking']


def test_a_mouth_that_never_rests_does_not_silence_the_robot_for_ever():
    course = Course(watcher())
    floors = course.show(70.0, speaking=True)
    assert floors[500] == 'person_speaks'
    assert floors[-1] == 'silence'
    assert course.decide.problems['mouth_stuck'] == 1
    assert 'user_speaking_stuck' not in course.decide.problems
    # It counts again once it has rested.
    course.show(1.0)
    assert course.show(2.0, speaking=True)[-1] == 'person_speaks'


@pytest.mark.parametrize('gone', ['', 'b'])
def test_whoever_is_out_of_view_is_not_seen_speaking(gone):
    course = Course(watcher(short_absence=5.0))
    course.show(2.0, speaking=True, others=())
    floors = course.show(1.5, face_id=gone, others=())
    assert floors[-1] != 'person_speaks'


def test_others_who_speak_do_not_have_the_floor():
    course = Course(watcher(short_absence=5.0))
    course.show(2.0, others=())
    here = replace(face('unknown'), is_speaking=False)
    floors = course.show(3.0, speaking=True, face_id='b', others=(here,))
    assert set(floors) == {'silence'}
