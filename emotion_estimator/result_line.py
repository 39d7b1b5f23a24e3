"""A line of results as ``FrameResult.as_json`` writes it, recognised without a JSON parser.

A day of results has millions of lines, and nearly all of them look alike. What matches here is
certain to be valid and within its ranges; of everything else the general parser says what it is.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable
from typing import Any, NamedTuple

_TEXT = r'"([^"\\\x00-\x1f]*)"'
#: From 0 to 1: always with a point or an exponent, as floats are written.
_SHARE = r'(0\.[0-9]{1,18}|1\.0|[1-9](?:\.[0-9]{1,17})?e-0[4-9])'
_SIGNED = _SHARE.replace('(', '(-?(?:', 1) + ')'
_DEGREES = r'(-?(?:0|[1-9][0-9]?|[12][0-9]{2})\.[0-9]{1,9})'
_PIXEL = r'(0|-?[1-9][0-9]{0,8})'
_FLAG = '(true|false)'
_STAMP = r'(-?(?:0|[1-9][0-9]{0,8}|[1-7][0-9]{9})\.[0-9]{1,9})'
_PROBABILITIES = rf'(\{{{_TEXT}: {_SHARE}(?:, {_TEXT}: {_SHARE})*\}})'


def _bare(pattern: str) -> str:
    """Return a pattern without its groups, each of which takes time."""
    return re.sub(r'(?<!\\)\((?!\?)', '(?:', pattern)


def _face(
    shares: Callable[[str], str], who: Callable[[str], str], others: Callable[[str], str]
) -> str:
    """Return the pattern of a face and of what follows it; each callable drops groups or not.

    :param shares: applied to the probabilities.
    :param who: applied to the face's id, its confidence, and whether it speaks.
    :param others: applied to the rest but the label.
    """
    return (
        rf'\{{"face_id": {who(_TEXT)}, "label": {_TEXT}, "confidence": {who(_SHARE)}, '
        rf'"probabilities": {shares(f"({_bare(_PROBABILITIES)})")}, '
        + others(
            rf'"roi": \[{_PIXEL}, {_PIXEL}, {_PIXEL}, {_PIXEL}\], '
            rf'"valence": {_SIGNED}, "arousal": {_SIGNED}, '
            rf'"head_pose": \{{"yaw": {_DEGREES}, "pitch": {_DEGREES}, "roll": {_DEGREES}\}}, '
            rf'"gaze": \{{"yaw": {_DEGREES}, "pitch": {_DEGREES}\}}, '
            rf'"looks_at_camera": {_FLAG}'
        )
        + rf', "speaking": {who(_SHARE)}, "is_speaking": {who(_FLAG)}\}}(, |{_END})'
    )


_END = r'\]\}\r?\n?\Z'
_HEAD = re.compile(rf'\{{"stamp": {_STAMP}, "faces": \[({_END})?')
_GLANCED = re.compile(_face(str, _bare, _bare))
_SIGHTED = re.compile(_face(_bare, str, _bare))
_FACE = re.compile(_face(str, str, str))
_MORE = ', '

#: Reads the probabilities, which the pattern has found to be valid.
_values = json.JSONDecoder().raw_decode


class Glance(NamedTuple):
    """As much of a frame as a comparison needs.

    :param stamp: of the image, in seconds.
    :param faces: each face's label, the primary face first; empty if there are none.
    :param labels: the labels of the primary face's probabilities, each once.
    :param probabilities: the primary face's, float32, in the order of ``labels``.
    :param known: the labels of the other faces' probabilities.
    """

    stamp: float
    faces: tuple[str, ...]
    labels: tuple[str, ...]
    probabilities: array[float]
    known: tuple[str, ...] = ()


_NOBODY: array[float] = array('f')


def glance(line: str) -> Glance | None:
    """Return what a comparison needs of a line; None if it is not as we write it."""
    head = _HEAD.match(line)
    if head is None:
        return None
    if head[2] is not None:
        return Glance(float(head[1]), (), (), _NOBODY)
    face = _GLANCED.match(line, head.end())
    if face is None:
        return None
    label, shares, more = face.groups()
    values = _values(shares)[0]
    if more != _MORE:
        return Glance(float(head[1]), (label,), tuple(values), array('f', values.values()))
    labels, known = [label], []
    while more == _MORE:
        face = _GLANCED.match(line, face.end())
        if face is None:
            return None
        label, shares, more = face.groups()
        labels.append(label)
        known += _values(shares)[0]
    return Glance(
        float(head[1]), tuple(labels), tuple(values), array('f', values.values()), tuple(known)
    )


def fields(line: str) -> tuple[float, list[tuple[Any, ...]]] | None:
    """Return a line's stamp in seconds and its faces; None if the line is not as we write it.

    A face is a tuple of text in the order of ``FaceEmotion.to_dict``, the probabilities a mapping
    to floats.
    """
    found = _found(line, _FACE)
    if found is None:
        return None
    stamp, faces = found
    return stamp, [(*face[:3], _values(face[3])[0], *face[4:]) for face in faces]


def sighted_fields(line: str) -> tuple[float, list[tuple[str, ...]]] | None:
    """Return what the dialogue needs of a line, as :func:`fields` does.

    A face is its id, label, confidence, ``speaking`` and ``is_speaking``, all text.
    """
    return _found(line, _SIGHTED)


def _found(line: str, pattern: re.Pattern[str]) -> tuple[float, list[tuple[str, ...]]] | None:
    """Return a line's stamp in seconds, and the pattern's groups for each face."""
    head = _HEAD.match(line)
    if head is None:
        return None
    faces: list[tuple[str, ...]] = []
    at, more = head.end(), _MORE if head[2] is None else ''
    while more == _MORE:
        face = pattern.match(line, at)
        if face is None:
            return None
        *texts, more = face.groups()
        faces.append(tuple(texts))
        at = face.end()
    return float(head[1]), faces
