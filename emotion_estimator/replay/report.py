"""A folder that shows a replay: results, numbers, pictures, and a page that needs nothing else."""

from __future__ import annotations

import base64
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from emotion_estimator.annotation import label_colour
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult, write_results
from emotion_estimator.replay.comparison import Comparison
from emotion_estimator.replay.comparison_report import as_dict, broken_line, table
from emotion_estimator.replay.course import RESULTS, Facts, facts, laps
from emotion_estimator.replay.limits import Broken
from emotion_estimator.replay.pictures import draw_comparison, draw_course
from emotion_estimator.timeline import action_words

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72em; margin: 2em auto; padding: 0 1em;
  color: #222; background: #fff; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; }
img { width: 100%; height: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: .2em 1.2em .2em 0; border-bottom: 1px solid #ddd;
  vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.key { display: inline-block; width: .8em; height: .8em; margin-right: .4em; }
.bad { color: #b00; }
pre { overflow-x: auto; background: #f6f6f6; padding: 1em; font-size: .85em; }
</style>
</head>
<body>
<h1>$title</h1>
$body
</body>
</html>
""")


@dataclass(frozen=True)
class Page:
    """What the page shows; see :func:`emotion_estimator.replay.report.write_report`.

    :param pictures: data address of ``timeline`` and ``comparison``, where they were drawn.
    """

    title: str
    facts: Facts
    actions: Sequence[DialogueAction]
    problems: Sequence[str]
    pictures: Mapping[str, str]
    comparison: Comparison | None = None
    found: Sequence[Broken] = ()


def page(content: Page) -> str:
    """Return the whole page as HTML."""
    parts = [
        _counts(content.facts),
        _problems(content.problems),
        _picture(content, 'timeline', 'Probabilities, label and dialogue over time'),
        _comparison(content),
        _longest(content.facts),
        _actions(content.actions, content.facts.begin),
    ]
    body = '\n'.join(part for part in parts if part)
    return _PAGE.substitute(title=escape(content.title), body=body)


def _counts(facts: Facts) -> str:
    if not facts.count:
        return '<p>No frame was read.</p>'
    words = (
        f'<p>{facts.count} frames in {facts.seconds:.2f} s, {facts.flips} label changes '
        f'({facts.flip_rate:.2f} per second), at most {facts.most_faces} faces in a frame.</p>'
    )
    rows = [[_label(label), str(n), f'{n / facts.count:.1%}'] for label, n in facts.frames.items()]
    return words + _table(['label', '#frames', '#share'], rows)


def _problems(problems: Sequence[str]) -> str:
    if not problems:
        return ''
    items = ''.join(f'<li class="bad">{escape(problem)}</li>' for problem in problems)
    return f'<h2>Left out of the recording</h2>\n<ul>{items}</ul>'


def _picture(content: Page, name: str, words: str) -> str:
    address = content.pictures.get(name)
    if address:
        return f'<h2>{escape(words)}</h2>\n<img src="{address}" alt="{escape(words)}">'
    if not content.facts.count:
        return ''
    return '<p>No picture: matplotlib is not installed.</p>'


def _comparison(content: Page) -> str:
    comparison = content.comparison
    if comparison is None:
        return ''
    lines = ''.join(
        f'<li class="bad">{escape(broken_line(comparison, each))}</li>' for each in content.found
    )
    return '\n'.join(
        [
            _picture(content, 'comparison', 'Compared with the expected results'),
            f'<ul>{lines}</ul>' if lines else '',
            f'<pre>{escape(chr(10).join(table(comparison)))}</pre>',
        ]
    )


def _longest(facts: Facts) -> str:
    if not facts.longest:
        return ''
    rows = [
        [_label(s.label), f'{s.end - s.begin:.2f} s', f'{s.begin - facts.begin:.2f} s']
        for s in facts.longest
    ]
    return '<h2>Longest stretches</h2>\n' + _table(['label', '#length', '#after the first'], rows)


def _actions(actions: Sequence[DialogueAction], begin: float) -> str:
    rows = [
        [
            f'{action.stamp - begin:.2f} s',
            escape(action_words(action.action, action.utterance)),
            escape(action.topic),
            escape(action.approach),
            escape(action.reason),
        ]
        for action in actions
    ]
    if not rows:
        return '<h2>Dialogue</h2>\n<p>No action.</p>'
    return '<h2>Dialogue</h2>\n' + _table(['after', 'action', 'topic', 'tone', 'because'], rows)


def _label(label: str) -> str:
    red, green, blue = label_colour(label)
    colour = f'background: rgb({red}, {green}, {blue})'
    return f'<span class="key" style="{colour}"></span>{escape(label)}'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; a column whose head begins with ``#`` holds numbers. Cells are HTML."""
    classes = [' class="number"' if name.startswith('#') else '' for name in head]
    names = ''.join(f'<th{c}>{name.lstrip("#")}</th>' for name, c in zip(head, classes))
    body = ''.join(
        '<tr>' + ''.join(f'<td{c}>{cell}</td>' for cell, c in zip(row, classes)) + '</tr>\n'
        for row in rows
    )
    return f'<table>\n<tr>{names}</tr>\n{body}</table>'


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
