"""Write a replay's report: results, statistics, pictures, and a page that needs no other file."""

from __future__ import annotations

import base64
import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2

from emotion_estimator.account import Account
from emotion_estimator.annotation import label_colour, label_dashes
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult, write_results
from emotion_estimator.replay.alignment import split_laps
from emotion_estimator.replay.comparison import Comparison
from emotion_estimator.replay.comparison_report import as_dict, broken_line, table
from emotion_estimator.replay.expectations import ExpectationFinding
from emotion_estimator.replay.limits import BrokenLimit
from emotion_estimator.replay.page_chart import page_chart
from emotion_estimator.replay.pictures import draw_comparison, draw_results
from emotion_estimator.replay.results import RESULTS, ResultStatistics, result_statistics
from emotion_estimator.replay.thumbnails import Thumbnails
from emotion_estimator.replay.time_axis import TimeAxis, labels_over_time
from emotion_estimator.timeline import action_words

_TEMPLATE, _SCRIPT = 'report.html.j2', 'report.js'


def write_report(
    folder: Path,
    title: str,
    results: Sequence[FrameResult],
    actions: Sequence[DialogueAction],
    problems: Sequence[str],
    comparison: Comparison | None = None,
    broken: Sequence[BrokenLimit] = (),
    account: Account | None = None,
    findings: Sequence[ExpectationFinding] = (),
    thumbnails: Thumbnails | None = None,
) -> None:
    """Write ``results.jsonl``, ``summary.json``, ``timeline.png`` and ``report.html``.

    The same arguments give the same files: they contain no date and no machine name. Files of an
    earlier report are replaced. The page draws its chart itself and asks for no other file; without
    matplotlib there are no ``.png`` files.

    :param folder: created if necessary, with its parents.
    :param title: the recording's name.
    :param results: in order of time; may be empty.
    :param problems: one line for each thing left out of the recording.
    :param comparison: comparison with expected results; adds ``comparison.png`` and a section.
    :param broken: the limits that the comparison breaks.
    :param account: how many images were declared, read and left out; None if it is not known.
    :param findings: what was expected of the results, and what became of it.
    :param thumbnails: pictures of the results' changes; None puts no image into the page.
    :raises InputError: the folder cannot be written.
    """
    statistics = result_statistics(split_laps(results))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_results(results, folder / RESULTS)
        _draw_pictures(folder, title, results, actions, comparison, broken, findings)
        summary = _summary(title, statistics, actions, problems)
        if account is not None:
            summary['account'] = account.to_dict()
        if comparison is not None:
            summary['comparison'] = as_dict(comparison, broken)
        if findings:
            summary['expected'] = [each.as_dict() for each in findings]
        (folder / 'summary.json').write_text(json.dumps(summary, indent=1) + '\n')
        page = _page_template().render(
            title=title,
            statistics=statistics,
            actions=actions,
            problems=problems,
            account=account,
            comparison=comparison,
            broken=broken,
            findings=findings,
            thumbnails=thumbnails,
            times=_times(results) if thumbnails is not None else (),
            chart=page_chart(results, actions, findings, comparison, broken) if results else None,
            script=(Path(__file__).parent / _SCRIPT).read_text(encoding='utf-8'),
        )
        (folder / 'report.html').write_text(page, encoding='utf-8')
    except OSError as error:
        raise InputError(
            f'report {error.filename or folder} cannot be written ({error.strerror}); '
            'choose another folder'
        ) from error


def _page_template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        action_words=action_words,
        broken_line=broken_line,
        dashes=lambda label: ' '.join(f'{1.8 * part:g}' for part in label_dashes(label)),
        label_colour=label_colour,
        picture=lambda jpeg: f'data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}',
        table=table,
    )
    return environment.get_template(_TEMPLATE)


def _times(results: Sequence[FrameResult]) -> list[float]:
    """Return each frame's time in the chart, in the order of the results."""
    laps = split_laps(results)
    return [time for time, _ in labels_over_time(laps, TimeAxis(laps))]


def _draw_pictures(
    folder: Path,
    title: str,
    results: Sequence[FrameResult],
    actions: Sequence[DialogueAction],
    comparison: Comparison | None,
    broken: Sequence[BrokenLimit],
    findings: Sequence[ExpectationFinding],
) -> None:
    """Draw ``timeline.png`` and ``comparison.png``, if matplotlib is there."""
    draw: dict[str, Callable[[Path], None]] = {}
    if results:
        draw['timeline'] = lambda path: draw_results(results, actions, path, title, findings)
    if comparison is not None:
        draw['comparison'] = lambda path: draw_comparison(comparison, path, title, broken)
    for name in ('timeline', 'comparison'):
        path = folder / f'{name}.png'
        # A picture of an earlier report must not pass for one of this.
        path.unlink(missing_ok=True)
        if name in draw and importlib.util.find_spec('matplotlib') is not None:
            draw[name](path)


def _summary(
    title: str,
    statistics: ResultStatistics,
    actions: Sequence[DialogueAction],
    problems: Sequence[str],
) -> dict[str, Any]:
    return {
        'title': title,
        **statistics.as_dict(),
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
