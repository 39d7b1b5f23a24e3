"""Where a picture shows what was expected: bands in each lap, in rows that do not overlap."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.frame import FrameResult
from emotion_estimator.replay import pictures
from emotion_estimator.replay.alignment import split_laps
from emotion_estimator.replay.expectations import (
    Expectation,
    ExpectationFinding,
    Expectations,
    ExpectedDecision,
    examine,
)
from emotion_estimator.replay.expected_bands import (
    ExpectedBand,
    end_with_bands,
    expected_bands,
    rows_of,
)
from emotion_estimator.replay.time_axis import TimeAxis

#: Two seconds at ten frames per second, nobody in them.
LAP = tuple(FrameResult(100.0 + k / 10, ()) for k in range(21))

seconds = st.floats(0, 100, allow_subnormal=False)
spans = st.tuples(seconds, seconds).map(lambda pair: (min(pair), max(pair)))


@given(st.lists(spans, max_size=12))
def test_no_two_in_a_row_overlap_and_no_row_is_empty(extents):
    rows = rows_of(extents)
    assert len(rows) == len(extents)
    assert set(rows) == set(range(len(set(rows))))
    for (one, its), (other, others) in combinations(zip(extents, rows), 2):
        assert its != others or one[1] < other[0] or other[1] < one[0]


@given(st.lists(spans), st.integers(1, 3))
def test_every_finding_has_a_band_in_each_lap_that_has_a_part_of_it(given_spans, rounds):
    laps = split_laps(LAP * rounds)
    findings = [ExpectationFinding(Expectation('none', *span), '') for span in given_spans]
    bands = expected_bands(findings, TimeAxis(laps), laps)
    within = [begin <= 2.0 for begin, _ in given_spans]
    assert len(bands) == sum(rounds if inside else 1 for inside in within)
    for finding in findings:
        lengths = [band.end - band.begin for band in bands if band.finding is finding]
        assert lengths
        span = finding.expected
        assert lengths == pytest.approx([span.end - span.begin] * len(lengths), abs=1e-6)


def test_a_looped_recording_has_them_one_after_the_other():
    laps = split_laps(LAP * 2)
    found = [
        ExpectationFinding(ExpectedDecision('end', 0.5, 1.0), 'not decided'),
        ExpectationFinding(Expectation('none', 0.0, 1.0), ''),
    ]
    bands = expected_bands(found, TimeAxis(laps), laps)
    assert [(round(b.begin, 3), round(b.end, 3), b.is_action) for b in bands] == [
        (0.0, 1.0, False), (3.0, 4.0, False), (0.5, 1.0, True), (3.5, 4.0, True),
    ]  # fmt: skip


@given(st.floats(0.1, 1000), st.lists(spans))
def test_a_picture_ends_with_its_bands_or_half_as_late_again(end, extents):
    finding = ExpectationFinding(Expectation('none', 0, 1), '')
    drawn = end_with_bands(end, [ExpectedBand(*extent, finding) for extent in extents])
    assert end <= drawn <= 1.5 * end
    assert all(until <= drawn for _, until in extents) or math.isclose(drawn, 1.5 * end)


def test_decisions_of_a_later_lap_lie_in_it():
    laps = split_laps(LAP * 2)
    times = TimeAxis(laps).of_stamps([100.5, 101.5, 100.5], laps)
    assert times == pytest.approx([0.5, 1.5, 3.5])


def test_what_became_of_it_is_in_the_band():
    said = DialogueAction('end', 'cats', '', '', '', 'none', 1.0, 'rule', 'face_1', 101.0)
    expected = Expectations((Expectation('happy', 0, 1),), (ExpectedDecision('end', 0, 2),))
    laps = split_laps(LAP)
    bands = expected_bands(examine(LAP, [said], expected), TimeAxis(laps), laps)
    assert [band.finding.met for band in bands] == [False, True]


@pytest.fixture
def drawn(monkeypatch):
    """Draw LAP and what became of expectations; return the figure's axes, from the top."""

    def draw(*expected, actions=()):
        pytest.importorskip('matplotlib', reason='matplotlib is not installed')
        figures = []
        monkeypatch.setattr(pictures, 'save', lambda figure, _: figures.append(figure))
        labels = tuple(each for each in expected if isinstance(each, Expectation))
        decisions = tuple(each for each in expected if isinstance(each, ExpectedDecision))
        findings = examine(LAP, actions, Expectations(labels, decisions))
        pictures.draw_results(LAP, actions, None, 'visit', findings)
        return figures[0].axes

    return draw


def words(axes):
    return [text.get_text().strip() for text in axes.texts]


def test_what_is_not_met_is_red_and_hatched_and_says_so(drawn):
    _, _, axes = drawn(
        Expectation('none', 0, 1), Expectation('happy', 1, 2), ExpectedDecision('end', 0.5, 2)
    )
    assert words(axes) == [
        'none, 80% expected: 100%, met', 'happy, 80% expected: 0%, not met', 'end: not met',
    ]  # fmt: skip
    hatched = [bool(bar.get_hatch()) for bar in axes.collections]
    red = [tuple(bar.get_edgecolor()[0][:3]) == (0.8, 0.0, 0.0) for bar in axes.collections]
    red_words = [text.get_color() == (0.8, 0.0, 0.0) for text in axes.texts]
    assert hatched == red == red_words == [False, True, True]
    boxes = [bar.get_paths()[0].get_extents() for bar in axes.collections]
    spans = [value for box in boxes for value in (box.x0, box.x1)]
    assert spans == pytest.approx([0, 1, 1, 2, 0.5, 2])
    assert len({round(box.y0, 3) for box in boxes}) == 3


def test_what_was_expected_long_after_the_end_is_in_words_with_its_time(drawn):
    *_, axes = drawn(Expectation('none', 60, 90))
    assert words(axes) == ['none, 80% expected: not met (from 60 s)']
    assert axes.get_xlim() == pytest.approx((0, 3.0))


def test_without_expectations_a_picture_is_as_long_as_the_recording(drawn):
    said = DialogueAction('end', 'cats', '', '', '', 'none', 1.0, 'rule', 'face_1', 101.0)
    assert len(drawn()) == 2
    axes = drawn(actions=[said])
    assert len(axes) == 3
    assert axes[-1].get_xlim() == pytest.approx((0, 2.0))
    assert len(drawn(ExpectedDecision('end', 0, 2), actions=[said])) == 4
