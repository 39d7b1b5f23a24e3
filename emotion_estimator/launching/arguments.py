"""The launch files' arguments, each described once. Needs `launch`, which distributions have."""

from __future__ import annotations

from launch.actions import DeclareLaunchArgument
from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration

from emotion_estimator.resources import resource_dir

_OR_FILE = 'empty: as the parameter file says'
_YES_NO = ('true', 'false')


def _argument(
    name: str, default: str, description: str, choices: tuple[str, ...] | None = None
) -> DeclareLaunchArgument:
    return DeclareLaunchArgument(
        name, default_value=default, description=description, choices=choices
    )


_ALL = (
    _argument(
        'source',
        '',
        'Device number or /dev path, video file, image file, folder of images, or portrait; '
        f'{_OR_FILE} (device 0)',
    ),
    _argument(
        'landmark_source',
        '',
        f'Where landmarks come from; {_OR_FILE} (auto)',
        ('', 'auto', 'face_landmarker', 'face_mesh'),
    ),
    _argument(
        'model',
        '',
        'JSON card of a model that stands for the shipped networks (docs/zoo.md); '
        f'{_OR_FILE} (none)',
    ),
    _argument(
        'namespace', '', 'Namespace of the nodes; one for each camera where there are several'
    ),
    _argument(
        'params_file', '', 'YAML file laid over the shipped config/*.yaml, for any of the nodes'
    ),
    _argument(
        'image_topic',
        'image_raw',
        'Topic of the images; compressed ones are on <image_topic>/compressed',
    ),
    _argument(
        'image_transport',
        '',
        f'Which of the two the estimator reads; {_OR_FILE} (raw)',
        ('', 'raw', 'compressed'),
    ),
    _argument('emotion_topic', 'emotion', "Topic of the primary face's emotion"),
    _argument(
        'debug_image',
        '',
        f'Publish the annotated image; {_OR_FILE} (false)',
        ('', *_YES_NO),
    ),
    _argument(
        'policy_file',
        '',
        f"The dialogue manager's rules, a YAML file; {_OR_FILE} (the shipped one)",
    ),
    _argument(
        'conversation_file',
        '',
        f"The dialogue manager's topics and words, a YAML file; {_OR_FILE} (the shipped one)",
    ),
    _argument('exit_at_end', 'false', 'End everything when the source ends', _YES_NO),
    _argument(
        'intra_process',
        'false',
        'Run camera and estimator in one process, where images do not cross DDS',
        _YES_NO,
    ),
    _argument(
        'autostart',
        'true',
        'Configure and activate the nodes, again after an error too; false leaves them '
        "unconfigured for the robot's own lifecycle manager",
        _YES_NO,
    ),
    _argument('use_sim_time', 'false', 'Take the time from /clock (simulation, bags)', _YES_NO),
    _argument(
        'log_level',
        'info',
        'debug, info, warn, error or fatal; or of one logger, such as camera:=debug',
    ),
    _argument(
        'fastdds_profile',
        str(resource_dir('config') / 'fastdds.xml'),
        'Fast DDS profile with room for images in shared memory; empty: none. One that is set in '
        'the environment stays',
    ),
    _argument('rate', '1.0', 'Speed of the bag against real time'),
    _argument('loop', 'false', 'Start the bag again when it ends', _YES_NO),
    _argument(
        'lockstep',
        'false',
        "Play the images with the package's own player, which waits for the answer to each: none "
        'is dropped, however slow the machine (needs rosbags); false: `ros2 bag play`',
        _YES_NO,
    ),
)
_BY_NAME = {argument.name: argument for argument in _ALL}


def declare(*names: str) -> list[DeclareLaunchArgument]:
    """Return the declarations of the named arguments."""
    return [_BY_NAME[name] for name in names]


def values(context: LaunchContext, declared: list[DeclareLaunchArgument]) -> dict[str, str]:
    """Return the value of each declared argument; only while launch executes."""
    return {item.name: LaunchConfiguration(item.name).perform(context) for item in declared}
