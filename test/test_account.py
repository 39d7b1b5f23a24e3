"""An account of a reading."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.account import MISSING, Account


@given(
    st.none() | st.integers(0, 1000),
    st.integers(0, 1000),
    st.lists(st.tuples(st.text(max_size=300), st.integers(0, 50)), max_size=60),
)
def test_nothing_is_left_out_in_silence(declared, read, left_out):
    account = Account('frames', declared, read)
    for reason, count in left_out:
        account.leave_out(reason, count)
    known = sum(count for _, count in left_out)
    missing = max((declared or 0) - read - known, 0)
    assert account.left_out.total() == known + missing
    assert account.left_out[MISSING] >= missing
    assert account.complete == (known + missing == 0)
    assert len(account.left_out) <= 22
    assert len(str(account).splitlines()) == 1
    assert sum(account.to_dict()['left_out'].values()) == known + missing


def test_in_words():
    assert str(Account('frames', 72, 72)) == 'declared 72 frames, read 72'
    assert str(Account('images', None, 5)) == 'read 5 images'
    account = Account('images', None, 5)
    account.leave_out('damaged')
    assert str(account) == 'read 5 images, left out 1: 1 damaged'
