"""Who is there, and whom of several people the robot talks to."""

from __future__ import annotations

import pytest
from dialogue_play import face, rules

from emotion_estimator.dialogue.presence import Addressee, Presence
from emotion_estimator.emotion import UNKNOWN

FPS = 10


class Eyes:
    """Frames of several faces, one after the other, and whose face the addressee returns."""

    def __init__(self, gone_after: float = 3.0) -> None:
        self.addressee = Addressee(gone_after)
        self.frame = 0
        self.changes: list[str] = []

    def see(
        self, people: str, seconds: float = 1 / FPS, known: bool = True, telling: bool = False
    ) -> list[tuple]:
        """Show faces for a while; the first letter is the primary face, '' is nobody."""
        found = []
        for _ in range(round(seconds * FPS)):
            stamp = 100 + self.frame / FPS
            primary, *others = (face('happy', face_id=each) for each in people or [''])
            got = self.addressee(
                primary if people else None, others if known else None, stamp, telling
            )
            found.append((got.face_id, got.label) if got else None)
            if self.addressee.changed:
                self.changes.append(got.face_id)
            self.frame += 1
        return found


def test_one_person_is_the_one():
    eyes = Eyes()
    assert eyes.see('a', 2) == [('a', 'happy')] * 20
    assert eyes.see('') == [None]
    assert eyes.see('a', 1) == [('a', 'happy')] * 10
    assert eyes.changes == []


def test_somebody_who_comes_nearer_is_not_spoken_to():
    eyes = Eyes()
    eyes.see('a', 2)
    assert set(eyes.see('ba', 30)) == {('a', 'happy')}
    assert set(eyes.see('cba', 30)) == {('a', 'happy')}
    assert eyes.changes == []


def test_the_person_who_is_hidden_for_a_moment_counts_as_there_and_nothing_is_read_from_them():
    eyes = Eyes()
    eyes.see('ab', 2)
    assert eyes.see('b', 2.9) == [('a', UNKNOWN)] * 29
    assert eyes.see('ba', 1) == [('a', 'happy')] * 10
    # Hidden again, they have the whole time again.
    assert set(eyes.see('b', 2.9)) == {('a', UNKNOWN)}
    assert eyes.changes == []


def test_whoever_stays_is_spoken_to_when_the_other_has_clearly_gone():
    eyes = Eyes()
    eyes.see('ab', 2)
    seen = eyes.see('b', 5)
    begin = seen.index(('b', 'happy'))
    assert begin in (30, 31)
    assert set(seen[begin:]) == {('b', 'happy')}
    # From now on the first has no right to the floor.
    assert set(eyes.see('ab', 5)) == {('b', 'happy')}
    assert eyes.changes == ['b']


@pytest.mark.parametrize('gone_after', [1.0, 5.0])
def test_how_long_they_may_be_out_of_view_is_set(gone_after):
    eyes = Eyes(gone_after)
    eyes.see('ab', 2)
    assert eyes.see('b', 8).index(('b', 'happy')) == pytest.approx(10 * gone_after, abs=1)
    eyes.addressee.gone_after = 2.0
    assert eyes.see('a', 8).index(('a', 'happy')) == pytest.approx(20, abs=1)
    assert eyes.changes == ['b', 'a']


def test_nobody_takes_the_place_of_whoever_is_telling_something():
    eyes = Eyes()
    eyes.see('ab', 2)
    # The tracker has given them another id.
    assert eyes.see('b', 5, telling=True)[-1] == ('b', 'happy')
    assert eyes.see('b', 5)[-1] == ('b', 'happy')
    assert eyes.changes == []
    eyes.see('c', 5)
    assert eyes.changes == ['c']


def test_three_people_the_first_leaves_then_the_second():
    eyes = Eyes()
    eyes.see('abc', 2)
    assert eyes.see('bc', 5)[-1] == ('b', 'happy')
    assert eyes.see('cb', 5)[-1] == ('b', 'happy')
    assert eyes.see('c', 5)[-1] == ('c', 'happy')
    assert eyes.changes == ['b', 'c']


@pytest.mark.parametrize('hidden', [0.4, 1.0, 2.5])
def test_another_id_after_a_moment_without_any_face_is_the_same_person(hidden):
    eyes = Eyes()
    eyes.see('a', 2)
    eyes.see('', hidden)
    assert set(eyes.see('b', 2)) == {('b', 'happy')}
    assert eyes.changes == []


def test_an_id_that_changes_from_one_frame_to_the_next_is_waited_for():
    eyes = Eyes()
    eyes.see('a', 2)
    assert eyes.see('b', 1) == [('a', UNKNOWN)] * 10
    assert eyes.see('b', 3)[-1] == ('b', 'happy')
    assert eyes.changes == ['b']


def test_where_the_other_faces_are_not_known_the_primary_face_is_the_one():
    eyes = Eyes()
    assert eyes.see('a', 1, known=False) == [('a', 'happy')] * 10
    assert eyes.see('b', 1, known=False) == [('b', 'happy')] * 10
    assert eyes.changes == []


def test_stamps_that_go_back_begin_again():
    eyes = Eyes()
    eyes.see('a', 2)
    eyes.frame = -1000
    assert eyes.see('b', 1) == [('b', 'happy')] * 10
    assert eyes.changes == []


# Presence ---------------------------------------------------------------------------------------


class Door:
    """Frames with or without a face, and what is true after the last of them."""

    def __init__(self, **changes: float) -> None:
        self.file = rules(lost_after=1.0, returned_for=3.0, hold=0.5, **changes)
        self.presence = Presence(self.file)
        self.now = 0.0

    def see(self, present: bool, seconds: float = 0.1) -> tuple[str, ...]:
        events: tuple[str, ...] = ()
        for _ in range(round(seconds * FPS)):
            self.presence.advance(self.now)
            events = self.presence.observe(present, self.now)
            self.now = round(self.now + 1 / FPS, 6)
        return events


def test_an_empty_room_has_lost_nobody():
    door = Door()
    assert door.see(False, 10) == ('none',)
    assert not door.presence.there


def test_the_first_face_has_not_returned():
    door = Door()
    assert door.see(True) == ('face',)
    assert door.presence.there


def test_whoever_leaves_is_lost_after_a_while_and_returns_for_a_while():
    door = Door()
    door.see(True, 5)
    assert door.see(False, 0.5) == ('none', 'face_lost')
    assert door.presence.there
    door.see(False, 1)
    assert not door.presence.there
    assert door.see(True) == ('face', 'face_returned')
    assert door.presence.there
    assert door.see(True, 2.8) == ('face', 'face_returned')
    assert door.see(True, 0.5) == ('face',)


def test_missed_frames_are_no_absence():
    door = Door()
    door.see(True, 5)
    for _ in range(20):
        door.see(False, 0.3)
        assert door.see(True, 0.2) == ('face',)
        assert door.presence.there


def test_a_face_that_is_seen_for_a_moment_in_an_empty_room_does_not_delay_the_absence():
    door = Door()
    door.see(True, 5)
    door.see(False, 0.5)
    door.see(True, 0.1)
    door.see(False, 0.6)
    assert not door.presence.there


def test_a_jump_of_time_is_no_absence_and_nobody_is_forgotten():
    door = Door()
    door.see(True, 5)
    door.see(False, 0.7)
    door.presence.clear()
    assert door.see(False, 0.5) == ('none', 'face_lost')
    assert door.presence.there


def test_another_policy_takes_over_who_is_there():
    door = Door()
    door.see(True, 5)
    door.see(False, 0.6)
    door.presence = door.presence.under(rules(lost_after=5.0))
    door.see(False, 2)
    assert door.presence.there
    door.see(False, 3)
    assert not door.presence.there
    after = door.presence.under(rules(lost_after=1.0))
    assert not after.there
    assert after.observe(True, door.now) == ('face', 'face_returned')
