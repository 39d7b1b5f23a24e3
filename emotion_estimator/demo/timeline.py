"""The picture of a run: probabilities over time, truth and label as bands, actions as marks."""

from __future__ import annotations

from pathlib import Path

from emotion_estimator.demo.state import Course
from emotion_estimator.timeline import (
    action_words,
    draw_actions,
    draw_bands,
    draw_probabilities,
    new_figure,
    save,
)


def draw_timeline(course: Course, path: Path) -> bool:
    """Draw the course as PNG; return False where there is nothing to draw.

    :raises OSError: the file cannot be written.
    """
    if not course.readings:
        return False
    begin = course.readings[0].stamp
    end = max(course.readings[-1].stamp - begin, 0.1)
    figure, (curves, bands, speech) = new_figure((4, 1.1, 1.6), 7.6)
    draw_probabilities(
        curves, [(reading.stamp - begin, reading.probabilities) for reading in course.readings]
    )
    rows = [('label', [(reading.stamp - begin, reading.label) for reading in course.readings])]
    if course.truth:
        rows.append(('truth', [(stamp - begin, label) for stamp, label in course.truth]))
    draw_bands(bands, rows)
    draw_actions(
        speech,
        (curves, bands),
        [
            (action.stamp - begin, action_words(action.action, action.utterance), action.emotion)
            for action in course.actions
        ],
        end,
    )
    speech.set_xlim(0, end)
    speech.set_xlabel('seconds')
    figure.suptitle('Facial expression over time and what the dialogue manager decided')
    save(figure, path)
    return True
