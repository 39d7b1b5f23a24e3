from __future__ import annotations

import threading

from emotion_estimator.perception.dropped_frames import NewestSlot


def test_the_newest_wins_and_the_others_are_counted():
    latest = NewestSlot()
    for item in range(5):
        latest.put(item)
    assert latest.take() == 4
    assert latest.dropped == 4


def test_an_item_that_was_taken_is_not_dropped():
    latest = NewestSlot()
    latest.put('a')
    assert latest.take() == 'a'
    latest.put('b')
    assert latest.take() == 'b'
    assert latest.dropped == 0


def test_closing_wakes_the_reader():
    latest = NewestSlot()
    taken = []
    reader = threading.Thread(target=lambda: taken.append(latest.take()))
    reader.start()
    latest.close()
    reader.join(timeout=5)
    assert taken == [None]
    assert latest.take() is None
