"""Reads the frames of clips; one reading of a video serves all its segments that do not overlap."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, takewhile
from pathlib import Path

from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.sources.images import images_in, read_image
from emotion_estimator.sources.video import VideoFile
from emotion_estimator_training.zoo.data.clips import Clip

#: Seconds by which a frame's stamp may precede its nominal time.
_EPSILON = 1e-4


def group_by_reading(clips: Iterable[Clip]) -> list[list[Clip]]:
    """Return groups of clips of one video that do not overlap, each in order of time.

    Annotators cut long recordings into many segments; decoding a recording from its start for each
    would take hours.
    """
    groups: dict[Path, list[list[Clip]]] = {}
    for clip in sorted(clips, key=_start):
        of_video = groups.setdefault(clip.path, [])
        free = (group for group in of_video if _end(group[-1]) <= _start(clip))
        group = next(free, None)
        if group is None:
            of_video.append([clip])
        else:
            group.append(clip)
    return [group for of_video in groups.values() for group in of_video]


def frames_of(
    clips: Sequence[Clip], rate: float = 0.0, folder_rate: float = 30.0
) -> Iterator[tuple[Clip, Iterator[Frame]]]:
    """Yield each clip of a video with its frames, which must be read before the next clip.

    A clip that the video has no frames for is not yielded.

    :param clips: a group of :func:`group_by_reading`.
    :param rate: frames per second: the first frame of each interval of ``1 / rate`` is taken; 0
        takes all. A video with a lower rate is not upsampled.
    :param folder_rate: frames per second of a folder of images, which are ordered by name. Images
        that cannot be decoded are skipped.
    :raises InputError: the video, or every image of the folder, cannot be decoded.
    """
    path = clips[0].path
    frames = _folder_frames(path, folder_rate) if path.is_dir() else VideoFile(path).frames()
    starts = [_start(clip) - _EPSILON for clip in clips]
    last = _end(clips[-1])

    def clip_at(frame: Frame) -> Clip | None:
        index = bisect_right(starts, frame.stamp) - 1
        within = index >= 0 and frame.stamp < _end(clips[index]) - _EPSILON
        return clips[index] if within else None

    needed = takewhile(lambda frame: frame.stamp < last, frames)
    for clip, part in groupby(needed, clip_at):
        if clip is not None:
            yield clip, sampled(part, rate)


def sampled(frames: Iterable[Frame], rate: float) -> Iterator[Frame]:
    """Yield the first frame of each interval of ``1 / rate`` seconds; all if ``rate`` is 0."""
    first, step = None, 0
    for frame in frames:
        first = frame.stamp if first is None else first
        if rate <= 0 or frame.stamp - first >= step / rate - _EPSILON:
            yield frame
            if rate > 0:
                step = int((frame.stamp - first + _EPSILON) * rate) + 1


def _start(clip: Clip) -> float:
    return clip.start or 0.0


def _end(clip: Clip) -> float:
    return math.inf if clip.end is None else clip.end


def _folder_frames(folder: Path, rate: float) -> Iterator[Frame]:
    decoded, last = False, None
    for index, path in enumerate(images_in(folder)):
        try:
            image = read_image(path)
        except InputError as error:
            last = error
            continue
        decoded = True
        yield Frame(image, index / rate)
    if not decoded:
        raise InputError(f'no image in {folder} can be decoded: {last}')
