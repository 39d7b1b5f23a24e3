"""What ``image`` and ``video`` write and show besides their lines: pictures, a table, a window."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

import click
import cv2

from emotion_estimator.annotation import annotate as annotated
from emotion_estimator.atomic_write import atomic_write
from emotion_estimator.emotion import NONE, FaceEmotion
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.film_writer import FilmWriter
from emotion_estimator.frame import RgbImage
from emotion_estimator.untrusted import printable, quote

Command = TypeVar('Command', bound=Callable[..., Any])

#: What ``--annotate`` writes single pictures as, and films.
PICTURES = ('.png', '.jpg', '.jpeg')
FILM = '.mp4'
#: Frames per second of a film that is written: frames beyond are left out.
_MOST_FPS = 60.0
_JPEG_QUALITY = 92
#: Frames of a folder, in their order.
_FRAME_NAME = 'frame_{:06d}.jpg'

#: Opens a window and closes it, in a process of its own: without a screen, Qt ends the process.
_TRIAL = 'import cv2; cv2.namedWindow("emotion-estimator"); cv2.waitKey(1); cv2.destroyAllWindows()'
_TRIAL_SECONDS = 30
_ESCAPE = 27
#: Reason for what is left out then.
NOT_WANTED = 'not read: the window was closed'


def output_options(command: Command) -> Command:
    """Add ``--annotate``, ``--csv`` (as ``table``) and ``--show``."""
    path = click.Path(path_type=Path)
    for option in (
        click.option(
            '--show',
            is_flag=True,
            help='Show each annotated picture in a window; q or Esc quits.',
        ),
        click.option(
            '--csv',
            'table',
            type=path,
            metavar='FILE',
            help='Write a table with one row per face; a picture without a face has one row with '
            'the label none. The file must not exist.',
        ),
        click.option(
            '--annotate',
            type=path,
            metavar='PATH',
            help='Write the annotated pictures into a folder, or to a file '
            f'({FILM} for a film; .png or .jpg for one image). No existing file is replaced.',
        ),
    ):
        command = option(command)
    return command


def _is_file(target: Path, suffixes: Sequence[str], what: str) -> bool:
    """Return whether a path is meant as a file, and not as a folder."""
    if _ask(target.is_dir, target):
        return False
    if target.suffix.lower() in suffixes:
        return True
    if target.suffix or _ask(target.exists, target):
        raise InputError(
            f'--annotate {quote(target)} is neither a folder nor a name for {what}, which ends in '
            f'{" or ".join(suffixes)}; choose such a name, or create the folder first'
        )
    return False


def _must_be_new(target: Path, option: str) -> None:
    if _ask(lambda: os.path.lexists(target), target):
        raise InputError(
            f'{option}: {quote(target)} exists and is not replaced; choose another name, or remove '
            'it first'
        )


def _ask(ask: Callable[[], bool], path: Path) -> bool:
    try:
        return ask()
    except (OSError, ValueError) as error:
        # The name is too long or holds a null byte, or its folder is not accessible.
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: Exception) -> InputError:
    reason = getattr(error, 'strerror', None) or first_line(error)
    return InputError(
        f'{quote(path)} cannot be written ({quote(reason)}); choose another place or make room'
    )


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error


def _write_picture(path: Path, image: RgbImage) -> None:
    """Write an RGB image as PNG or JPEG, complete or not at all; its folder is made if missing.

    :raises InputError: it cannot be written.
    """
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(path.suffix, bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise InputError(f'{quote(path)} cannot be written: OpenCV does not encode it')
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as partial:
            partial.write_bytes(data.tobytes())


class _DroppedError(Exception):
    """A file is not wanted any more."""


class _Table:
    """A CSV file with a row a face; it appears once it is complete."""

    def __init__(self, path: Path, key: str, labels: Sequence[str]) -> None:
        """:param key: name of the first column."""
        self._path = path
        self._stack = ExitStack()
        self._columns = [key, *_flat({}, labels)]
        self._labels = labels
        with _writing(path):
            partial = self._stack.enter_context(atomic_write(path))
            lines = partial.open('w', encoding='utf-8', newline='', errors='backslashreplace')
            self._stack.enter_context(lines)
            self._rows = csv.writer(lines, lineterminator='\n')
            self._rows.writerow(self._columns)

    def add(self, key: object, faces: Iterable[FaceEmotion]) -> None:
        rows = [_flat(face.to_dict(), self._labels) for face in faces]
        with _writing(self._path):
            for row in rows or [{**_flat({}, self._labels), 'label': NONE}]:
                self._rows.writerow([key, *row.values()])

    def close(self, complete: bool) -> None:
        with _writing(self._path), suppress(_DroppedError), self._stack:
            if not complete:
                raise _DroppedError


def _flat(face: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Return the columns of a face as ``to_dict`` returns it; all are empty if it is empty."""
    probabilities, roi = face.get('probabilities', {}), face.get('roi', ('',) * 4)
    head, gaze = face.get('head_pose', {}), face.get('gaze', {})
    return {
        **{name: face.get(name, '') for name in ('face_id', 'label', 'confidence')},
        **{f'probability_{label}': probabilities.get(label, '') for label in labels},
        **dict(zip(('x', 'y', 'width', 'height'), roi)),
        **{name: face.get(name, '') for name in ('valence', 'arousal')},
        **{f'head_{angle}': head.get(angle, '') for angle in ('yaw', 'pitch', 'roll')},
        **{f'gaze_{angle}': gaze.get(angle, '') for angle in ('yaw', 'pitch')},
        **{
            name: face.get(name, '') for name in ('looks_at_camera', 'speaking', 'is_speaking')
        },
    }  # fmt: skip


class _Window:
    """A window with the last picture."""

    def __init__(self, title: str, wait: bool) -> None:
        """:param wait: for a key after each picture; or show them as they come."""
        self._title = printable(title)
        self._wait = wait
        problem = _without_window()
        if problem:
            raise InputError(
                f'--show cannot open a window ({problem}); leave it out, or write pictures with '
                '--annotate'
            )

    def show(self, image: RgbImage) -> bool:
        """Show a picture; return whether to go on."""
        try:
            cv2.imshow(self._title, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
            while True:
                key = cv2.waitKey(50 if self._wait else 1) & 0xFF
                if key in (ord('q'), _ESCAPE):
                    return False
                if cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1:
                    return False
                if not self._wait or key != 0xFF:
                    return True
        except cv2.error as error:
            raise InputError(f'--show cannot continue ({quote(first_line(error))})') from error

    def close(self) -> None:
        cv2.destroyAllWindows()


def _without_window() -> str:
    """Return why no window can be opened here; empty if one can."""
    gui = next(
        (line for line in cv2.getBuildInformation().splitlines() if line.strip().startswith('GUI')),
        '',
    )
    if gui.endswith('NONE'):
        return 'this OpenCV is built without windows: opencv-python-headless'
    if sys.platform == 'linux' and not (
        os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')
    ):
        return 'there is no display: DISPLAY is not set'
    try:
        trial = subprocess.run(
            [sys.executable, '-c', _TRIAL],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return 'a trial of it did not end'
    return '' if trial.returncode == 0 else 'the display cannot be used'


class _Pictures:
    """A picture for each image, in the file that was named for it."""

    def __init__(self, targets: Mapping[Path, Path]) -> None:
        self._targets = targets

    def add(self, key: Path | float, image: RgbImage) -> None:
        assert isinstance(key, Path)
        _write_picture(self._targets[key], image)

    def close(self, complete: bool) -> None:
        """Do nothing: each picture is complete."""


class _Folder:
    """A numbered picture for each frame."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def add(self, key: Path | float, image: RgbImage) -> None:
        _write_picture(self._folder / _FRAME_NAME.format(self._count), image)
        self._count += 1

    def close(self, complete: bool) -> None:
        """Do nothing: each picture is complete."""


class _Film:
    """An MP4 file with the frames' own times."""

    def __init__(self, path: Path, fps: float) -> None:
        self._film = FilmWriter(path, min(fps, _MOST_FPS))

    def add(self, key: Path | float, image: RgbImage) -> None:
        assert not isinstance(key, Path)
        self._film.add(key, image)

    def close(self, complete: bool) -> None:
        if complete:
            self._film.close()
        else:
            self._film.drop()


class _Drawings(Protocol):
    """Takes annotated images: uint8 (H, W, 3) RGB, with the image's path or the frame's stamp."""

    def add(self, key: Path | float, image: RgbImage) -> None: ...

    def close(self, complete: bool) -> None: ...


def pictures(target: Path | None, files: Sequence[Path]) -> _Drawings | None:
    """Return what writes the annotated picture of each file; None if no target is given.

    :param target: a file that ends in .png or .jpg, for one image; or a folder, in which a picture
        has the name of its image: .jpg for JPEG, and .png for all others.
    :raises InputError: one of them exists, two would have the same name, or a file is given for
        several images.
    """
    if target is None:
        return None
    if _is_file(target, PICTURES, 'a picture'):
        if len(files) > 1:
            raise InputError(
                f'--annotate {quote(target)} is one file, and there are {len(files)} images; name '
                'a folder'
            )
        _must_be_new(target, '--annotate')
        return _Pictures({files[0]: target})
    sources: dict[Path, Path] = {}
    for file in files:
        suffix = '.jpg' if file.suffix.lower() in ('.jpg', '.jpeg') else '.png'
        place = target / f'{file.stem or "image"}{suffix}'
        if sources.setdefault(place, file) != file:
            raise InputError(
                f'--annotate: {quote(sources[place])} and {quote(file)} would both become '
                f'{quote(place)}; annotate them separately, into different folders'
            )
        _must_be_new(place, '--annotate')
    return _Pictures({file: place for place, file in sources.items()})


def film_or_folder(target: Path | None, fps: float) -> _Drawings | None:
    """Return what writes the annotated frames of a source; None if no target is given.

    :param target: a file that ends in .mp4, or a folder, new or empty.
    :param fps: frames per second of the source, above 0; a film has at most 60.
    :raises InputError: it exists, or is neither.
    """
    if target is None:
        return None
    if _is_file(target, (FILM,), 'a film'):
        _must_be_new(target, '--annotate')
        return _Film(target, fps)
    if _ask(target.is_dir, target) and _ask(lambda: any(target.iterdir()), target):
        raise InputError(
            f'--annotate: the folder {quote(target)} is not empty, and its files are not replaced; '
            'name a new one'
        )
    return _Folder(target)


class FaceOutputs:
    """Writes and shows frames with their faces, as far as the user asked for it.

    A context manager: table and film appear when it is left, but not after an exception.
    """

    def __init__(
        self,
        drawings: _Drawings | None,
        *,
        table: Path | None,
        show: bool,
        title: str,
        wait: bool = False,
    ) -> None:
        """Check what was asked for, and write nothing yet.

        :param drawings: takes the annotated images.
        :param table: CSV file to write.
        :param show: show a window.
        :param title: of the window.
        :param wait: for a key after each image.
        :raises InputError: the table exists already, or no window can be opened.
        """
        #: Whether the user closed the window.
        self.closed = False
        self._drawings = drawings
        self._path = table
        self._table: _Table | None = None
        if table is not None:
            if str(table) == '-':
                raise InputError('--csv writes a file: standard output has the lines; name one')
            if table.suffix.lower() in (*PICTURES, FILM):
                raise InputError(
                    f'--csv {quote(table)} has the name of a picture or film; end it in .csv'
                )
            _must_be_new(table, '--csv')
        self._window = _Window(title, wait) if show else None

    def begin(self, key: str, labels: Sequence[str]) -> None:
        """Begin the table, if one was asked for.

        :param key: name of its first column.
        :param labels: of the model, a column each.
        :raises InputError: it cannot be written.
        """
        if self._path is not None:
            self._table = _Table(self._path, key, labels)

    def add(self, key: Path | float, image: RgbImage, faces: tuple[FaceEmotion, ...]) -> None:
        """Write and show an image with its faces.

        :param key: its path, or the frame's stamp in seconds.
        :param image: uint8 (H, W, 3) RGB.
        :raises InputError: a file cannot be written.
        """
        if self._table is not None:
            name = click.format_filename(key) if isinstance(key, Path) else round(key, 6)
            self._table.add(name, faces)
        if self._drawings is None and self._window is None:
            return
        drawn = annotated(image, faces)
        if self._drawings is not None:
            self._drawings.add(key, drawn)
        if self._window is not None and not self._window.show(drawn):
            self.closed = True

    def finish(self, complete: bool = True) -> None:
        """Finish what is open, once; drop table and film if they are not complete.

        :raises InputError: a file cannot be written.
        """
        table, self._table = self._table, None
        drawings, self._drawings = self._drawings, None
        window, self._window = self._window, None
        with ExitStack() as closing:
            if window is not None:
                closing.callback(window.close)
            if drawings is not None:
                closing.callback(drawings.close, complete)
            if table is not None:
                closing.callback(table.close, complete)

    def __enter__(self) -> FaceOutputs:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finish(complete=error is None)
