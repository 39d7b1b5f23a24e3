"""A camera's calibration file, as ROS's ``camera_calibration`` writes it."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from emotion_estimator.errors import InputError
from emotion_estimator.strict_yaml import describe, integer, read_yaml
from emotion_estimator.untrusted import quote

#: Coefficients of each distortion model of ``sensor_msgs/distortion_models.hpp``.
_COEFFICIENTS = {'plumb_bob': (4, 5), 'rational_polynomial': (8, 12, 14), 'equidistant': (4,)}
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Calibration:
    """What ``sensor_msgs/CameraInfo`` says of a camera, row by row.

    :param width: of the images, in pixels, and so is ``height``.
    :param distortion_model: such as ``plumb_bob``; empty without a calibration.
    :param distortion: its coefficients.
    :param camera: intrinsic matrix of the raw images, 9 numbers; zeros without a calibration.
    :param rectification: rotation of stereo cameras, 9 numbers.
    :param projection: of the rectified images, 12 numbers.
    """

    width: int
    height: int
    distortion_model: str = ''
    distortion: tuple[float, ...] = ()
    camera: tuple[float, ...] = (0.0,) * 9
    rectification: tuple[float, ...] = (0.0,) * 9
    projection: tuple[float, ...] = (0.0,) * 12


def calibration_path(url: str) -> Path:
    """Return the file that a URL names, as ``camera_info_manager`` reads it.

    :param url: a path, ``file:///...``, or ``package://PACKAGE/...`` of an installed ROS package;
        ``${ROS_HOME}`` in it stands for that variable, or ``~/.ros``.
    :raises InputError: another kind of URL, or no such package.
    """
    home = os.environ.get('ROS_HOME') or str(Path.home() / '.ros')
    filled = url.replace('${ROS_HOME}', home)
    scheme, separator, rest = filled.partition('://')
    if not separator:
        return Path(filled)
    if scheme == 'file' and rest.startswith('/'):
        return Path(rest)
    if scheme == 'package':
        package, _, path = rest.partition('/')
        return _share(package, url) / path
    raise InputError(
        f'camera_info_url {quote(url)} must be a path, file:///..., or package://PACKAGE/...'
    )


def _share(package: str, url: str) -> Path:
    for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep):
        share = Path(prefix) / 'share' / package
        # Also of a name that is too long, which pathlib raises.
        if prefix and package and os.path.isdir(share):  # noqa: PTH112
            return share
    raise InputError(
        f'camera_info_url {quote(url)} names a package that is not installed; source its workspace'
    )


def read_calibration(path: Path) -> Calibration:
    """Read a file with ``image_width``, ``camera_matrix``, ``distortion_coefficients`` and so on.

    :raises InputError: the file cannot be read, or a field is missing or wrong; names both.
    """
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise InputError(
            f'{quote(path)} is not a calibration file: image_width and others are missing'
        )
    try:
        width = integer(document.get('image_width'), 'image_width')
        height = integer(document.get('image_height'), 'image_height')
        if width < 1 or height < 1:
            raise InputError(
                f'image_width and image_height must be positive: {describe(width)}x'
                f'{describe(height)}'
            )
        model = document.get('distortion_model', 'plumb_bob')
        if not isinstance(model, str) or model not in _COEFFICIENTS:
            raise InputError(
                f'distortion_model must be one of {", ".join(_COEFFICIENTS)}, not {describe(model)}'
            )
        counts = _COEFFICIENTS[model]
        camera = _matrix(document, 'camera_matrix', (9,))
        if not camera[0] > 0 or not camera[4] > 0:
            raise InputError('camera_matrix must have positive focal lengths')
        return Calibration(
            width,
            height,
            model,
            _matrix(document, 'distortion_coefficients', counts),
            camera,
            _matrix(document, 'rectification_matrix', (9,), _IDENTITY),
            _matrix(document, 'projection_matrix', (12,), _projection(camera)),
        )
    except InputError as error:
        raise InputError(f'{quote(path)}: {error}; calibrate again') from error


def _projection(camera: tuple[float, ...]) -> tuple[float, ...]:
    """Return the matrix of a single camera, which nothing rectifies."""
    return (*camera[:3], 0.0, *camera[3:6], 0.0, *camera[6:], 0.0)


def _matrix(
    document: dict[str, object],
    name: str,
    counts: tuple[int, ...],
    default: tuple[float, ...] | None = None,
) -> tuple[float, ...]:
    matrix = document.get(name)
    if matrix is None and default is not None:
        return default
    data = matrix.get('data') if isinstance(matrix, dict) else None
    if not isinstance(data, list) or len(data) not in counts or not all(map(_finite, data)):
        wanted = ' or '.join(map(str, counts))
        raise InputError(f'{name} must have {wanted} numbers as data')
    return tuple(float(number) for number in data)


def _finite(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # Large integers are no floats.
    return number and abs(value) < 1e9 and math.isfinite(value)  # type: ignore[arg-type]
