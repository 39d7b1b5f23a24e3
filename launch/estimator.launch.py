"""The estimator alone, for robots that have their own camera driver."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription

PARAMETERS = Path(get_package_share_directory('emotion_estimator')) / 'config' / 'estimator.yaml'

ARGUMENTS = [
    DeclareLaunchArgument('namespace', default_value='', description='Namespace of the node'),
    DeclareLaunchArgument(
        'image_topic', default_value='image_raw', description='Topic of the images to read'
    ),
    DeclareLaunchArgument(
        'landmark_source',
        default_value='',
        choices=['', 'auto', 'face_landmarker', 'face_mesh'],
        description='Where landmarks come from; empty: as the parameter file says',
    ),
    DeclareLaunchArgument(
        'debug_image',
        default_value='',
        choices=['', 'true', 'false'],
        description='Publish the annotated image; empty: as the parameter file says',
    ),
    DeclareLaunchArgument(
        'params_file',
        default_value='',
        description='YAML file laid over the shipped config/estimator.yaml',
    ),
]


def start(context: LaunchContext) -> list[Node]:
    """Make the node once the arguments are known."""
    given = {item.name: LaunchConfiguration(item.name).perform(context) for item in ARGUMENTS}
    parameters: list = [str(PARAMETERS)]
    if given['params_file']:
        parameters.append(given['params_file'])
    if given['landmark_source']:
        parameters.append({'landmark_source': given['landmark_source']})
    if given['debug_image']:
        parameters.append({'debug_image': given['debug_image'] == 'true'})
    return [
        Node(
            package='emotion_estimator',
            executable='estimator_node',
            name='estimator',
            namespace=given['namespace'],
            parameters=parameters,
            remappings=[('image_raw', given['image_topic'])],
            output='screen',
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Describe the launch; `ros2 launch emotion_estimator estimator.launch.py --show-args`."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
