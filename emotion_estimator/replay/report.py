"""A folder that shows a replay: results, numbers, pictures, and a page that needs nothing else."""

from __future__ import annotations

import base64
import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.errors import InputError
from emotion_estimator.replay.align import laps
from emotion_estimator.replay.broken import Broken
from emotion_estimator.replay.compare_figure import draw_comparison
from emotion_estimator.replay.compare_json import as_dict
from emotion_estimator.replay.comparison import Comparison
from emotion_estimator.replay.course import RESULTS
from emotion_estimator.replay.facts import facts
from emotion_estimator.replay.report_page import Page, page
from emotion_estimator.replay.timeline_figure import draw_course
from emotion_estimator.result import FrameResult, write_results


def write_report(
    folder: Path,
    title: str,
    results: Sequence[FrameResult],
    actions: Sequence[DialogueAction],
    problems: Sequence[str],
    comparison: Comparison | None = None,
    found: Sequence[Broken] = (),
) -> None:
    """Write ``results.jsonl``, ``summary.json``, ``timeline.png`` and ``report.html``.

    The same arguments give the same files; nothing in them tells the time or the machine. Files of
    a report before are replaced. Without matplotlib there are no pictures, and the page says so.

    :param folder: made where it is not there.
    :param title: the recording's name.
    :param results: in order of time; may be empty.
    :param problems: lines on what was left out of the recording.
    :param comparison: with expected results; adds ``comparison.png`` and a chapter.
    :param found: the limits that it breaks.
    :raises InputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_results(results, folder / RESULTS)
        pictures = _pictures(folder, title, results, actions, comparison, found)
        summary = _summary(title, results, actions, problems)
        if comparison is not None:
            summary['comparison'] = as_dict(comparison, found)
        (folder / 'summary.json').write_text(json.dumps(summary, indent=1) + '\n')
        counted = facts(laps(results))
        content = Page(title, counted, actions, problems, pictures, comparison, found)
        (folder / 'report.html').write_text(page(content), encoding='utf-8')
    except OSError as error:
        raise InputError(
            f'report {error.filename or folder} cannot be written ({error.strerror}); '
            'choose another folder'
        ) from error


def _pictures(
    folder: Path,
    title: str,
    results: Sequence[FrameResult],
    actions: Sequence[DialogueAction],
    comparison: Comparison | None,
    found: Sequence[Broken],
) -> dict[str, str]:
    """Draw what there is to draw; return each picture as a data address, by its name."""
    drawn: dict[str, Callable[[Path], None]] = {}
    if results:
        drawn['timeline'] = lambda path: draw_course(results, actions, path, title)
    if comparison is not None:
        drawn['comparison'] = lambda path: draw_comparison(comparison, path, title, found)
    for name in ('timeline', 'comparison'):
        # One of a report before would pass for this one's.
        (folder / f'{name}.png').unlink(missing_ok=True)
    if importlib.util.find_spec('matplotlib') is None:
        return {}
    addresses = {}
    for name, draw in drawn.items():
        path = folder / f'{name}.png'
        draw(path)
        content = base64.b64encode(path.read_bytes()).decode()
        addresses[name] = f'data:image/png;base64,{content}'
    return addresses


def _summary(
    title: str,
    results: Sequence[FrameResult],
    actions: Sequence[DialogueAction],
    problems: Sequence[str],
) -> dict[str, Any]:
    return {
        'title': title,
        **facts(laps(results)).as_dict(),
        'actions': [
            {
                'stamp': round(action.stamp, 6),
                'action': action.action,
                'topic': action.topic,
                'approach': action.approach,
                'utterance': action.utterance,
                'rule': action.rule,
                'reason': action.reason,
            }
            for action in actions
        ],
        'problems': list(problems),
    }
