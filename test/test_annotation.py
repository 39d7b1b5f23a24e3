"""The annotated frame: what is drawn, and that the input is left alone."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import numpy as np
import pytest

from emotion_estimator import lettering
from emotion_estimator.annotation import (
    LABEL_COLOURS,
    OTHER_COLOUR,
    annotate,
    caption_strip,
    label_colour,
)
from emotion_estimator.emotion import EXPRESSIONS, LABELS, NONE, FaceEmotion, Roi


def face(roi: Roi, label: str = 'happy', landmarks: np.ndarray | None = None) -> FaceEmotion:
    probabilities = np.array([0.7, 0.2, 0.1], np.float32)
    extra = {} if landmarks is None else {'landmarks': landmarks}
    return FaceEmotion('a', label, 0.7, LABELS, probabilities, roi, **extra)


def grey(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def count(image: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((image == colour).all(axis=2).sum())


def test_the_input_is_not_altered_even_where_it_cannot_be():
    image = grey(240, 320)
    image.flags.writeable = False
    drawn = annotate(image, [face(Roi(80, 60, 90, 100))], ['hello'])
    assert (image == 128).all()
    assert drawn.shape == image.shape
    assert drawn.dtype == np.uint8
    assert (drawn != 128).any()


def test_the_box_has_the_labels_colour():
    roi = Roi(300, 200, 200, 220)
    for label in LABELS:
        drawn = annotate(grey(480, 640), [face(roi, label)])
        assert tuple(drawn[200 + 110, 300]) == LABEL_COLOURS[label]
    assert label_colour('bored') == OTHER_COLOUR
    shown = {label_colour(label) for label in (*LABELS, *EXPRESSIONS, NONE)}
    assert len(shown) == len({*LABELS, *EXPRESSIONS, NONE})


def test_bars_are_as_long_as_the_probabilities():
    drawn = annotate(grey(480, 640), [face(Roi(400, 200, 100, 100))])
    bars = drawn[:, :320]
    sizes = [count(bars, LABEL_COLOURS[label]) for label in LABELS]
    assert sizes[0] / sizes[1] == pytest.approx(3.5, rel=0.1)
    assert sizes[0] / sizes[2] == pytest.approx(7.0, rel=0.15)


def test_landmarks_are_drawn_where_present():
    points = np.full((478, 3), 50, np.float32)
    points[13, :2] = 350, 300
    roi = Roi(300, 200, 150, 200)
    with_points = annotate(grey(480, 640), [face(roi, landmarks=points)])
    without = annotate(grey(480, 640), [face(roi)])
    assert tuple(with_points[300, 350]) != (128, 128, 128)
    assert tuple(without[300, 350]) == (128, 128, 128)


def test_no_face_says_so():
    assert count(annotate(grey(480, 640), []), LABEL_COLOURS[NONE]) > 500


def test_the_caption_darkens_only_the_bottom():
    drawn = annotate(grey(480, 640), [face(Roi(300, 200, 50, 50))], ['one', 'two'])
    assert drawn[-1, 5, 0] == 32
    assert drawn[380, 5, 0] == 128


@pytest.mark.parametrize('size', [(1, 1), (7, 300), (240, 320), (1080, 1920), (1920, 1080)])
def test_any_size_any_text_and_a_box_beyond_the_edge(size):
    points = np.random.default_rng(0).uniform(-50, 3000, (478, 3)).astype(np.float32)
    drawn = annotate(
        grey(*size), [face(Roi(-5, -5, 4000, 4000), landmarks=points)], ['é' * 300, '']
    )
    assert drawn.shape == (*size, 3)


def test_long_captions_are_cut_to_the_width():
    # What does not fit is left out, so more of it changes nothing.
    long, longer = (
        annotate(grey(240, 320), [], ['w' * 200]),
        annotate(grey(240, 320), [], ['w' * 400]),
    )
    assert (long == longer).all()


def test_the_strip_wraps_words_into_its_rows():
    red, white = (255, 0, 0), (255, 255, 255)
    one = caption_strip((240, 320, 3), [('truth', red), ('word ' * 16, white)], rows=4)
    assert one.shape[1:] == (320, 3)
    row = one.shape[0] // 4
    filled = [bool(one[i * row : (i + 1) * row].any()) for i in range(4)]
    assert filled == [True, True, True, False]
    assert not one[:row, :, 1:].any()
    assert caption_strip((240, 320, 3), [('word ' * 300, white)], rows=4).shape == one.shape
    assert not caption_strip((240, 320, 3), [('', white)], rows=1).any()


def row(text: str) -> np.ndarray:
    """Return the pixels of a row with ``text``, red where it is written."""
    return caption_strip((512, 512, 3), [(text, (255, 0, 0))], rows=1)[..., 0]


needs_font = pytest.mark.skipif(
    lettering._font_file() is None, reason='neither Pillow with DejaVu Sans nor matplotlib here'
)


@needs_font
def test_letters_keep_their_accents():
    plain, accented = (
        row('Aoucszleadn'),
        row('\u00c4\u00f6\u00fc\u00e7\u0161\u017e\u0142\u00e9\u0105\u0111\u0148'),
    )
    # Marks above the letters: more is written higher up.
    assert (accented[:9] > 0).sum() > (plain[:9] > 0).sum() + 10
    # One character, or a letter with a combining mark: the same text.
    assert (row('scho\u0308n') == row('sch\u00f6n')).all()


@needs_font
def test_latin_script_is_in_the_font():
    # All but Middle Welsh, which comes last.
    latin = [chr(c) for c in (*range(0xA1, 0x250), *range(0x1E00, 0x1EFA)) if chr(c).isalpha()]
    assert len(latin) > 600
    box = row('\U0001f9ff')
    assert [c for c in latin if (row(c) == box).all()] == []


def test_what_cannot_be_drawn_is_a_mark_and_does_no_harm():
    for text in ('\u4f60\u597d', '\ud800', '\x00\x1b[31m', '\U0001f9ff', '\u202e', '\t\t'):
        assert row(f'{text}.').any()
    assert (row('a\nb\tc') == row('a b c')).all()


def test_a_book_is_cut_at_once():
    begun = time.monotonic()
    for text in ('\u00e4' * 100_000, 'w\u00f6rter ' * 20_000):
        annotate(grey(240, 320), [], [text])
        caption_strip((240, 320, 3), [(text, (255, 0, 0))], rows=4)
    assert time.monotonic() - begun < 2.0


@needs_font
def test_the_font_is_loaded_once_and_each_text_drawn_once(monkeypatch):
    from PIL import ImageDraw, ImageFont

    calls = []
    for module, name in ((ImageFont, 'truetype'), (ImageDraw, 'Draw')):
        real = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *a, real=real, name=name, **k: calls.append(name) or real(*a, **k)
        )
    lettering.lettering.cache_clear()
    for _ in range(20):
        annotate(grey(480, 640), [face(Roi(300, 200, 50, 50))], ['Sch\u00f6n.'])
    # happy, unknown, sad; happy 0.70; the caption.
    assert calls.count('truetype') == 1
    assert calls.count('Draw') == 5


def test_without_the_font_accents_are_left_out_and_the_log_says_so_once(monkeypatch, caplog):
    known = lettering._font_file
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    monkeypatch.setattr(lettering, '_FILE', 'NoSuchFont.ttf')
    known.cache_clear()
    lettering.lettering.cache_clear()
    try:
        with caplog.at_level(logging.WARNING):
            assert (row('Sch\u00f6n \u2026') == row('Schon ...')).all()
            annotate(grey(240, 320), [], ['\u00e4' * 300])
            annotate(grey(1080, 1920), [], ['\u00e4' * 300])
    finally:
        known.cache_clear()
        lettering.lettering.cache_clear()
    (line,) = [record.message for record in caplog.records]
    assert 'text in images has no accents' in line and 'pip install' in line


def test_whoever_speaks_has_a_speech_bubble_in_the_box():
    roi = Roi(300, 150, 200, 220)
    silent, speaking = (
        annotate(grey(480, 640), [replace(face(roi), is_speaking=speaks)])
        for speaks in (False, True)
    )
    changed = np.argwhere((silent != speaking).any(axis=2))
    top, left = changed.min(axis=0)
    bottom, right = changed.max(axis=0)
    assert roi.x + roi.width / 2 < left and right < roi.x + roi.width
    assert roi.y <= top and bottom < roi.y + roi.height / 3
    assert len(changed) > 100
    # Faces at the border and smaller than the bubble do no harm.
    for small in (Roi(0, 0, 5, 5), Roi(630, 470, 10, 10)):
        annotate(grey(480, 640), [replace(face(small), is_speaking=True)])
