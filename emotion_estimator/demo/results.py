"""Results of a demo: the text on the terminal, ``summary.json``, and the chart ``demo.png``."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.demo.state import DemoHistory
from emotion_estimator.demo.turns import PERSON, SpokenTurn, spoken_over, transcript
from emotion_estimator.demo.video import SPEAKER_COLOURS
from emotion_estimator.emotion import NEUTRAL, UNKNOWN
from emotion_estimator.errors import EmotionEstimatorError, InputError
from emotion_estimator.film_writer import FilmWriter
from emotion_estimator.replay.comparison import MARGIN, Agreement, Tally, agreement
from emotion_estimator.timeline import (
    action_words,
    draw_actions,
    draw_bands,
    draw_probabilities,
    new_figure,
    save,
)

#: Files of a run in its output folder; the logs are in the folder ``log``.
VIDEO, _CHART, _SUMMARY = 'demo.mp4', 'demo.png', 'summary.json'
_RESULTS = (VIDEO, _CHART, _SUMMARY)
#: Folder, in the output folder, of the results of a run that goes on, or that failed.
UNFINISHED = 'unfinished'


def check_not_replaced(output: Path, inputs: Iterable[Path]) -> None:
    """Check that no input of the demo is one of the files that it writes.

    :param output: folder of the results.
    :param inputs: the source and other files; those that do not exist are not looked at.
    :raises InputError: one is, under whatever name.
    """
    folders = (output, output / UNFINISHED)
    for given in inputs:
        if not os.path.exists(given):  # noqa: PTH110  Path's raises an error for long names
            continue
        # A folder of images is played, and the chart is an image.
        others = folders if given.is_dir() else [f / name for f in folders for name in _RESULTS]
        if any(other.exists() and other.samefile(given) for other in others):
            raise InputError(
                f'{given} would be replaced by the results in {output}; choose another --output, '
                'or copy it elsewhere'
            )


def begin_results(output: Path) -> Path:
    """Return the folder for the results of a run that has not ended, without those of another one.

    The last good results stay in ``output`` until :func:`finish_results`.

    :raises InputError: files cannot be replaced.
    """
    folder = output / UNFINISHED
    for name in _RESULTS:
        try:
            (folder / name).unlink(missing_ok=True)
            if (output / name).is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        except OSError as error:
            raise InputError(
                f'{output / name} cannot be replaced ({error.strerror}); choose another --output'
            ) from error
    return folder


def finish_results(output: Path) -> list[str]:
    """Put the results of a run that went well into a folder of their own; return their paths.

    In ``output`` itself, links show the newest ones.

    :raises EmotionEstimatorError: they cannot be moved.
    """
    folder = output / UNFINISHED
    moved = []
    try:
        own = _new_folder(output, f'{datetime.now():%Y%m%d-%H%M%S}')
        for name in _RESULTS:
            if (folder / name).exists():
                (folder / name).replace(own / name)
                _link(output / name, own / name)
                moved.append(str(own / name))
            else:
                # It could be mistaken for this run's.
                (output / name).unlink(missing_ok=True)
        with suppress(OSError):
            folder.rmdir()
    except OSError as error:
        raise EmotionEstimatorError(f'{output} cannot be written: {error}') from error
    return moved


def _new_folder(output: Path, name: str) -> Path:
    for count in itertools.count(2):
        try:
            (output / name).mkdir()
            return output / name
        except FileExistsError:
            # Two runs in one second.
            name = f'{name.partition("_")[0]}_{count}'
    raise AssertionError


def _link(link: Path, target: Path) -> None:
    """Have ``link`` lead to ``target``, or be a copy of it where there are no links."""
    new = link.with_name(f'.{link.name}.new')
    new.unlink(missing_ok=True)
    try:
        new.symlink_to(target.relative_to(link.parent))
    except OSError:
        shutil.copy2(target, new)
    new.replace(link)


def write_results(history: DemoHistory, output: Path) -> list[str]:
    """Write chart and summary; return their paths, none if nothing was received.

    :raises EmotionEstimatorError: they cannot be written.
    """
    if not history.readings:
        return []
    chart, summary = output / _CHART, output / _SUMMARY
    found = summarize(history).as_dict()
    try:
        output.mkdir(parents=True, exist_ok=True)
        draw_timeline(history, chart)
        summary.write_text(json.dumps(found, indent=2, ensure_ascii=False) + '\n', 'utf-8')
    except OSError as error:
        raise EmotionEstimatorError(f'{output} cannot be written: {error}') from error
    return [str(chart), str(summary)]


def describe_results(history: DemoHistory, video: FilmWriter, written: Sequence[str]) -> list[str]:
    """Return the lines for the terminal at the end of a run, none if nothing was received.

    :param written: paths of the files that were written.
    """
    if not history.readings:
        return []
    lines = ['']
    if history.turns:
        lines += ['conversation', *transcript(history.turns, history.readings[0].stamp), '']
    lines += [*summarize(history).lines(), f'written    {", ".join(written)}']
    if video.codec:
        lines.append(f'video      {video.frames} frames, {video.codec}')
    if history.video_dropped:
        lines[-1] += f'; {history.video_dropped} left out because encoding was too slow'
    return lines


def check_turns(history: DemoHistory) -> None:
    """Check that the robot left the person the floor.

    :raises EmotionEstimatorError: it spoke while the person did; says when and what.
    """
    over = spoken_over(history.turns)
    if over:
        begin = history.readings[0].stamp if history.readings else 0.0
        raise EmotionEstimatorError(
            f'the robot spoke while the person did, {len(over)} times, first at '
            f'{over[0].begin - begin:.1f} s: {over[0].words}'
        )


def draw_timeline(history: DemoHistory, path: Path) -> bool:
    """Draw the history as a PNG; return False if there is nothing to draw.

    :raises OSError: the file cannot be written.
    """
    if not history.readings:
        return False
    begin = history.readings[0].stamp
    end = max(history.readings[-1].stamp - begin, 0.1)
    figure, (curves, bands, turns, speech) = new_figure((4, 1.1, 1.1, 1.8), 8.8)
    draw_probabilities(
        curves, [(reading.stamp - begin, reading.probabilities) for reading in history.readings]
    )
    rows = [('label', [(reading.stamp - begin, reading.label) for reading in history.readings])]
    if history.truth:
        rows.append(('truth', [(stamp - begin, label) for stamp, label in history.truth]))
    draw_bands(bands, rows)
    _draw_turns(turns, history, begin, end)
    draw_actions(
        speech,
        (curves, bands, turns),
        [
            (action.stamp - begin, action_words(action.action, action.utterance), action.emotion)
            for action in history.actions
        ],
        end,
    )
    speech.set_xlim(0, end)
    speech.set_xlabel('seconds')
    figure.suptitle('Facial expression over time and what the dialogue manager decided')
    save(figure, path)
    return True


def _draw_turns(axes: Any, history: DemoHistory, begin: float, end: float) -> None:
    """Draw who had the floor, and when robot and person spoke."""
    changes = [(stamp - begin, floor) for stamp, floor in history.floors]
    for (start, floor), (stop, _) in zip(changes, [*changes[1:], (end, '')]):
        axes.broken_barh(
            [(start, stop - start)], (-0.42, 0.84), facecolors=_FLOOR_COLOURS.get(floor, 'white')
        )
        if stop - start > _FLOOR_ROOM * end:
            words = floor.replace('_', ' ')
            middle = (start + stop) / 2
            axes.text(middle, 0, words, ha='center', va='center', fontsize=8, clip_on=True)
    names = ['floor']
    for row, (speaker, colour) in enumerate(SPEAKER_COLOURS.items(), 1):
        names.append(speaker)
        spans = [(t.begin - begin, t.seconds) for t in history.turns if t.speaker == speaker]
        face = tuple(value / 255 for value in colour)
        axes.broken_barh(spans, (row - 0.3, 0.6), facecolors=face, edgecolor='0.2')
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(axis='x', alpha=0.3)


#: Share of the picture's width from which on a floor has room for its name.
_FLOOR_ROOM = 0.06
#: Shades of the floor for matplotlib: like the speakers, or grey where nobody speaks.
_FLOOR_COLOURS = {
    'robot_speaks': '0.9',
    'person_speaks': '#e0b2cd',
    'waiting': '#f3e7b5',
    'silence': '0.75',
    'nobody': '0.5',
}


#: The portrait labels a face at rest `unknown`; models with seven labels predict `neutral`.
_AT_REST = {NEUTRAL: UNKNOWN}


@dataclass(frozen=True)
class DemoSummary:
    """Metrics of a run.

    :param frames: messages received on ``emotion``.
    :param seconds: from the first image's stamp to the last one's.
    :param latency_ms: 50th and 95th percentile, from stamp to publication; None without frames.
    :param published: frames that the camera published; None, as below, if it did not report it.
    :param skipped: frames that the camera skipped because the machine was too busy.
    :param dropped: frames that the estimator dropped in favour of newer ones.
    :param bad: images that the estimator could not read.
    :param actions: how often each dialogue action was taken.
    :param turns: what robot and person spoke, with stamps from the first image's.
    :param agreement: with the truth; None if the source does not know it.
    """

    frames: int
    seconds: float
    latency_ms: tuple[float, float] | None
    published: int | None
    skipped: int | None
    dropped: int | None
    bad: int | None
    actions: Mapping[str, int]
    landmark_source: str
    model: str
    turns: tuple[SpokenTurn, ...]
    agreement: Agreement | None

    @property
    def rate(self) -> float:
        """Messages per second."""
        return (self.frames - 1) / self.seconds if self.seconds > 0 else 0.0

    @property
    def lost(self) -> int | None:
        """Published frames without any result; None if a node did not report its counts."""
        if self.published is None or self.dropped is None or self.bad is None:
            return None
        return max(self.published - self.frames - self.dropped - self.bad, 0)

    def as_dict(self) -> dict[str, Any]:
        """Return the content of ``summary.json``."""
        p50, p95 = self.latency_ms or (None, None)
        found = self.agreement
        return {
            'frames': self.frames,
            'frames_published': self.published,
            'frames_skipped': self.skipped,
            'frames_dropped': self.dropped,
            'frames_bad': self.bad,
            'frames_lost': self.lost,
            'seconds': round(self.seconds, 3),
            'fps': round(self.rate, 2),
            'latency_p50_ms': p50,
            'latency_p95_ms': p95,
            'landmark_source': self.landmark_source,
            'model': self.model,
            'actions': dict(self.actions),
            'conversation': [
                {
                    'speaker': turn.speaker,
                    'begin': round(turn.begin, 2),
                    'end': round(turn.end, 2),
                    'words': turn.words,
                    'action': turn.action,
                    'broken_off': turn.broken_off,
                }
                for turn in self.turns
            ],
            'spoken_over_the_person': self.spoken_over,
            'agreement': None
            if found is None
            else {
                'margin_s': MARGIN,
                'overall': _tally(found.overall),
                'settled': _tally(found.settled),
                'per_label': {label: _tally(t) for label, t in found.per_label.items()},
            },
        }

    def lines(self) -> list[str]:
        """Return the lines for the terminal."""
        lines = [f'frames     {self.frames} in {self.seconds:.1f} s ({self.rate:.1f} per second)']
        counts = {
            'published': self.published,
            'skipped by the camera': self.skipped,
            'dropped': self.dropped,
            'bad': self.bad,
            'lost between the nodes': self.lost or None,
        }
        known = [f'{count} {name}' for name, count in counts.items() if count is not None]
        if known:
            lines[0] += ', ' + ', '.join(known)
        if self.latency_ms:
            p50, p95 = self.latency_ms
            lines.append(
                f'latency    p50 {p50:.1f} ms, p95 {p95:.1f} ms from image stamp to emotion'
            )
        lines.append(f'landmarks  {self.landmark_source or "unknown"}')
        lines.append(f'model      {self.model or "unknown"}')
        decided = ', '.join(f'{name} {count}' for name, count in self.actions.items())
        lines.append(f'dialogue   {decided or "no action"}')
        lines.extend(self._turn_lines())
        lines.extend(self._agreement_lines())
        return lines

    @property
    def spoken_over(self) -> int | None:
        """How often the robot spoke while the person did; None if the person was not heard."""
        heard = any(turn.speaker == PERSON for turn in self.turns)
        return len(spoken_over(self.turns)) if heard else None

    def _turn_lines(self) -> list[str]:
        spoken = {
            name: sum(turn.seconds for turn in self.turns if turn.speaker == name)
            for name in SPEAKER_COLOURS
        }
        seconds = [f'the {name} for {value:.1f} s' for name, value in spoken.items() if value]
        if not seconds:
            return []
        line = f'speech     {", ".join(seconds)}'
        over = self.spoken_over
        if over is not None:
            line += f'; the robot {f"{over} times" if over else "never"} while the person did'
        return [line]

    def _agreement_lines(self) -> list[str]:
        found = self.agreement
        if found is None:
            return ['agreement  not measured: this source has no ground truth']
        lines = [
            f'agreement  {_words(found.settled)} with the truth, excluding {MARGIN:g} s around '
            'each change',
            f'           {_words(found.overall)} in all frames',
        ]
        lines += [
            f'           {_words(t)} where the truth is {n}' for n, t in found.per_label.items()
        ]
        return lines


def _tally(tally: Tally) -> dict[str, Any]:
    share = None if tally.share is None else round(tally.share, 4)
    return {'frames': tally.frames, 'agreed': tally.agreed, 'share': share}


def _words(tally: Tally) -> str:
    if tally.share is None:
        return 'no frame'
    return f'{tally.share:.3f} ({tally.agreed} of {tally.frames} frames)'


def _count(values: Mapping[str, str], key: str) -> int | None:
    try:
        return int(values[key])
    except (KeyError, ValueError):
        return None


def summarize(history: DemoHistory) -> DemoSummary:
    """Return the metrics of a run."""
    readings = history.readings
    latency = None
    if readings:
        p50, p95 = np.percentile([1e3 * reading.latency for reading in readings], (50, 95))
        latency = round(float(p50), 2), round(float(p95), 2)
    actions: dict[str, int] = {}
    for action in history.actions:
        actions[action.action] = actions.get(action.action, 0) + 1
    begin = readings[0].stamp if readings else 0.0
    turns = (replace(t, begin=t.begin - begin, end=t.end - begin) for t in history.turns)
    camera, estimator = history.health.get('camera', {}), history.health.get('estimator', {})
    return DemoSummary(
        frames=history.received,
        seconds=readings[-1].stamp - readings[0].stamp if readings else 0.0,
        latency_ms=latency,
        published=_count(camera, 'frames_published'),
        skipped=_count(camera, 'frames_skipped'),
        dropped=_count(estimator, 'frames_dropped'),
        bad=_count(estimator, 'frames_bad'),
        actions=actions,
        landmark_source=estimator.get('landmark_source', ''),
        turns=tuple(turns),
        model=next((reading.model for reading in reversed(readings) if reading.model), ''),
        agreement=agreement(
            history.truth, [(r.stamp, _AT_REST.get(r.label, r.label)) for r in readings]
        ),
    )
