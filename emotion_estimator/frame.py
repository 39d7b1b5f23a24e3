"""An image with its time, the faces found in it, and results as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.emotion import NONE, FaceEmotion, Roi, SightedFace, primary
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.result_line import Glance, fields, glance, sighted_fields
from emotion_estimator.untrusted import MAX_LINE, cannot_read, parse_json, quote, read_lines

_Read = TypeVar('_Read')

#: uint8 (H, W, 3), red first.
RgbImage = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Frame:
    """An image and when it was captured.

    :param image: uint8 (H, W, 3), RGB, H and W at least 1.
    :param stamp: capture time in seconds; the only clock that perception and dialogue read.
    :param truth: ground truth: the label of the face, or ``none`` for no face; None if the source
        does not know it.
    :param truth_speaking: ground truth: whether the person speaks; None if the source does not
        know it.
    """

    image: RgbImage
    stamp: float
    truth: str | None = None
    truth_speaking: bool | None = None


@dataclass(frozen=True, eq=False)
class FrameResult:
    """The faces in one frame.

    :param stamp: of the image, in seconds.
    :param faces: the primary face first; empty if there are none.
    """

    stamp: float
    faces: tuple[FaceEmotion, ...]

    @property
    def label(self) -> str:
        """Return the primary face's label, or ``none`` if there is no face."""
        face = primary(self.faces)
        return face.label if face else NONE

    def as_json(self) -> str:
        """Return the result as one line: ``{"stamp": seconds, "faces": [...]}``."""
        faces = [face.to_dict() for face in self.faces]
        return json.dumps({'stamp': round(self.stamp, 6), 'faces': faces})


class Sight(NamedTuple):
    """As much of a frame as the dialogue's decisions need.

    :param stamp: of the image, in seconds.
    :param faces: the primary face first; empty if there are none.
    """

    stamp: float
    faces: tuple[SightedFace, ...]


def read_results(path: Path) -> Iterator[FrameResult]:
    """Yield the results in a file of JSON lines, as ``replay --json`` and ``video --json`` write.

    Probabilities have the file's six decimals; blendshapes and landmarks are not in it.

    :raises InputError: the file cannot be read, or a line is not such a result; names the line.
    """
    return _read(path, _recognised)


def read_glances(path: Path) -> Iterator[Glance | FrameResult]:
    """Yield what a comparison needs of the results in such a file, in a fifth of the time.

    Where a line is not quite as we write it, its whole result.

    :raises InputError: as for :func:`read_results`.
    """
    return _read(path, glance)


def read_sights(path: Path) -> Iterator[Sight | FrameResult]:
    """Yield what the dialogue's decisions need of the results in such a file.

    Where a line is not quite as we write it, its whole result.

    :raises InputError: as for :func:`read_results`.
    """
    return _read(path, _sighted)


def _read(path: Path, recognise: Callable[[str], _Read | None]) -> Iterator[_Read | FrameResult]:
    """Yield each line as ``recognise`` returns it, or parsed where that returns None."""
    try:
        for number, line in enumerate(read_lines(path), start=1):
            found = recognise(line)
            if found is not None:
                yield found
            elif line.strip():
                yield _frame(line, f'{quote(path)}, line {number}')
    except UnicodeDecodeError as error:
        raise InputError(
            f'{quote(path)} is not a text file of JSON lines ({first_line(error)})'
        ) from error
    except (OSError, ValueError) as error:
        raise cannot_read('', path, error, InputError) from error


def write_results(results: Iterable[FrameResult], path: Path) -> int:
    """Write results as JSON lines; return how many.

    :raises OSError: the file cannot be written.
    """
    count = 0
    with path.open('w', encoding='utf-8') as lines:
        for result in results:
            lines.write(result.as_json() + '\n')
            count += 1
    return count


#: Latest stamp in seconds, of the year 2242, and farthest pixel; beyond them sums lose frames.
_LATEST = float(1 << 33)
_FARTHEST = float(1 << 31)


def _within(value: Any, low: float, high: float) -> float:
    number = float(value)
    if not low <= number <= high:
        raise ValueError(f'{number:g} is not from {low:g} to {high:g}')
    return number


def _frame(line: str, where: str) -> FrameResult:
    try:
        raw = parse_json(line, MAX_LINE)
        faces = tuple(_face(face) for face in raw['faces'])
        return FrameResult(_within(raw['stamp'], -_LATEST, _LATEST), faces)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(
            f'{where} is not a result as `emotion-estimator replay --json` writes it '
            f'({quote(first_line(error))})'
        ) from error


def _face(raw: dict[str, Any]) -> FaceEmotion:
    labels = tuple(raw['probabilities'])
    # Absent from files of older versions, as are others below.
    head, gaze = raw.get('head_pose', {}), raw.get('gaze', {})
    return FaceEmotion(
        face_id=str(raw['face_id']),
        label=str(raw['label']),
        confidence=_within(raw['confidence'], 0, 1),
        labels=labels,
        probabilities=np.array(
            [_within(raw['probabilities'][name], 0, 1) for name in labels], np.float32
        ),
        roi=Roi(*(int(_within(n, -_FARTHEST, _FARTHEST)) for n in raw['roi'])),
        valence=_within(raw.get('valence', 0.0), -1, 1),
        arousal=_within(raw.get('arousal', 0.0), -1, 1),
        head_yaw=_within(head.get('yaw', 0.0), -360, 360),
        head_pitch=_within(head.get('pitch', 0.0), -360, 360),
        head_roll=_within(head.get('roll', 0.0), -360, 360),
        gaze_yaw=_within(gaze.get('yaw', 0.0), -360, 360),
        gaze_pitch=_within(gaze.get('pitch', 0.0), -360, 360),
        looks_at_camera=bool(raw.get('looks_at_camera', False)),
        speaking=_within(raw.get('speaking', 0.0), 0, 1),
        is_speaking=bool(raw.get('is_speaking', False)),
    )


def _recognised(line: str) -> FrameResult | None:
    """Return the result in a line that is as we write it; None for any other."""
    found = fields(line)
    if found is None:
        return None
    stamp, faces = found
    return FrameResult(stamp, tuple(_recognised_face(*face) for face in faces))


def _recognised_face(
    face_id: str, label: str, confidence: str, probabilities: dict[str, float],
    x: str, y: str, width: str, height: str, valence: str, arousal: str,
    head_yaw: str, head_pitch: str, head_roll: str, gaze_yaw: str, gaze_pitch: str,
    looks_at_camera: str, speaking: str, is_speaking: str,
) -> FaceEmotion:  # fmt: skip
    return FaceEmotion(
        face_id=face_id,
        label=label,
        confidence=float(confidence),
        labels=tuple(probabilities),
        probabilities=np.array([*probabilities.values()], np.float32),
        roi=Roi(int(x), int(y), int(width), int(height)),
        valence=float(valence),
        arousal=float(arousal),
        head_yaw=float(head_yaw),
        head_pitch=float(head_pitch),
        head_roll=float(head_roll),
        gaze_yaw=float(gaze_yaw),
        gaze_pitch=float(gaze_pitch),
        looks_at_camera=looks_at_camera == 'true',
        speaking=float(speaking),
        is_speaking=is_speaking == 'true',
    )


def _sighted(line: str) -> Sight | None:
    """Return what the dialogue needs of a line that is as we write it; None for any other."""
    found = sighted_fields(line)
    if found is None:
        return None
    stamp, faces = found
    return Sight(
        stamp,
        tuple(
            SightedFace(face_id, label, float(confidence), float(speaking), speaks == 'true')
            for face_id, label, confidence, speaking, speaks in faces
        ),
    )
