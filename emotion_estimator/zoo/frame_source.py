"""Frames of a clip, video or folder, at a chosen rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame
from emotion_estimator.sources.images import images_in, read_image
from emotion_estimator.sources.video import VideoFile
from emotion_estimator.zoo.clip_set import Clip

#: Seconds by which a stamp may lie before the time it stands for.
_EPSILON = 1e-4


def frames_of(clip: Clip, rate: float = 0.0, folder_rate: float = 30.0) -> Iterator[Frame]:
    """Yield a clip's frames.

    :param rate: frames per second: of each step of ``1 / rate`` the first frame; 0 yields all.
        A video with fewer frames per second is not filled up.
    :param folder_rate: at which the images of a folder, in the order of their names, were taken.
        Images that do not decode are passed over.
    :raises InputError: the video cannot be decoded, or the folder has no image that can.
    """
    if clip.path.is_dir():
        frames = _folder_frames(clip, folder_rate)
    else:
        frames = VideoFile(clip.path).frames()
    yield from _sampled(_part(frames, clip), rate)


def _folder_frames(clip: Clip, rate: float) -> Iterator[Frame]:
    decoded, last = 0, None
    for index, path in enumerate(images_in(clip.path)):
        try:
            image = read_image(path)
        except InputError as error:
            last = error
            continue
        decoded += 1
        yield Frame(image, index / rate)
    if not decoded:
        raise InputError(f'no image in {clip.path} decodes: {last}')


def _part(frames: Iterable[Frame], clip: Clip) -> Iterator[Frame]:
    for frame in frames:
        if clip.end is not None and frame.stamp >= clip.end - _EPSILON:
            return
        if frame.stamp >= (clip.start or 0.0) - _EPSILON:
            yield frame


def _sampled(frames: Iterable[Frame], rate: float) -> Iterator[Frame]:
    first, step = None, 0
    for frame in frames:
        first = frame.stamp if first is None else first
        if rate <= 0 or frame.stamp - first >= step / rate - _EPSILON:
            yield frame
            if rate > 0:
                step = int((frame.stamp - first + _EPSILON) * rate) + 1
