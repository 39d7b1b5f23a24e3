"""One TFLite file of a model that reads windows, its inputs by name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import ModelError, first_line
from emotion_estimator.tflite import open_interpreter


class WindowNetwork:
    """Opens a file and runs it; what it reads and gives is checked at once, not in mid-stream."""

    def __init__(
        self, path: Path, shapes: Mapping[str, tuple[int, ...]], size: int,
        runtime: str | None = None,
    ) -> None:
        """Open ``path``.

        :param shapes: of the inputs that the card declares, without the batch.
        :param size: how many numbers come out.
        :param runtime: as in :func:`~emotion_estimator.tflite.open_interpreter`.
        :raises ModelError: no runtime reads it, or it is not what its card declares.
        """
        self._run: Any = open_interpreter(path, runtime)
        details = self._run.get_input_details()
        outputs = self._run.get_output_details()
        found = {str(one['name']).split(':')[0]: tuple(map(int, one['shape'])) for one in details}
        declared = {name: (1, *shape) for name, shape in shapes.items()}
        if found != declared:
            raise ModelError(
                f'{path} reads {_words(found)}, its card says {_words(declared)}; export the '
                'model again'
            )
        given = [tuple(map(int, one['shape'])) for one in outputs]
        if given != [(1, size)]:
            raise ModelError(
                f'{path} gives {given}, its card means {[(1, size)]}; export the model again'
            )
        if any(one['dtype'] != np.float32 for one in (*details, *outputs)):
            raise ModelError(
                f'{path} does not read and give float32, as exported models do; export it again'
            )
        self._at = {str(one['name']).split(':')[0]: one['index'] for one in details}
        self._output = outputs[0]['index']
        self._path = path

    def __call__(self, tensors: Mapping[str, FloatArray]) -> FloatArray:
        """Return the output (size,) of float32 inputs by name, without the batch.

        :raises ModelError: the runtime opened the file, but cannot run it.
        """
        for name, values in tensors.items():
            self._run.set_tensor(self._at[name], values[None])
        try:
            self._run.invoke()
        except RuntimeError as error:
            raise ModelError(f'{self._path} cannot be run ({first_line(error)})') from error
        answer: FloatArray = self._run.get_tensor(self._output)[0]
        return answer


def check_file(path: Path, sha256: str) -> None:
    """Compare a file with its card's checksum.

    :raises ModelError: it cannot be read, or is another one.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError) as error:
        # ValueError: a name that no file can have.
        reason = getattr(error, 'strerror', None) or first_line(error)
        raise ModelError(
            f'model file {str(path)!r} cannot be read ({reason}); restore it beside its card'
        ) from error
    if digest != sha256:
        raise ModelError(f'model file {path} is not the one its card means; export the model again')


def _words(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ', '.join(
        f'{name} {"x".join(map(str, shape))}' for name, shape in sorted(shapes.items())
    )
