"""Settings of the nodes: each one is declared here once, with its description and range.

ROS parameters, the parameter files in config/, docs/parameters.md and options of the command line
are all made from these declarations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from emotion_estimator.emotion import BRANCHES, VOCABULARIES
from emotion_estimator.errors import InputError
from emotion_estimator.strict_yaml import describe, read_yaml
from emotion_estimator.untrusted import MAX_PIXELS, parse_json, quote, quote_some

#: When a new value takes effect: `startup` never (read-only once the node runs), `configure` at the
#: next configure transition (so it can be set only while unconfigured), `runtime` immediately.
Change = Literal['startup', 'configure', 'runtime']

#: Words a minute; slower than any voice speaks, the robot would seem to talk for ever.
_SLOWEST_VOICE = 20.0


def setting(
    default: Any,
    description: str,
    *,
    change: Change = 'configure',
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare a dataclass field that is a setting.

    :param default: its type is the setting's type.
    :param description: one or two sentences for users, with the unit.
    :param change: when a new value takes effect.
    :param minimum: smallest allowed number; every number has a minimum and a maximum.
    :param maximum: largest allowed number.
    :param choices: allowed texts; empty allows any.
    """
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
        'Configure and activate at startup, and again after an error; set to false if a lifecycle '
        'manager does this.',
        change='startup',
    )


def _max_image_pixels(what: str) -> Any:
    return setting(
        MAX_PIXELS,
        f'{what}, in pixels (width times height; the default is 8K). Larger ones are refused '
        'from their header.',
        minimum=4096,
        maximum=1 << 28,
    )


def _bond() -> Any:
    return setting(
        False,
        "Keep a bond while active (topic `bond`, id: the node's name), so that a lifecycle manager "
        "such as Nav2's notices when the process dies; needs bondpy.",
    )


@dataclass(frozen=True)
class CameraSettings:
    """Settings of the camera node."""

    source: str = setting(
        '0',
        'Device number or /dev path, `http://...` or `rtsp://...` of a camera or video, video '
        'file, image file, folder of images, or `portrait` (the built-in animated face).',
    )
    fps: float = setting(30.0, 'Requested frames per second.', minimum=1.0, maximum=240.0)
    width: int = setting(0, "Image width in pixels; 0 keeps the source's.", minimum=0, maximum=7680)
    height: int = setting(
        0, "Image height in pixels; 0 keeps the source's.", minimum=0, maximum=4320
    )
    max_image_pixels: int = _max_image_pixels('Largest image file to read')
    camera_format: str = setting(
        'auto',
        'Pixel format to ask a device for: `mjpg`, `yuyv`, `as_is` (what the driver chooses), or '
        '`auto` (MJPG if size and rate are otherwise too much for USB 2.0).',
        choices=('auto', 'mjpg', 'yuyv', 'as_is'),
    )
    network_timeout: float = setting(
        5.0,
        'Seconds without an answer or image after which an http or rtsp source counts as lost.',
        minimum=0.5,
        maximum=60.0,
    )
    camera_info_url: str = setting(
        '',
        'Calibration file to publish on camera_info, as camera_calibration writes it: a path, '
        '`file:///...` or `package://PACKAGE/...`; empty publishes that the camera is not '
        'calibrated.',
    )
    image_reliability: str = setting(
        'reliable',
        'Reliability (QoS) of the published images: `reliable`, which every subscriber can '
        'receive, or `best_effort`, which loads a weak network less.',
        choices=('reliable', 'best_effort'),
    )
    frame_id: str = setting(
        'camera_optical_frame',
        'TF frame of the images: an optical frame (REP-103).',
        change='runtime',
    )
    jpeg_quality: int = setting(
        90,
        'JPEG quality of the compressed images, which are encoded only while someone subscribes.',
        change='runtime',
        minimum=1,
        maximum=100,
    )
    loop: bool = setting(False, 'Start again from the beginning when the source ends.')
    exit_at_end: bool = setting(False, 'Exit when the source ends.', change='runtime')
    wait_for_subscribers: float = setting(
        0.0,
        'Maximum seconds to wait for subscribers before the first frame; 0 disables.',
        minimum=0.0,
        maximum=600.0,
    )
    retry_min: float = setting(
        0.5, 'Seconds before the first attempt to reopen a lost camera.', minimum=0.05, maximum=60.0
    )
    retry_max: float = setting(
        10.0,
        'Maximum seconds between attempts to reopen a lost camera; the delay doubles up to this.',
        minimum=0.05,
        maximum=600.0,
    )
    autostart: bool = _autostart()
    bond: bool = _bond()

    def problem(self) -> str | None:
        """Return which settings contradict each other, or None."""
        if self.retry_max < self.retry_min:
            return f'retry_max {self.retry_max} is below retry_min {self.retry_min}'
        return None


@dataclass(frozen=True)
class EstimatorSettings:
    """Settings of the estimator node and of :class:`EmotionEstimator`."""

    landmark_source: str = setting(
        'auto',
        'Where face landmarks come from: `face_landmarker` (its file comes with this package), '
        '`face_mesh` (bundled with MediaPipe up to 0.10.21), or `auto`: the Face Landmarker '
        'that you have downloaded, else the face mesh, else the Face Landmarker of this package.',
        choices=('auto', 'face_landmarker', 'face_mesh'),
    )
    face_landmarker_path: str = setting(
        '',
        'Path of face_landmarker.task; empty uses the file that `emotion-estimator models fetch` '
        'downloads, else that of this package.',
    )
    max_faces: int = setting(
        4, 'Maximum number of faces to detect in an image.', minimum=1, maximum=16
    )
    min_face_confidence: float = setting(
        0.5, 'Minimum confidence of the face detector.', minimum=0.0, maximum=1.0
    )
    max_image_pixels: int = _max_image_pixels('Largest image to decode')
    image_transport: str = setting(
        'raw',
        'Images to subscribe to: `raw` on image_raw, or `compressed` on image_raw/compressed.',
        choices=('raw', 'compressed'),
    )
    image_reliability: str = setting(
        'auto',
        'Reliability (QoS) of the image subscription: `reliable`, which loses few images but '
        'receives none from best-effort publishers, `best_effort`, which receives from every '
        'publisher, or `auto`: as they are published.',
        choices=('auto', 'reliable', 'best_effort'),
    )
    stamp_source: str = setting(
        'auto',
        'Capture time of an image: the stamp of the `message`, its `arrival` at the node, or '
        '`auto`, which is the stamp unless that is 0 or stands still.',
        choices=('auto', 'message', 'arrival'),
    )
    rotate: str = setting(
        '0',
        'Degrees by which to turn the images clockwise, for a camera that is mounted sideways or '
        'upside down: `0`, `90`, `180`, `270`, or `auto` (the rotation at which faces appear). '
        'Boxes, angles and the debug image are then those of the turned image.',
        choices=('0', '90', '180', '270', 'auto'),
    )
    max_rate_hz: float = setting(
        0.0,
        'Maximum number of images to process per second, by their stamps; 0 disables the limit.',
        change='runtime',
        minimum=0.0,
        maximum=240.0,
    )
    lazy: bool = setting(
        True,
        'Read images only while something subscribes to the results or the debug image; with '
        'ROS4HRI, read them always. Set to false so that a new subscriber gets tracked faces at '
        'once.',
        change='runtime',
    )
    cpu_budget: float = setting(
        0.0,
        'Limit on processor use as a share of one core, such as 0.3; 0 is no limit. First the '
        'appearance network reads steady faces in every second image only, then fewer images are '
        'processed, at least 4 per second.',
        change='runtime',
        minimum=0.0,
        maximum=16.0,
    )
    num_threads: int = setting(
        1,
        'Threads that run the appearance network, or your own model (`model`). More may give '
        'results sooner if cores are free, but take more processor time.',
        minimum=1,
        maximum=16,
    )
    primary_face: str = setting(
        'largest',
        'Face to publish on the topic emotion: the `largest`, the `nearest_centre` of the image, '
        'or the `longest_engaged` (the one that has looked towards the camera longest).',
        change='runtime',
        choices=('largest', 'nearest_centre', 'longest_engaged'),
    )
    branches: str = setting(
        'fused',
        "Model inputs: a face's `blendshapes`, its `appearance` (an embedding of its image), or "
        'both (`fused`).',
        choices=BRANCHES,
    )
    vocabulary: str = setting(
        'three',
        'Labels: `three` (happy, unknown, sad) or `seven` (angry, disgust, fear, happy, sad, '
        'surprise, neutral).',
        choices=tuple(VOCABULARIES),
    )
    model: str = setting(
        '',
        'JSON card of a model exported by `emotion-estimator zoo run` (docs/zoo.md), used instead '
        'of the shipped networks and with its own labels. It overrides branches and vocabulary; '
        'neutral_baseline applies only if it reads blendshapes. Empty uses the shipped networks.',
    )
    sad_threshold: float = setting(
        0.0,
        'Publish `sad` from this probability on, and below it the most probable label other than '
        '`sad` and `happy`; 0 publishes it when it is the most probable label.',
        change='runtime',
        minimum=0.0,
        maximum=1.0,
    )
    happy_threshold: float = setting(
        0.0,
        'The same for `happy`. If both qualify, the more probable is published.',
        change='runtime',
        minimum=0.0,
        maximum=1.0,
    )
    abstain_below: float = setting(
        0.0,
        "Publish `unknown` when the label's probability is below this; 0 disables.",
        change='runtime',
        minimum=0.0,
        maximum=1.0,
    )
    neutral_baseline: float = setting(
        0.0,
        "Seconds of near-neutral frames used to learn a face's resting expression, which is "
        'subtracted from its blendshapes; 0 disables.',
        change='runtime',
        minimum=0.0,
        maximum=60.0,
    )
    face_timeout: float = setting(
        0.5,
        'Seconds without a detection after which a face is lost and its id and state are '
        'forgotten.',
        change='runtime',
        minimum=0.0,
        maximum=10.0,
    )
    search_hz: float = setting(
        5.0,
        'Searches for further faces per second, besides those in images in which no face is '
        'tracked or one was just lost. 0 searches every image in which fewer than max_faces are '
        'tracked, which takes more processor time (docs/cost.md).',
        change='runtime',
        minimum=0.0,
        maximum=60.0,
    )
    reset_gap: float = setting(
        1.0,
        'Reset all state when consecutive images are more than this many seconds apart.',
        change='runtime',
        minimum=0.05,
        maximum=60.0,
    )
    publish_blendshapes: bool = setting(
        True, 'Include the 52 blendshapes in each Emotion message.', change='runtime'
    )
    debug_image: bool = setting(
        False, 'Publish the annotated image on the topic debug_image.', change='runtime'
    )
    ros4hri: bool = setting(
        True, 'Publish faces on /humans/faces (ROS4HRI, REP-155) if hri_msgs is installed.'
    )
    ros4hri_mode: str = setting(
        'auto',
        'Role on /humans/faces: `detector` (publishes its own face ids and the list of tracked '
        'faces), `attach` (adds expressions to the faces of another face detector), or '
        '`auto` (`attach` while another node publishes the list).',
        choices=('auto', 'detector', 'attach'),
    )
    ros4hri_cropped: bool = setting(
        False,
        'Also publish a picture of each face on its topics cropped and aligned while something '
        'subscribes, unless in `attach` mode.',
    )
    autostart: bool = _autostart()
    bond: bool = _bond()

    def problem(self) -> str | None:
        """Return which settings contradict each other, or None."""
        if self.max_rate_hz > 0 and self.reset_gap <= 1.0 / self.max_rate_hz:
            return (
                f'reset_gap {self.reset_gap} s is not longer than the time between two images at '
                f'max_rate_hz {self.max_rate_hz}, so every image would reset all state; raise one '
                'of them'
            )
        if self.cpu_budget > 0 and self.reset_gap <= 0.25:
            return (
                f'reset_gap {self.reset_gap} s is not longer than the time between two images that '
                'cpu_budget may cause, 0.25 s; raise it, or set cpu_budget to 0'
            )
        return None


@dataclass(frozen=True)
class DialogueSettings:
    """Settings of the dialogue manager node."""

    policy_file: str = setting(
        '',
        'YAML file of dialogue rules; empty uses the shipped dialogue.yaml. Setting it, even to '
        'the same value, reloads the file.',
        change='runtime',
    )
    conversation_file: str = setting(
        '',
        'YAML file of topics and utterances; empty uses the shipped conversation_en.yaml. Setting '
        'it, even to the same value, reloads the file.',
        change='runtime',
    )
    publish_say: bool = setting(
        True,
        'Publish the utterance on dialogue/say; false leaves this to another node, such as '
        'llm_dialogue, which publishes there itself.',
    )
    words_per_minute: float = setting(
        0.0,
        'Speaking rate used to estimate how long the robot talks if text-to-speech does not report '
        "on dialogue/robot_speaking; 0 uses the policy file's value.",
        change='runtime',
        minimum=0.0,
        maximum=1000.0,
    )
    question_time: float = setting(
        0.0,
        'Seconds to wait for an answer before saying anything else, in tones without a time of '
        "their own; 0 uses the policy file's value.",
        change='runtime',
        minimum=0.0,
        maximum=600.0,
    )
    hear_face: bool = setting(
        False,
        'Also count the person as speaking while their mouth moves as in speech '
        '(docs/speaking.md), for robots that do not hear voices.',
        change='runtime',
    )
    ros4hri: bool = setting(
        True,
        'Hear voices on /humans/voices and publish on /intents (ROS4HRI) if hri_msgs and '
        'hri_actions_msgs are installed.',
    )
    say_action: str = setting(
        '',
        'Name of the speech action that each utterance is sent to; empty uses the topic '
        'dialogue/say only.',
    )
    say_action_type: str = setting(
        '', 'Type of that action, such as tts_msgs/action/TTS; needed if say_action is set.'
    )
    autostart: bool = _autostart()
    bond: bool = _bond()

    def problem(self) -> str | None:
        """Return which settings contradict each other, or None."""
        if self.say_action and not self.say_action_type:
            return 'say_action is set, but say_action_type is not; set both'
        if self.words_per_minute and self.words_per_minute < _SLOWEST_VOICE:
            return (
                f"words_per_minute must be 0, for the policy file's, or from {_SLOWEST_VOICE:g} to "
                f'1000, got {self.words_per_minute:g}'
            )
        return None

    def times(self) -> dict[str, float]:
        """Return the times that override those of the policy file."""
        given = {name: getattr(self, name) for name in ('words_per_minute', 'question_time')}
        return {name: value for name, value in given.items() if value > 0}


@dataclass(frozen=True)
class LanguageModelSettings:
    """Settings of the node that has a language model speak."""

    base_url: str = setting(
        'http://localhost:11434/v1',
        'URL of an OpenAI-compatible server, usually ending in /v1; the default is that of Ollama '
        'on this machine.',
    )
    model: str = setting('', 'Name of the model; required.')
    api_key_env: str = setting(
        '',
        'Name of the environment variable with the API key; empty sends no key. The key itself '
        'must not be a parameter.',
    )
    timeout: float = setting(
        4.0,
        'Seconds to wait for the first sentence; after that the words of the conversation file are '
        'said.',
        change='runtime',
        minimum=0.1,
        maximum=120.0,
    )
    total_timeout: float = setting(
        15.0,
        'Seconds to wait for the whole answer; what arrives later is not said.',
        change='runtime',
        minimum=0.1,
        maximum=600.0,
    )
    max_words: int = setting(
        60,
        'Maximum number of words; a longer answer ends with the last sentence that fits.',
        change='runtime',
        minimum=5,
        maximum=1000,
    )
    temperature: float = setting(
        0.7,
        'Sampling temperature; -1 leaves it to the server, as some models require.',
        change='runtime',
        minimum=-1.0,
        maximum=2.0,
    )
    extra_body: str = setting(
        '',
        'JSON object with additional fields for each request, for example to switch reasoning off '
        '(docs/language_model.md).',
        change='runtime',
    )
    history_turns: int = setting(
        16,
        'Number of turns, of the person and the robot together, that are sent with each request.',
        minimum=0,
        maximum=200,
    )
    system_prompt_file: str = setting(
        '', "Text file with the robot's character and rules; empty uses the built-in text."
    )
    log_requests: bool = setting(
        False, 'Log where each request goes, and its whole body.', change='runtime'
    )
    autostart: bool = _autostart()
    bond: bool = _bond()

    def problem(self) -> str | None:
        """Return which settings contradict each other, or None."""
        try:
            url = urlsplit(self.base_url)
        except ValueError:
            # Half an IPv6 address.
            url = urlsplit('')
        if url.scheme not in ('http', 'https') or not url.hostname:
            got = describe(self.base_url)
            return f'base_url must be like http://localhost:11434/v1, got {got}'
        if url.username or url.password or url.query:
            # It is logged and published.
            return 'base_url must not hold a key; name the environment variable in api_key_env'
        try:
            extra = self.extra_fields()
        except ValueError:
            extra = None
        if not isinstance(extra, dict) or extra.keys() & {'model', 'messages', 'stream'}:
            return (
                'extra_body must be a JSON object without model, messages and stream, got '
                f'{describe(self.extra_body)}'
            )
        if self.total_timeout < self.timeout:
            return f'total_timeout {self.total_timeout} is below timeout {self.timeout}'
        return None

    def extra_fields(self) -> Any:
        """Return ``extra_body`` as parsed: a dictionary, if the settings have no problem.

        :raises ValueError: it is not JSON.
        """
        return parse_json(self.extra_body or '{}')


@dataclass(frozen=True)
class LiveSettings:
    """Settings of the node that serves the page."""

    port: int = setting(
        0,
        'Port on 127.0.0.1 on which the page is served; 0 uses 8080, or the next free port.',
        minimum=0,
        maximum=65535,
    )
    image_transport: str = setting(
        'raw',
        'Subscribe to `raw` images, or to `compressed` ones (at <image topic>/compressed).',
        choices=('raw', 'compressed'),
    )
    estimator: str = setting(
        'estimator', 'Name of the estimator node whose thresholds the page can set.'
    )
    autostart: bool = _autostart()
    bond: bool = _bond()

    def problem(self) -> str | None:
        """Return which settings contradict each other: none do."""
        return None


Settings = TypeVar(
    'Settings',
    CameraSettings,
    EstimatorSettings,
    DialogueSettings,
    LanguageModelSettings,
    LiveSettings,
)


def make_settings(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Build settings from ``values``, with defaults for missing names.

    :raises InputError: a name is unknown, a value has the wrong type or is out of range, or two
        values contradict each other; the message names the setting.
    """
    declared = {item.name: item for item in fields(kind)}
    unknown = sorted(set(values) - set(declared), key=str)
    if unknown:
        raise InputError(f'unknown setting {describe(unknown[0])}; known are {", ".join(declared)}')
    made = kind(**{name: _checked(declared[name], value) for name, value in values.items()})
    problem = made.problem()
    if problem:
        raise InputError(problem)
    return made


def _checked(declared: Field[Any], value: Any) -> Any:
    kind = type(declared.default)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise InputError(
            f'{declared.name} must be of type {kind.__name__}, got {describe(value)} '
            f'({type(value).__name__})'
        )
    choices = declared.metadata['choices']
    if choices and value not in choices:
        raise InputError(
            f'{declared.name} must be one of {", ".join(choices)}, got {describe(value)}'
        )
    minimum, maximum = declared.metadata['minimum'], declared.metadata['maximum']
    if minimum is not None and not minimum <= value <= maximum:
        raise InputError(
            f'{declared.name} must be from {minimum} to {maximum}, got {describe(value)}'
        )
    return value


_PARAMETERS = 'ros__parameters'
#: Parameters that every ROS node has in addition to its own.
_COMMON = ('use_sim_time', 'qos_overrides', 'start_type_description_service')
_WILDCARDS = ('*', '**')


def load_parameters(path: Path, node: str, kind: type[Settings]) -> Settings:
    """Return the settings that a ROS parameter file gives a node, with defaults for the rest.

    An entry applies if the last part of its name is the node's or a wildcard, in any namespace:
    ``node``, ``/robot1/node``, ``robot1:`` with ``node:`` in it, ``/**``, ``/**/node``. Later
    entries override earlier ones. ``use_sim_time`` and other parameters that every node has are
    ignored.

    :raises InputError: the file cannot be read, is not a parameter file, has no entry for the node,
        names it in several namespaces, or has a wrong value; the message names the file.
    """
    document = read_yaml(path)
    if not isinstance(document, dict) or _PARAMETERS in document:
        raise InputError(
            f'{quote(path)} is not a parameter file: it must begin with the name of a node'
        )
    entries = list(_entries('', document))
    ours = [entry for entry in entries if entry[0].rpartition('/')[2] in (node, *_WILDCARDS)]
    if not ours:
        others = quote_some([name for name, _ in entries], 20)
        only = f', only for {others}' if others else ''
        raise InputError(f'{quote(path)} has no parameters for {node}{only}')
    # Wildcards match any node; two full names are two robots, and which one is meant is unknown.
    full_names = dict.fromkeys(n for n, _ in ours if not set(n.split('/')) & set(_WILDCARDS))
    if len(full_names) > 1:
        raise InputError(
            f'{quote(path)} has parameters for {quote(" and ".join(full_names))}; remove one'
        )
    values: dict[str, Any] = {}
    for name, parameters in ours:
        if not isinstance(parameters, dict):
            raise InputError(f'{quote(path)}: {quote(name)} has no {_PARAMETERS}')
        values.update(parameters)
    own = {key: v for key, v in values.items() if str(key).partition('.')[0] not in _COMMON}
    try:
        return make_settings(kind, own)
    except InputError as error:
        raise InputError(f'{quote(path)}: {error}') from error


def _entries(namespace: str, names: dict[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each node's full name and parameters (None if it has none).

    Names nest and may contain slashes, as in rcl_yaml_param_parser.
    """
    for key, entry in names.items():
        name = f'{namespace}/{str(key).strip("/")}'
        mapping = entry if isinstance(entry, dict) else {}
        nested = {k: v for k, v in mapping.items() if k != _PARAMETERS and isinstance(v, dict)}
        if _PARAMETERS in mapping or not nested:
            yield name, mapping.get(_PARAMETERS)
        yield from _entries(name, nested)
