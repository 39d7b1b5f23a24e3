"""The last minute as options of an Apache ECharts chart: probabilities, labels, truth, speech."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from emotion_estimator.annotation import label_dashes
from emotion_estimator.emotion import NONE, FaceEmotion
from emotion_estimator.live.history import MINUTE
from emotion_estimator.live.moment import Moment
from emotion_estimator.live.overlay import hex_colour

#: Points a second that are drawn, which a minute's width can show.
_RATE = 5.0
#: Seconds between two points across which nothing is drawn.
_GAP = 1.0
#: The lanes below the curves, from the bottom.
SPEAKS, TRUTH, LABEL = 'speaks', 'truth', 'label'
LANES = (SPEAKS, TRUTH, LABEL)
_FAINT = {'lineStyle': {'color': '#888', 'opacity': 0.3}}


def chart(
    moments: Sequence[Moment], face_id: str | None, at: float | None = None, ink: str = '#555'
) -> dict[str, Any]:
    """Return the chart of one face.

    :param moments: oldest first.
    :param face_id: the face; None is the primary one of each moment.
    :param at: stamp that a line marks; None marks none.
    :param ink: colour of axes and letters.
    """
    newest = moments[-1].stamp if moments else 0.0
    shown = [(moment.stamp - newest, moment, moment.face(face_id)) for moment in _thin(moments)]
    labels = _labels(face for _, _, face in shown)
    small = {'color': ink, 'fontSize': 11}
    grid = {'left': 56, 'right': 12}
    series = [_curve(label, shown) for label in labels]
    series += [*_lane(LABEL, shown, lambda _, face: face.label if face else NONE)]
    series += [*_lane(TRUTH, shown, lambda moment, _: moment.truth)]
    series += [*_lane(SPEAKS, shown, _speaks)]
    if series and at is not None:
        series[0]['markLine'] = {
            'silent': True, 'symbol': 'none', 'label': {'show': False},
            'lineStyle': {'color': ink, 'type': 'solid'}, 'data': [{'xAxis': at - newest}],
        }  # fmt: skip
    return {
        'animation': False,
        'legend': {
            'data': list(labels), 'top': 0, 'textStyle': small, 'itemWidth': 36,
        },
        'tooltip': {'trigger': 'axis', 'confine': True},
        'grid': [{**grid, 'top': 28, 'height': '52%'}, {**grid, 'top': '76%', 'bottom': 20}],
        'xAxis': [
            _time_axis(0, small, show=False), _time_axis(1, small, show=True),
        ],
        'yAxis': [
            {'type': 'value', 'min': 0, 'max': 1, 'interval': 0.5, 'axisLabel': small,
             'splitLine': _FAINT},
            {'type': 'category', 'data': list(LANES), 'gridIndex': 1, 'axisLabel': small,
             'axisTick': {'show': False}, 'axisLine': {'show': False}},
        ],
        'series': series,
    }  # fmt: skip


def _time_axis(index: int, small: dict[str, Any], show: bool) -> dict[str, Any]:
    return {
        'type': 'value', 'gridIndex': index, 'min': -MINUTE, 'max': 0, 'interval': 10,
        'axisLabel': {**small, 'show': show, 'formatter': '{value} s'},
        'splitLine': _FAINT,
    }  # fmt: skip


Shown = Sequence[tuple[float, Moment, 'FaceEmotion | None']]


def _thin(moments: Sequence[Moment]) -> list[Moment]:
    kept: list[Moment] = []
    for moment in moments:
        if not kept or moment.stamp - kept[-1].stamp >= 0.99 / _RATE:
            kept.append(moment)
    return kept


def _labels(faces: Iterable[FaceEmotion | None]) -> tuple[str, ...]:
    """Return the labels of the newest face."""
    found: tuple[str, ...] = ()
    for face in faces:
        if face is not None:
            found = face.labels
    return found


def _curve(label: str, shown: Shown) -> dict[str, Any]:
    data: list[list[float | None]] = []
    before = shown[0][0]
    for x, _, face in shown:
        if x - before > _GAP:
            data.append([x, None])
        before = x
        known = dict(zip(face.labels, face.probabilities)) if face is not None else {}
        value = known.get(label)
        data.append([round(x, 2), None if value is None else round(float(value), 3)])
    return {
        'name': label, 'type': 'line', 'showSymbol': False, 'data': data,
        'color': hex_colour(label),
        'lineStyle': {'width': 2, 'type': [2 * d for d in label_dashes(label)] or 'solid'},
    }  # fmt: skip


def _lane(
    lane: str, shown: Shown, value: Callable[[Moment, FaceEmotion | None], str | None]
) -> list[dict[str, Any]]:
    """Return thick lines along a lane, one series for each value."""
    bars: dict[str, list[list[Any]]] = {}
    last: str | None = None
    before = 0.0
    for x, moment, face in shown:
        now = value(moment, face)
        if now is not None:
            points = bars.setdefault(now, [])
            if now != last or x - before > _GAP:
                points.append([None, None])
            points.append([round(x, 2), lane])
        # A bar ends where the next one begins.
        if last is not None and now != last and x - before <= _GAP:
            bars[last].append([round(x, 2), lane])
        last, before = now, x
    return [
        {
            'name': f'{lane}: {name}', 'type': 'line', 'xAxisIndex': 1, 'yAxisIndex': 1,
            'showSymbol': False, 'data': points, 'color': hex_colour(name),
            'lineStyle': {'width': 9, 'cap': 'butt'},
        }
        for name, points in bars.items()
    ]  # fmt: skip


def _speaks(moment: Moment, face: FaceEmotion | None) -> str | None:
    speaks = moment.speaks if moment.speaks is not None else bool(face and face.is_speaking)
    return 'person' if speaks else None
