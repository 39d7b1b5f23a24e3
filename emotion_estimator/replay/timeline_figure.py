"""The picture of one course: probabilities over time, the label as a band, actions as marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import primary
from emotion_estimator.replay.align import laps
from emotion_estimator.replay.facts import Laps
from emotion_estimator.replay.time_axis import TimeAxis
from emotion_estimator.result import FrameResult
from emotion_estimator.timeline import (
    action_words,
    draw_actions,
    draw_bands,
    draw_probabilities,
    new_figure,
    plain,
    save,
)


def draw_course(
    results: Sequence[FrameResult],
    actions: Sequence[DialogueAction],
    path: Path,
    title: str,
) -> None:
    """Draw a course as a picture; the ending of ``path`` chooses its format.

    :param results: at least one frame.
    :raises OSError: the file cannot be written.
    """
    course = laps(results)
    axis = TimeAxis(course)
    heights = (4.0, 0.8, 1.6) if actions else (4.0, 0.8)
    figure, axes = new_figure(heights, 7.6 if actions else 5.6)
    draw_probabilities(axes[0], probabilities_over_time(course, axis))
    draw_bands(axes[1], [('label', labels_over_time(course, axis))])
    if actions:
        spoken = [
            (
                axis.of_stamp(action.stamp, course),
                action_words(action.action, action.utterance),
                action.emotion,
            )
            for action in actions
        ]
        draw_actions(axes[2], axes[:2], spoken, axis.end)
    axes[-1].set_xlim(0, axis.end)
    axes[-1].set_xlabel('seconds')
    figure.suptitle(plain(title))
    save(figure, path)


def labels_over_time(course: Laps, axis: TimeAxis) -> list[tuple[float, str]]:
    """Return each frame's time and its label."""
    return [(axis(n, frame.stamp), frame.label) for n, lap in enumerate(course) for frame in lap]


def probabilities_over_time(
    course: Laps, axis: TimeAxis
) -> list[tuple[float, Mapping[str, float]]]:
    """Return each frame's time and the primary face's probabilities, none without a face."""
    samples: list[tuple[float, Mapping[str, float]]] = []
    for n, lap in enumerate(course):
        for frame in lap:
            face = primary(frame.faces)
            values = dict(zip(face.labels, map(float, face.probabilities))) if face else {}
            samples.append((axis(n, frame.stamp), values))
    return samples
