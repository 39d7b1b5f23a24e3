"""Evidence: bounded memory, and sums that agree with the periods kept."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_estimator.dialogue import evidence
from emotion_estimator.dialogue.evidence import EvidenceWindow


def test_faces_that_change_in_every_message_of_a_stream_that_crawls_fill_no_memory():
    window = EvidenceWindow(10.0, 1.0)
    for n in range(5000):
        window.advance(n * 1e-6)
        window.observe(True, 0.5, f'face_{n}', 'face_0')
    assert len(window._runs) <= 2000


@given(st.lists(st.tuples(st.floats(0, 0.5), st.booleans(), st.integers(0, 2)), max_size=60))
@settings(deadline=None)
def test_the_sums_are_those_of_the_periods_kept(observations):
    window, now = EvidenceWindow(5.0, 1.0), 0.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, '_MOST_RUNS', 4)
        for step, matched, face in observations:
            now += step
            window.advance(now)
            window.observe(matched, 0.5, f'face_{face}', 'face_0')
            assert len(window._runs) <= 4
            own = [run for run in window._runs if run.face_id == 'face_0']
            kept = sum(run.end - run.start for run in own)
            assert window.evidence().seconds == pytest.approx(kept, abs=1e-6)
