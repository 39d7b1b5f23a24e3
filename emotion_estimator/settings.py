"""The nodes' settings: each declared once, with its range; read from ROS 2 parameter files too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from emotion_estimator.emotion import BRANCHES, VOCABULARIES
from emotion_estimator.errors import InputError, first_line

#: When a changed value counts: never once the node runs; from the next `configure` on, and so only
#: while the node is unconfigured; from the next frame or message on.
Change = Literal['startup', 'configure', 'runtime']


def setting(
    default: Any,
    description: str,
    *,
    change: Change = 'configure',
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare one setting: default, what it does and in which unit, when a change counts, range."""
    metadata = {
        'description': description,
        'change': change,
        'minimum': minimum,
        'maximum': maximum,
        'choices': choices,
    }
    return field(default=default, metadata=metadata)


def _autostart() -> Any:
    return setting(
        True,
        'Configure and activate without being told to, and again after an error; false where a '
        'lifecycle manager does it',
        change='startup',
    )


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
        'camera_optical_frame', 'frame_id of the images (REP-103 optical frame)', change='runtime'
    )
    jpeg_quality: int = setting(
        90,
        'Quality of the compressed images, which are made only while somebody subscribes',
        change='runtime',
        minimum=1,
        maximum=100,
    )
    loop: bool = setting(False, 'Start a source that ends again from its beginning')
    exit_at_end: bool = setting(False, 'End the process when the source ends', change='runtime')
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
        10.0,
        'Greatest seconds between attempts; the wait doubles up to it',
        minimum=0.05,
        maximum=600.0,
    )
    autostart: bool = _autostart()

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
    image_transport: str = setting(
        'raw',
        'raw subscribes to image_raw, compressed to image_raw/compressed',
        choices=('raw', 'compressed'),
    )
    max_rate_hz: float = setting(
        0.0,
        'Most images worked on per second of their stamps, others are skipped; 0 is no limit',
        change='runtime',
        minimum=0.0,
        maximum=240.0,
    )
    primary_face: str = setting(
        'largest',
        'Whose emotion goes to the topic emotion: the largest face, the one nearest_centre of the '
        'image, or the one longest_engaged (longest seen looking towards the camera)',
        change='runtime',
        choices=('largest', 'nearest_centre', 'longest_engaged'),
    )
    branches: str = setting(
        'fused',
        'What is read of a face: its blendshapes, its appearance (a network on its picture), or '
        'both, fused',
        choices=BRANCHES,
    )
    vocabulary: str = setting(
        'three',
        'Labels: three (happy, unknown, sad), or seven (angry, disgust, fear, happy, sad, '
        'surprise, neutral)',
        choices=tuple(VOCABULARIES),
    )
    model: str = setting(
        '',
        'JSON card of a model that `emotion-estimator zoo run` exported (docs/zoo.md), to run in '
        'place of the shipped networks: its labels are told. branches and vocabulary do not count '
        'then; abstain_below does, and neutral_baseline where it reads blendshapes. Empty is the '
        'shipped networks',
    )
    abstain_below: float = setting(
        0.0,
        'A label less probable than this is told as unknown; 0 tells it always',
        change='runtime',
        minimum=0.0,
        maximum=1.0,
    )
    neutral_baseline: float = setting(
        0.0,
        "Seconds of a face's first frames, those without clear expression, from which its own look "
        'at rest is learnt and taken out of its blendshapes; 0 is never',
        change='runtime',
        minimum=0.0,
        maximum=60.0,
    )
    face_timeout: float = setting(
        0.5,
        'Seconds without detection after which a face is lost, its identity and state forgotten',
        change='runtime',
        minimum=0.0,
        maximum=10.0,
    )
    reset_gap: float = setting(
        1.0,
        'Seconds between two images above which all state is reset',
        change='runtime',
        minimum=0.05,
        maximum=60.0,
    )
    publish_blendshapes: bool = setting(
        True, 'Fill the 52 blendshapes of each Emotion message', change='runtime'
    )
    debug_image: bool = setting(
        False, 'Publish the annotated image on the topic debug_image', change='runtime'
    )
    ros4hri: bool = setting(
        True, 'Publish on /humans/faces as REP-155 has it, where hri_msgs is installed'
    )
    autostart: bool = _autostart()

    def problem(self) -> str | None:
        """Return what is wrong between settings, None when they fit."""
        if self.max_rate_hz > 0 and self.reset_gap <= 1.0 / self.max_rate_hz:
            return (
                f'reset_gap {self.reset_gap} s is no longer than the time between two images at '
                f'max_rate_hz {self.max_rate_hz}: every image would begin anew; raise one of them'
            )
        return None


@dataclass(frozen=True)
class DialogueSettings:
    """How the conversation follows the emotions."""

    policy_file: str = setting(
        '',
        'YAML file of rules: when to do what; empty takes the shipped dialogue.yaml. Setting it, '
        'to the same value too, reads the file anew',
        change='runtime',
    )
    conversation_file: str = setting(
        '',
        'YAML file of topics and what is said of them; empty takes the shipped '
        'conversation_en.yaml. Setting it, to the same value too, reads the file anew',
        change='runtime',
    )
    autostart: bool = _autostart()

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


_PARAMETERS = 'ros__parameters'
#: What every node has beside its settings.
_FOREIGN = ('use_sim_time', 'qos_overrides', 'start_type_description_service')
_WILDCARDS = ('*', '**')


def load_parameters(path: Path, node: str, kind: type[Settings]) -> Settings:
    """Return the settings that a parameter file gives a node, defaults where it says nothing.

    Entries count whose name's last part is the node's or a wildcard, in any namespace: ``node``,
    ``/robot1/node``, ``robot1:`` with ``node:`` in it, ``/**``, ``/**/node``. Later ones win over
    earlier ones. ``use_sim_time`` and other parameters of every node are passed over.

    :raises InputError: the file cannot be read, is no parameter file, holds nothing for the node,
        names it in several namespaces, or holds a value that does not fit; the line names the file.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror})') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f'{path} is no YAML ({first_line(error)})') from error
    if not isinstance(document, dict) or _PARAMETERS in document:
        raise InputError(f'{path} is no parameter file: it begins with the name of a node')
    entries = list(_entries('', document))
    ours = [entry for entry in entries if entry[0].rpartition('/')[2] in (node, *_WILDCARDS)]
    if not ours:
        others = ', '.join(name for name, _ in entries) or 'nobody'
        raise InputError(f'{path} has no parameters for {node}, only for {others}')
    # Wildcards mean any of them; two names are two robots, and nothing says which one is meant.
    named = {name: None for name, _ in ours if not set(name.split('/')) & set(_WILDCARDS)}
    if len(named) > 1:
        raise InputError(f'{path} has parameters for {" and ".join(named)}; leave one of them')
    values: dict[str, Any] = {}
    for name, parameters in ours:
        if not isinstance(parameters, dict):
            raise InputError(f'{path}: {name} has no {_PARAMETERS}')
        values.update(parameters)
    mine = {key: v for key, v in values.items() if str(key).partition('.')[0] not in _FOREIGN}
    try:
        return make_settings(kind, mine)
    except InputError as error:
        raise InputError(f'{path}: {error}') from error


def _entries(above: str, names: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each node's full name and parameters, None where it has none.

    Names nest, and may hold slashes, as rcl_yaml_param_parser has it.
    """
    for key, entry in names.items():
        name = f'{above}/{str(key).strip("/")}'
        below = entry if isinstance(entry, dict) else {}
        deeper = {k: v for k, v in below.items() if k != _PARAMETERS and isinstance(v, dict)}
        if _PARAMETERS in below or not deeper:
            yield name, below.get(_PARAMETERS)
        yield from _entries(name, deeper)
