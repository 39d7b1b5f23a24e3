"""Landmarks of a plain face whose mouth moves as a test says, with nothing of the package's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

#: Places of the landmarks that matter here, in a face 150 pixels wide: x right, y down, z away.
_PLACES = {
    33: (-50, -40, 10), 263: (50, -40, 10), 127: (-75, -30, 60), 356: (75, -30, 60),
    10: (0, -100, 5), 2: (0, 12, -30), 4: (0, 0, -45), 168: (0, -38, -10),
    13: (0, 40, -22), 14: (0, 41, -22), 81: (-12, 40, -20), 178: (-12, 41, -20),
    311: (12, 40, -20), 402: (12, 41, -20), 61: (-27, 41, -10), 291: (27, 41, -10),
    78: (-24, 41, -10), 308: (24, 41, -10), 0: (0, 32, -25), 17: (0, 50, -24),
    152: (0, 85, -10), 133: (-18, -38, 5), 362: (18, -38, 5), 6: (0, -30, -15),
    197: (0, -15, -30), 234: (-73, -10, 65), 454: (73, -10, 65),
}  # fmt: skip
_LOWER = {14: 1.0, 178: 0.9, 402: 0.9, 17: 1.0, 152: 0.9}
_UPPER = {13: -1.0, 81: -0.9, 311: -0.9, 0: -0.8}
_CORNERS = {61: -1.0, 291: 1.0, 78: -0.9, 308: 0.9}


def mouth(
    jaw: float = 0.0,
    upper: float = 0.0,
    wide: float = 0.0,
    up: float = 0.0,
    yaw: float = 0.0,
    pitch: float = 0.0,
) -> np.ndarray:
    """Return landmarks (478, 3): jaw down, upper lip up, corners outwards and up, in pixels.

    :param yaw: degrees, and so is ``pitch``.
    """
    points = np.zeros((478, 3))
    for index, place in _PLACES.items():
        points[index] = place
    for index, share in _LOWER.items():
        points[index, 1] += share * jaw
    for index, share in _UPPER.items():
        points[index, 1] += share * upper
    for index, share in _CORNERS.items():
        points[index] += (share * wide, -up, 0)
    a, b = np.radians([yaw, pitch])
    about_y = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return (points @ (about_x @ about_y).T + (320, 240, 0)).astype(np.float32)


def syllables(t: float) -> np.ndarray:
    """Return the landmarks of a talking face: four or five uneven syllables a second."""
    beat = 4.4 * t + 0.35 * np.sin(2.1 * t)
    number, phase = divmod(beat, 1.0)
    stress = (0.9, 0.5, 1.0, 0.35, 0.75, 0.6, 0.95)[int(number) % 7]
    shape = (0.6, -1.0, 0.1, 0.9, -0.5)[int(number) % 5]
    rise = float(np.sin(np.pi * phase) ** 1.5)
    return mouth(12 * stress * rise, 2.5 * stress * rise, 4 * shape * stress * rise)


def frames(
    pose: Callable[[float], np.ndarray],
    seconds: float,
    rate: float = 30.0,
    noise: float = 0.12,
    seed: int = 0,
) -> Iterator[tuple[np.ndarray, float]]:
    """Yield landmarks and stamp of each frame, with the noise of landmarks in pixels."""
    rng = np.random.default_rng(seed)
    for i in range(round(seconds * rate)):
        shown = pose(i / rate)
        yield (shown + rng.normal(scale=noise, size=shown.shape)).astype(np.float32), i / rate
