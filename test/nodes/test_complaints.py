"""Complaints: one line a second however many faults there are, and none of them uncounted."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.nodes.complaints import Complaints


class Clock:
    """Seconds that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


#: Seconds since the one before, which of a few problems, and whether to look for the rest.
FAULTS = st.lists(
    st.tuples(st.floats(0, 3), st.integers(0, 3), st.booleans()), min_size=1, max_size=60
)


@given(FAULTS)
@settings(deadline=None)
def test_lines_are_a_second_apart_and_account_for_every_fault(faults):
    clock = Clock()
    complain = Complaints('bad images', clock)
    said = []
    for step, problem, looks in faults:
        clock.now += step
        line = complain('image', f'problem {problem}', f'kind{problem}')
        said += [(clock.now, line)] if line else []
        if looks:
            line = complain.rest()
            said += [(clock.now, line)] if line else []
    clock.now += 10
    line = complain.rest()
    said += [(clock.now, line)] if line else []
    times = [at for at, _ in said]
    assert all(b - a >= 1.0 for a, b in pairwise(times))
    full = [re.search(r'problem \d', line) for _, line in said]
    more = [int(n) for _, line in said for n in re.findall(r'(\d+) more bad images', line)]
    assert sum(map(bool, full)) + sum(more) == len(faults) == complain.total
    assert sum(complain.counts.values()) == len(faults)


def test_the_same_fault_is_named_every_five_seconds_and_counted_meanwhile():
    clock = Clock()
    complain = Complaints('bad images', clock)
    lines = []
    for n in range(30 * 11):
        clock.now = n / 30
        lines.append(complain(f'image {n}', 'step 3 is too small', 'step'))
        if n % 30 == 0:
            lines.append(complain.rest())
    assert list(filter(None, lines)) == [
        'image 0: step 3 is too small',
        'image 150: step 3 is too small (149 more bad images in the last 5.0 s)',
        'image 300: step 3 is too small (149 more bad images in the last 5.0 s)',
    ]


def test_what_was_not_said_is_said_even_if_nothing_follows():
    clock = Clock()
    complain = Complaints('bad images', clock)
    for n in range(100):
        clock.now = n / 200
        complain('image', f'problem {n}')
    assert complain.rest() == ''
    clock.now = 1.0
    assert complain.rest() == '99 more bad images in the last 1.0 s'
    assert complain.rest() == ''


def test_kinds_are_bounded():
    complain = Complaints('bad images', Clock())
    for n in range(1000):
        complain('image', 'problem', f'kind{n}')
    assert len(complain.counts) == 16
    assert complain.counts['other'] == 1000 - 15
    assert len(complain.summary()) < 200


def test_a_line_is_one_line_of_bounded_length():
    line = Complaints('bad images', Clock())('image', 'a\nb\x1b[31m' + 'c' * 100_000)
    assert line.startswith('image: a?b?[31mccc')
    assert len(line) == 1000
