"""What is logged and reported about speech, by a clock of the test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='ROS 2 is not sourced')

from emotion_estimator.dialogue import turns
from emotion_estimator.nodes.speech_watch import PROBLEMS, SpeechWatch


class Watched:
    def __init__(self) -> None:
        self.now = 50.0
        self.warned: list[str] = []
        self.debugged: list[str] = []
        self.watch = SpeechWatch(self.warned.append, self.debugged.append, lambda: self.now)

    def note(self, floor: str = 'silence', **problems: int) -> None:
        self.watch.note(problems, floor)


@pytest.fixture
def watched():
    return Watched()


def test_every_kind_has_a_line(watched):
    code = Path(turns.__file__).read_text()
    kinds = set(re.findall(r"problems\['(\w+)'\]", code))
    kinds |= {f'user_speaking_{end}' for end in ('stuck', 'expired')}
    assert len(kinds) > 6
    watched.note(**dict.fromkeys(kinds, 1))
    lines = watched.warned + watched.debugged
    assert len(lines) == len(kinds)
    for line in lines:
        assert not line.startswith('speech: ') and '\n' not in line
    assert len(watched.debugged) == 2
    for line in PROBLEMS.values():
        assert '; ' in line, 'what to do'


def test_a_kind_is_logged_once_in_half_a_minute_and_warned_of_as_long(watched):
    assert watched.watch.problem() == ''
    for count in range(1, 4):
        watched.note(words_cut=count)
        watched.now += 5.0
    assert watched.warned == [f'{PROBLEMS["words_cut"]} (1 so far)']
    assert watched.watch.problem() == PROBLEMS['words_cut']
    # Another kind has a line of its own.
    watched.note(words_cut=3, robot_said_nothing=1)
    assert len(watched.warned) == 2
    assert watched.watch.problem() == PROBLEMS['robot_said_nothing']
    watched.now += 29.0
    watched.note(words_cut=3, robot_said_nothing=1)
    assert watched.watch.problem() != ''
    watched.now += 2.0
    assert watched.watch.problem() == ''
    watched.note(words_cut=4, robot_said_nothing=1)
    assert watched.warned[2:] == [f'{PROBLEMS["words_cut"]} (4 so far)']


def test_noises_and_old_counts_are_no_warning(watched):
    watched.watch.expect({'words_cut': 7})
    watched.note(words_cut=7, voice_blips=1, words_empty=2)
    assert (watched.warned, len(watched.debugged)) == ([], 2)
    assert watched.watch.problem() == ''


def test_a_turn_of_five_minutes_is_a_warning_until_it_ends(watched):
    for _ in range(299):
        watched.note('person_speaks')
        watched.now += 1.0
    assert watched.watch.problem() == ''
    # A moment in which somebody else has the floor begins the time again.
    watched.note('silence')
    watched.note('person_speaks')
    watched.now += 299.0
    assert watched.watch.problem() == ''
    watched.now += 1.0
    assert 'speaking for 5 minutes' in watched.watch.problem()
    watched.note('silence')
    assert watched.watch.problem() == ''


def test_ten_seconds_are_given_to_whatever_hears_the_person(watched):
    topics = ['/dialogue/user_speaking', '/dialogue/user_said']
    watched.now += 9.0
    assert watched.watch.deaf(topics, 0) == ''
    watched.now += 1.0
    assert 'publishes /dialogue/user_speaking or /dialogue/user_said' in (
        watched.watch.deaf(topics, 0)
    )
    assert watched.watch.deaf(topics, 1) == ''
