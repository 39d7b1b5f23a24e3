"""The nodes' settings: each declared once, with its range, and validated as a whole.

ROS parameters, the comments in ``config/*.yaml`` and the README's tables are made from these
tables; a test holds them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar

from emotion_estimator.errors import InputError


def setting(
    default: Any,
    description: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare one setting: default, what it does and in which unit, least and greatest value."""
    metadata = {
        'description': description,
        'minimum': minimum,
        'maximum': maximum,
        'choices': choices,
    }
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class CameraSettings:
    """Where images come from and how they are published."""

    source: str = setting(
        '0', 'Device number or /dev path, video file, image file, folder of images, or portrait'
    )
    fps: float = setting(30.0, 'Frames per second asked for', minimum=1.0, maximum=240.0)
    width: int = setting(
        0, 'Image width in pixels, 0 as the source has it', minimum=0, maximum=7680
    )
    height: int = setting(
        0, 'Image height in pixels, 0 as the source has it', minimum=0, maximum=4320
    )
    frame_id: str = setting(
        'camera_optical_frame', 'frame_id of the images (REP-103 optical frame)'
    )
    loop: bool = setting(False, 'Start a source that ends again from its beginning')
    exit_at_end: bool = setting(False, 'End the process when the source ends')
    wait_for_subscribers: float = setting(
        0.0,
        'Seconds to wait at most for somebody to listen before the first frame',
        minimum=0.0,
        maximum=600.0,
    )
    retry_min: float = setting(
        0.5, 'Seconds before the first attempt to reopen a lost device', minimum=0.05, maximum=60.0
    )
    retry_max: float = setting(
        10.0, 'Greatest seconds between attempts; the wait doubles up to it', minimum=0.05,
        maximum=600.0,
    )

    def problem(self) -> str | None:
        """Return what is wrong between settings, None when they fit."""
        if self.retry_max < self.retry_min:
            return f'retry_max {self.retry_max} is below retry_min {self.retry_min}'
        return None


@dataclass(frozen=True)
class EstimatorSettings:
    """How emotions are read from images."""

    landmark_source: str = setting(
        'auto',
        'face_landmarker (needs its .task file), face_mesh (bundled), or auto: the first of them '
        'that works',
        choices=('auto', 'face_landmarker', 'face_mesh'),
    )
    face_landmarker_path: str = setting(
        '',
        'Path of face_landmarker.task; empty looks where `emotion-estimator models fetch` puts it',
    )
    max_faces: int = setting(4, 'Most faces looked for in an image', minimum=1, maximum=16)
    min_face_confidence: float = setting(
        0.5, 'Least confidence of the face detector', minimum=0.0, maximum=1.0
    )
    face_timeout: float = setting(
        0.5,
        'Seconds without detection after which a face is lost, its identity and state forgotten',
        minimum=0.0,
        maximum=10.0,
    )
    reset_gap: float = setting(
        1.0, 'Seconds between two images above which all state is reset', minimum=0.05, maximum=60.0
    )
    publish_blendshapes: bool = setting(True, 'Fill the 52 blendshapes of each Emotion message')
    debug_image: bool = setting(False, 'Publish the annotated image on the topic debug_image')

    def problem(self) -> str | None:
        """Return what is wrong between settings, None when they fit."""
        return None


@dataclass(frozen=True)
class DialogueSettings:
    """How the conversation follows the emotions."""

    policy_file: str = setting('', 'YAML file of rules and topics; empty takes the shipped one')

    def problem(self) -> str | None:
        """Return what is wrong between settings, None when they fit."""
        return None


Settings = TypeVar('Settings', CameraSettings, EstimatorSettings, DialogueSettings)


def _checked(declared: Field[Any], value: Any) -> Any:
    kind = type(declared.default)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise InputError(
            f'{declared.name} must be of type {kind.__name__}, got {value!r} '
            f'({type(value).__name__})'
        )
    choices = declared.metadata['choices']
    if choices and value not in choices:
        raise InputError(f'{declared.name} must be one of {", ".join(choices)}, got {value!r}')
    minimum, maximum = declared.metadata['minimum'], declared.metadata['maximum']
    if minimum is not None and not minimum <= value <= maximum:
        raise InputError(f'{declared.name} must lie in {minimum} to {maximum}, got {value!r}')
    return value


def make_settings(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Build settings from ``values``, defaults where a name is missing.

    :raises InputError: an unknown name, a wrong type, a value out of range, or values that do not
        fit each other; the message names the setting.
    """
    declared = {item.name: item for item in fields(kind)}
    unknown = sorted(set(values) - set(declared))
    if unknown:
        raise InputError(f'unknown setting {unknown[0]!r}; known are {", ".join(declared)}')
    made = kind(**{name: _checked(declared[name], value) for name, value in values.items()})
    problem = made.problem()
    if problem:
        raise InputError(problem)
    return made
