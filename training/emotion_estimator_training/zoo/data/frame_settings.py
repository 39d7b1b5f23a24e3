"""How clips become faces."""

from __future__ import annotations

from dataclasses import dataclass

from emotion_estimator.errors import InputError


@dataclass(frozen=True)
class FrameSettings:
    """How clips become faces.

    :param rate: frames per second, see ``frame_source``; 0 takes all.
    :param side: of the crops, in pixels.
    :param max_faces: faces looked for in a frame, of which the central one is taken.
    :param folder_rate: frames per second of folders of frames.
    :param source: landmark source: ``auto``, ``face_landmarker`` or ``face_mesh``.
    :param model: the ``.task`` file of ``face_landmarker``; empty means the user's cache.
    :raises InputError: one of them cannot be.
    """

    rate: float = 30.0
    side: int = 96
    max_faces: int = 3
    folder_rate: float = 30.0
    source: str = 'auto'
    model: str = ''

    def __post_init__(self) -> None:
        if not (0 <= self.rate <= 1000 and 0 < self.folder_rate <= 1000):
            raise InputError(
                f'{self.rate:g} (folders: {self.folder_rate:g}) frames per second cannot be; '
                'give 1 to 1000, or 0 for all frames of videos'
            )
        if not 16 <= self.side <= 1024 or self.max_faces < 1:
            raise InputError(
                f'crops of {self.side} pixels, {self.max_faces} faces cannot be; give 16 to 1024 '
                'pixels and at least one face'
            )
