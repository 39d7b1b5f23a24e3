"""Tracks of mouths with known truth: of films that a user names, and of photographs that move."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.errors import InputError
from emotion_estimator.frame import Frame, RgbImage
from emotion_estimator.perception.landmarks.base import Landmarker
from emotion_estimator.perception.landmarks.face_mesh import BlendshapeHead, FaceMesh
from emotion_estimator.perception.mouth_motion import CHANNELS, MOVING, mouth_channels
from emotion_estimator.sources.portrait import Portrait
from emotion_estimator.sources.video import VideoFile
from emotion_estimator.untrusted import read_text
from emotion_estimator_training.data.photographs import load_photographs
from emotion_estimator_training.features.clips import open_sources
from emotion_estimator_training.sequences.mouth_courses import KINDS, draw_course
from emotion_estimator_training.sequences.moving_photograph import (
    MovingLandmarks,
    MovingPhotograph,
)

Floats = NDArray[np.float64]

#: Columns of a table of films.
COLUMNS = ('file', 'person', 'kind', 'speech')
_SPAN = re.compile(r'\s*(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)\s*')

#: Seconds after the start, and after the person has begun or ended to speak, that are not judged:
#: nobody can know so soon. Mouths open a little before the voice sounds.
_UNKNOWN_AT_START, _UNKNOWN_AFTER_BEGIN, _UNKNOWN_AFTER_END, _UNKNOWN_BEFORE = 0.35, 0.35, 0.5, 0.15

#: Length and rate of the courses whose landmarks move.
_COURSE_SECONDS, _COURSE_RATE = 8.0, 30.0
#: Length of a made film, its frame rates, the sides of its pictures in pixels.
_FILM_SECONDS, _FILM_RATES, _FILM_SIDES = 6.0, (10, 15, 20, 25, 30), (160, 220, 288)
#: Of the kinds, those that are drawn twice as often.
_OFTEN = (
    'speech', 'smiling speech', 'turning speech', 'chewing', 'laughing', 'turning', 'gestures',
)  # fmt: skip
#: Side of the square that a photograph is placed in, and the border around it, of its side.
_SIDE, _BORDER = 288, 0.25


@dataclass(frozen=True, eq=False)
class MouthTrack:
    """One face in T frames.

    :param name: of the film, or the number of the made sequence.
    :param person: who is seen; nobody is in both parts of a split.
    :param kind: what they do, for the tables.
    :param source: landmark source; ``moved`` for landmarks that were moved themselves.
    :param times: (T,), seconds.
    :param channels: (T, 12), see :func:`mouth_channels`.
    :param speaking: (T,), whether the person speaks; short pauses count as speech.
    :param real: whether it is a film of a real person.
    """

    name: str
    person: str
    kind: str
    source: str
    times: Floats
    channels: Floats
    speaking: NDArray[np.bool_]
    real: bool

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Frames (T,) whose truth can be known from what has been seen so far."""
        times = self.times
        judged = times >= times[0] + _UNKNOWN_AT_START
        for i in np.flatnonzero(self.speaking[1:] != self.speaking[:-1]) + 1:
            after = _UNKNOWN_AFTER_BEGIN if self.speaking[i] else _UNKNOWN_AFTER_END
            near = (times > times[i] - _UNKNOWN_BEFORE) & (times < times[i] + after)
            judged &= ~near
        return np.asarray(judged)

    def at_rate(self, rate: float) -> MouthTrack:
        """Return the track as a camera of at most ``rate`` frames per second would have seen it."""
        due = np.floor((self.times - self.times[0]) * rate + 1e-6)
        kept = np.flatnonzero(np.diff(due, prepend=-1.0) > 0)
        return replace(
            self,
            times=self.times[kept],
            channels=self.channels[kept],
            speaking=self.speaking[kept],
        )

    def varied(self, rng: np.random.Generator) -> MouthTrack:
        """Return the track at 5 to 60 frames per second, another pace and strength, and noisier.

        Frames are dropped, and lengths change as the head turns.
        """
        pace = np.exp(rng.uniform(-0.2, 0.2))
        rate = float(np.exp(rng.uniform(np.log(5), np.log(60))))
        clock = (self.times - self.times[0]) * pace
        steps = np.arange(int(clock[-1] * rate) + 1) / rate
        steps = np.sort(
            np.clip(steps + rng.normal(scale=0.05 / rate, size=len(steps)), 0, clock[-1])
        )
        dropped = rng.choice([0.0, 0.0, rng.uniform(0.0, 0.3)])
        kept = rng.random(len(steps)) >= dropped
        kept[0] = True
        steps = steps[kept]
        channels = resampled(clock, self.channels, steps)
        usual = np.median(channels, axis=0)
        # Landmarks of turned heads are off, by more or less the same in the same pose.
        turned = (channels - usual)[:, _POSE] @ rng.normal(scale=_OFF, size=(2, len(usual) - 2))
        channels[:, _NOT_POSE] *= 1 + turned
        strength = np.exp(rng.uniform(-0.3, 0.3))
        noise = rng.choice([0.0, rng.uniform(0.0, 1.0)])
        # Pictures of turning heads are blurred.
        speed = np.abs(np.gradient(channels[:, _POSE[0]]) * rate)
        tremble = (noise + rng.uniform(0.0, _BLUR) * speed)[:, None] * _TREMBLE
        channels = usual + strength * (channels - usual) + rng.normal(size=channels.shape) * tremble
        last = np.clip(np.searchsorted(clock, steps, side='right') - 1, 0, len(clock) - 1)
        return replace(self, times=steps, channels=channels, speaking=self.speaking[last])


_POSE = [CHANNELS.index(name) for name in ('yaw', 'pitch')]
_NOT_POSE = [i for i in range(len(CHANNELS)) if i not in _POSE]
#: Standard deviation of how much lengths change as the head turns.
_OFF = 0.4
#: Greatest noise of a head that turns by its size in a second, relative to ``_TREMBLE``.
_BLUR = 4.0
_TREMBLE = np.array([0.003] * (len(MOVING) - 2) + [0.01] * (len(CHANNELS) - len(MOVING) + 2))


def resampled(clock: Floats, channels: Floats, steps: Floats) -> Floats:
    """Interpolate channels (T, C) at ``clock`` (T,) linearly at ``steps`` (N,): (N, C)."""
    return np.stack([np.interp(steps, clock, column) for column in channels.T], axis=1)


def film_tracks(folder: Path, table: Path, teacher: Path | None) -> list[MouthTrack]:
    """Track the films of a folder that a table names, with each landmark source.

    :param table: CSV with the columns ``file`` (relative to the folder), ``person``, ``kind`` and
        ``speech``: spans like ``0-2.4 3.3-4.9`` in seconds, ``all``, or nothing.
    :param teacher: the Face Landmarker's file; None leaves it out.
    :raises InputError: the table is wrong, or a film is missing; the message names line and field.
    """
    rows = list(_rows(folder, table))
    sources = open_sources(teacher, BlendshapeHead.load())
    found = []
    for path, row, spans in rows:
        frames = list(VideoFile(path).frames())
        found += _tracked(path.stem, row['person'], row['kind'], frames, spans, sources)
    portrait = [(frame, frame.truth_speaking is True) for frame in Portrait(fps=15).frames()]
    spans = _true_spans([frame.stamp for frame, _ in portrait], [true for _, true in portrait])
    found += _tracked(
        'portrait', 'portrait', 'portrait', [frame for frame, _ in portrait], spans, sources
    )
    for source in sources:
        source.close()
    return found


def _rows(folder: Path, table: Path) -> Iterator[tuple[Path, dict[str, str], list[list[float]]]]:
    try:
        text = read_text(table)
    except (OSError, ValueError) as error:
        raise InputError(f'{table} cannot be read ({error}); name a CSV with --truth') from error
    reader = csv.DictReader(io.StringIO(text))
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f'{table} has no column {missing[0]!r}; it needs {", ".join(COLUMNS)}')
    for number, row in enumerate(reader, start=2):
        path = folder / (row['file'] or '')
        if not path.is_file():
            raise InputError(f'{table}, line {number}: there is no film {path}; correct "file"')
        yield path, row, _spans(row['speech'] or '', f'{table}, line {number}')


def _spans(text: str, where: str) -> list[list[float]]:
    if text.strip() == 'all':
        return [[0.0, np.inf]]
    spans = []
    for part in text.split():
        match = _SPAN.fullmatch(part)
        if match is None or float(match[1]) >= float(match[2]):
            raise InputError(
                f'{where}: speech must be spans like 0-2.4 3.3-4.9, all, or nothing, not {text!r}'
            )
        spans.append([float(match[1]), float(match[2])])
    return spans


def _true_spans(stamps: list[float], true: list[bool]) -> list[list[float]]:
    spans: list[list[float]] = []
    for stamp, speaks in zip(stamps, true):
        if speaks and spans and spans[-1][2]:
            spans[-1][1] = stamp
        elif speaks:
            spans.append([stamp, stamp, 1.0])
        elif spans:
            spans[-1][2] = 0.0
    return [span[:2] for span in spans]


def _tracked(
    name: str,
    person: str,
    kind: str,
    frames: list[Frame],
    spans: list[list[float]],
    sources: list[Landmarker],
) -> list[MouthTrack]:
    """Track the first face of a film; sources that see it for less than a second are left out."""
    found = []
    for source in sources:
        source.reset()
        times, channels = [], []
        for frame in frames:
            faces = source(frame)
            if faces:
                times.append(frame.stamp)
                channels.append(mouth_channels(faces[0].landmarks, faces[0].blendshapes))
        if len(times) < 5 or times[-1] - times[0] < 1.0:
            continue
        clock = np.array(times)
        speaking = np.zeros(len(clock), np.bool_)
        for begin, end in spans:
            speaking |= (clock >= begin) & (clock <= end)
        found.append(
            MouthTrack(name, person, kind, source.name, clock, np.stack(channels), speaking, True)
        )
    return found


class PhotographedPeople:
    """Photographs of many people, a folder or a zip; see :func:`~.load_photographs`.

    :raises InputError: it holds no photographs with a table of them.
    """

    def __init__(self, place: Path) -> None:
        self._photographs = load_photographs(place)
        self._rows: dict[str, list[int]] = {}
        for row, person in enumerate(self._photographs.person):
            self._rows.setdefault(person, []).append(row)
        self._mesh = FaceMesh(BlendshapeHead.load(), 1, True, 0.5)

    def faces(
        self, count: int, rng: np.random.Generator
    ) -> Iterator[tuple[str, RgbImage, NDArray[np.float32]]]:
        """Yield person, picture (S, S, 3) and landmarks (478, 3) of one photograph a person."""
        people = sorted(self._rows)
        rng.shuffle(people)
        given = 0
        for person in people:
            if given == count:
                return
            picture = _squared(self._photographs.image(int(rng.choice(self._rows[person]))))
            faces = self._mesh(Frame(picture, 0.0))
            if faces:
                given += 1
                yield person, picture, faces[0].landmarks


def _squared(image: NDArray[np.uint8]) -> RgbImage:
    """Return an image in a square with a border, so that a chin has room to drop."""
    height, width = image.shape[:2]
    side = max(height, width)
    border = round(_BORDER * side)
    top, left = (side - height) // 2 + border, (side - width) // 2 + border
    whole = side + 2 * border
    framed = cv2.copyMakeBorder(
        image, top, whole - height - top, left, whole - width - left, cv2.BORDER_REPLICATE
    )
    return np.asarray(cv2.resize(framed, (_SIDE, _SIDE)), np.uint8)


def _kind(number: int) -> str:
    kinds = [*KINDS, *_OFTEN]
    return kinds[number % len(kinds)]


def moved_tracks(photographs: PhotographedPeople, people: int, seed: int) -> list[MouthTrack]:
    """Return tracks of landmarks that move as courses say, one a person.

    The blendshapes are those that the shipped head reads from the landmarks.
    """
    head = BlendshapeHead.load()
    tracks = []
    for number, (person, _, landmarks) in enumerate(
        photographs.faces(people, np.random.default_rng([seed, 0]))
    ):
        rng = np.random.default_rng([seed, 1, number])
        course = draw_course(_kind(number), _COURSE_SECONDS, _COURSE_RATE, rng)
        channels = [
            mouth_channels(each, head(each)) for each in MovingLandmarks(landmarks)(course, rng)
        ]
        tracks.append(
            MouthTrack(
                f'{number:04d}', person, course.kind, 'moved', course.times, np.stack(channels),
                course.speaking, False,
            )
        )  # fmt: skip
    return tracks


def made_film_tracks(
    photographs: PhotographedPeople, people: int, teacher: Path | None, seed: int
) -> list[MouthTrack]:
    """Return tracks of photographs that move, as each landmark source sees their films."""
    sources = open_sources(teacher, BlendshapeHead.load())
    tracks = []
    for number, (person, picture, landmarks) in enumerate(
        photographs.faces(people, np.random.default_rng([seed, 2]))
    ):
        rng = np.random.default_rng([seed, 3, number])
        course = draw_course(_kind(number), _FILM_SECONDS, float(rng.choice(_FILM_RATES)), rng)
        photograph = MovingPhotograph(picture, landmarks)
        side, noise = int(rng.choice(_FILM_SIDES)), rng.uniform(0.5, 3.0)
        frames = []
        for i, stamp in enumerate(course.times.tolist()):
            image = cv2.resize(photograph(course, i), (side, side), interpolation=cv2.INTER_AREA)
            noisy = np.rint(image + rng.normal(scale=noise, size=image.shape)).clip(0, 255)
            frames.append(Frame(noisy.astype(np.uint8), stamp))
        spans = _true_spans(course.times.tolist(), course.speaking.tolist())
        tracks += [
            replace(track, real=False)
            for track in _tracked(f'{number:04d}', person, course.kind, frames, spans, sources)
        ]
    for source in sources:
        source.close()
    return tracks


def save_tracks(tracks: Sequence[MouthTrack], path: Path, plan: str) -> None:
    """Write tracks to an ``.npz`` file.

    :param plan: what they were made of; see :func:`load_tracks`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    words = [[getattr(track, name) for name in _WORDS] for track in tracks]
    with atomic_write(path) as partial, partial.open('wb') as file:
        np.savez_compressed(
            file,
            plan=plan,
            words=np.array(words),
            real=np.array([track.real for track in tracks]),
            lengths=np.array([len(track.times) for track in tracks]),
            times=np.concatenate([track.times for track in tracks]),
            channels=np.concatenate([track.channels for track in tracks]).astype(np.float32),
            speaking=np.concatenate([track.speaking for track in tracks]),
        )


def load_tracks(path: Path, plan: str) -> list[MouthTrack]:
    """Read the tracks of a file; empty if there is none, or it was made of something else."""
    try:
        with np.load(path, allow_pickle=False) as saved:
            if str(saved['plan']) != plan:
                return []
            ends = np.cumsum(saved['lengths'])[:-1]
            parts = [np.split(saved[name], ends) for name in ('times', 'channels', 'speaking')]
            words, real = saved['words'].tolist(), saved['real'].tolist()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return []
    return [
        MouthTrack(
            **dict(zip(_WORDS, map(str, word))),
            times=times,
            channels=channels.astype(np.float64),
            speaking=speaking,
            real=is_real,
        )
        for word, times, channels, speaking, is_real in zip(words, *parts, real)
    ]


#: The fields of a track that are text, which come first.
_WORDS = ('name', 'person', 'kind', 'source')
