"""What the terminal shows while the demo runs: a live screen, or plain lines."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

import cv2
import numpy as np
from rich.bar import Bar
from rich.color import Color
from rich.console import Console, Group, RenderableType
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.style import Style
from rich.table import Table
from rich.text import Text

from emotion_estimator.annotation import label_colour
from emotion_estimator.demo.state import AnnotatedFrame, LiveSnapshot
from emotion_estimator.demo.turns import PERSON, ROBOT, SpokenTurn
from emotion_estimator.dialogue.action import DialogueAction
from emotion_estimator.emotion import NONE, Roi
from emotion_estimator.frame import RgbImage

#: Turns and actions that the live screen shows.
_ROWS = 6


def rate(snapshot: LiveSnapshot) -> float:
    """Return the rate of the recent readings, per second."""
    if len(snapshot.recent) < 2:
        return 0.0
    span = snapshot.recent[-1].stamp - snapshot.recent[0].stamp
    return (len(snapshot.recent) - 1) / span if span > 0 else 0.0


def latencies(snapshot: LiveSnapshot) -> tuple[float, float]:
    """Return the 50th and 95th percentile of the recent latencies, in milliseconds."""
    if not snapshot.recent:
        return 0.0, 0.0
    p50, p95 = np.percentile([1e3 * reading.latency for reading in snapshot.recent], (50, 95))
    return float(p50), float(p95)


def _css(label: str) -> str:
    return 'rgb({},{},{})'.format(*label_colour(label))


def thumbnail(frame: AnnotatedFrame, roi: Roi | None, columns: int, rows: int) -> Text:
    """Return an image as half-block characters of two pixels each, which are about square.

    :param roi: region to show, with a margin; None shows the full image.
    :param columns: maximum width in characters, at least 1.
    :param rows: maximum height in characters, at least 1.
    """
    image = _around(frame.image, roi)
    height, width = image.shape[:2]
    scale = min(columns / width, 2 * rows / height)
    size = max(1, int(width * scale)), max(2, 2 * int(height * scale / 2))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    text = Text(no_wrap=True, end='')
    for y in range(0, size[1], 2):
        for above, below in zip(small[y].tolist(), small[y + 1].tolist()):
            style = Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below))
            text.append('\N{UPPER HALF BLOCK}', style)
        text.append('\n')
    return text


def _around(image: RgbImage, roi: Roi | None) -> RgbImage:
    if roi is None or roi.area == 0:
        return image
    x, y = roi.x + roi.width // 2, roi.y + roi.height // 2
    half = round(0.75 * max(roi.width, roi.height))
    cut = image[max(0, y - half) : y + half, max(0, x - half) : x + half]
    return cut if cut.size else image


def screen(snapshot: LiveSnapshot, title: str, columns: int, rows: int) -> RenderableType:
    """Return the screen for a terminal of ``columns`` by ``rows`` characters."""
    picture_rows = max(4, min(22, rows - 12))
    picture_columns = max(8, min(48, columns // 2 - 4))
    layout = Layout()
    layout.split_column(Layout(name='above', size=picture_rows + 2), Layout(_dialogue(snapshot)))
    layout['above'].split_row(
        Layout(_picture(snapshot, picture_columns, picture_rows), size=picture_columns + 4),
        Layout(Panel(Group(_label(snapshot), _bars(snapshot), _numbers(snapshot)), title=title)),
    )
    return layout


def _picture(snapshot: LiveSnapshot, columns: int, rows: int) -> Panel:
    colour = _css(snapshot.label)
    if snapshot.frame is None:
        return Panel(Text('Waiting for the first image', style='dim'), border_style=colour)
    roi = snapshot.recent[-1].roi if snapshot.recent else None
    return Panel(thumbnail(snapshot.frame, roi, columns, rows), border_style=colour)


def _label(snapshot: LiveSnapshot) -> Text:
    label = 'no face' if snapshot.label == NONE else snapshot.label
    text = Text(f' {label} ', style=f'bold black on {_css(snapshot.label)}')
    if snapshot.recent and snapshot.label != NONE:
        text.append(f'  {snapshot.recent[-1].confidence:.2f}', style='not bold default on default')
    if snapshot.truth:
        text.append('   truth ', style='not bold default on default')
        speaks = ', speaks' if snapshot.speaking else ''
        style = f'not bold black on {_css(snapshot.truth)}'
        text.append(f' {snapshot.truth}{speaks} ', style=style)
    if snapshot.floor:
        text.append(
            f'   floor: {snapshot.floor.replace("_", " ")}', style='not bold default on default'
        )
    text.append('\n')
    return text


def _bars(snapshot: LiveSnapshot) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=8)
    table.add_column(ratio=1)
    table.add_column(width=4, justify='right')
    seen = next((r.probabilities for r in reversed(snapshot.recent) if r.probabilities), {})
    now = snapshot.recent[-1].probabilities if snapshot.recent else {}
    for label in seen:
        value = now.get(label, 0.0)
        table.add_row(label, Bar(1.0, 0.0, value, color=_css(label)), f'{value:.2f}')
    return table


def _numbers(snapshot: LiveSnapshot) -> Table:
    p50, p95 = latencies(snapshot)
    estimator, camera = snapshot.health.get('estimator', {}), snapshot.health.get('camera', {})
    table = Table.grid(padding=(0, 2))
    table.add_row('', '')
    table.add_row('frames', f'{snapshot.received}   {rate(snapshot):.1f} per second')
    table.add_row('latency', f'p50 {p50:.1f} ms   p95 {p95:.1f} ms')
    table.add_row('dropped', estimator.get('frames_dropped', '-'))
    table.add_row('landmarks', estimator.get('landmark_source', '-'))
    for values in (camera, estimator):
        problem = values.get('last_error', '')
        if problem:
            table.add_row('problem', Text(problem, style='bold red'))
    return table


def _dialogue(snapshot: LiveSnapshot) -> Panel:
    table = Table.grid(padding=(0, 2))
    now = snapshot.recent[-1].stamp if snapshot.recent else 0.0
    robot = {turn.begin: turn for turn in snapshot.turns if turn.speaker == ROBOT}
    rows: list[tuple[float, Text, Text]] = []
    for action in snapshot.actions:
        turn = robot.get(action.stamp)
        words = Text(turn.describe() if turn else action.utterance or '(no utterance)')
        words.stylize('bold' if action.utterance else 'dim')
        words.append(f'  {action.reason}', style='not bold dim')
        rows.append((action.stamp, Text(action.action, style=_css(action.emotion)), words))
    rows += [
        (turn.begin, Text(turn.speaker), Text(turn.describe()))
        for turn in snapshot.turns
        if turn.speaker == PERSON
    ]
    for stamp, who, words in sorted(rows, key=lambda row: -row[0])[:_ROWS]:
        table.add_row(Text(f'{max(0.0, now - stamp):5.1f} s ago', style='dim'), who, words)
    if not rows:
        table.add_row(Text('No action yet', style='dim'))
    return Panel(table, title='dialogue')


class View(Protocol):
    """Shows snapshots while its ``with`` block runs."""

    def __enter__(self) -> View: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def show(self, snapshot: LiveSnapshot) -> None:
        """Show the newest snapshot."""
        ...


class LiveView:
    """A full-screen display."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._live = Live(console=console, screen=True, auto_refresh=False)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, snapshot: LiveSnapshot) -> None:
        """Redraw the screen."""
        width, height = self._console.size
        self._live.update(screen(snapshot, self._title, width, height), refresh=True)


class PlainView:
    """Lines for a log: one per second, and one for each change of label, action and turn."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._label = ''
        self._next = float('-inf')
        self._last_action: DialogueAction | None = None
        self._begin: float | None = None
        #: When the person began to speak that is being reported, and whether they still do.
        self._person: tuple[float, bool] = (float('-inf'), False)

    def __enter__(self) -> PlainView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def show(self, snapshot: LiveSnapshot) -> None:
        """Print the lines that are due."""
        if not snapshot.recent:
            return
        last = snapshot.recent[-1]
        self._begin = snapshot.recent[0].stamp if self._begin is None else self._begin
        if last.label != self._label or last.stamp >= self._next:
            self._write(last.stamp, self._reading(snapshot))
            self._label, self._next = last.label, last.stamp + 1.0
        at = (
            snapshot.actions.index(self._last_action) + 1
            if self._last_action in snapshot.actions
            else 0
        )
        spoken = {turn.begin: turn for turn in snapshot.turns if turn.speaker == ROBOT}
        for action in snapshot.actions[at:]:
            turn = spoken.get(action.stamp)
            words = f': {turn.describe()}' if turn else ', without words'
            self._write(action.stamp, f'{action.action}{words}; {action.reason}')
            self._last_action = action
        for turn in snapshot.turns:
            if turn.speaker == PERSON and turn.begin >= self._person[0]:
                self._report(turn, last.stamp)

    def _report(self, turn: SpokenTurn, now: float) -> None:
        begin, speaking = self._person
        if turn.begin > begin:
            self._write(turn.begin, 'the person speaks')
            speaking = True
        ended = turn.end < now
        if speaking and ended:
            self._write(turn.end, f'the person has spoken for {turn.seconds:.1f} s')
        self._person = turn.begin, speaking and not ended

    def _reading(self, snapshot: LiveSnapshot) -> str:
        last = snapshot.recent[-1]
        p50, p95 = latencies(snapshot)
        scores = ' '.join(f'{label} {value:.2f}' for label, value in last.probabilities.items())
        truth = f', truth {snapshot.truth}' if snapshot.truth else ''
        floor = f', floor {snapshot.floor.replace("_", " ")}' if snapshot.floor else ''
        dropped = snapshot.health.get('estimator', {}).get('frames_dropped', '-')
        return (
            f'{last.label} ({scores or "no face"}{truth}){floor}, {rate(snapshot):.1f} fps, '
            f'latency {p50:.1f}/{p95:.1f} ms, dropped {dropped}'
        )

    def _write(self, stamp: float, line: str) -> None:
        seconds = stamp - (self._begin or 0.0)
        self._console.print(
            f'{seconds:6.1f} s  {line}', markup=False, highlight=False, soft_wrap=True
        )
