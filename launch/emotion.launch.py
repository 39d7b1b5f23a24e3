"""Camera, estimator and dialogue manager together."""

import os
from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription

SHARE = Path(get_package_share_directory('emotion_estimator'))

ARGUMENTS = [
    DeclareLaunchArgument(
        'source',
        default_value='',
        description='Device number or /dev path, video file, image file, folder of images, or '
        'portrait; empty: as the parameter file says (device 0)',
    ),
    DeclareLaunchArgument(
        'landmark_source',
        default_value='',
        choices=['', 'auto', 'face_landmarker', 'face_mesh'],
        description='Where landmarks come from; empty: as the parameter file says (auto)',
    ),
    DeclareLaunchArgument('namespace', default_value='', description='Namespace of the nodes'),
    DeclareLaunchArgument(
        'params_file',
        default_value='',
        description='YAML file laid over the shipped config/*.yaml, for any of the nodes',
    ),
    DeclareLaunchArgument(
        'debug_image',
        default_value='',
        choices=['', 'true', 'false'],
        description='Publish the annotated image; empty: as the parameter file says (false)',
    ),
    DeclareLaunchArgument(
        'exit_at_end',
        default_value='false',
        choices=['true', 'false'],
        description='End everything when the source ends',
    ),
    DeclareLaunchArgument(
        'fastdds_profile',
        default_value=str(SHARE / 'config' / 'fastdds.xml'),
        description='Fast DDS profile with room for images in shared memory; empty: none. One '
        'that is set in the environment stays',
    ),
]

#: Fast DDS 2 reads the profile by its old name; 3 warns of it.
PROFILE_VARIABLE = (
    'FASTRTPS_DEFAULT_PROFILES_FILE'
    if os.environ.get('ROS_DISTRO') in ('humble', 'iron', 'jazzy')
    else 'FASTDDS_DEFAULT_PROFILES_FILE'
)


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Make the actions once the arguments are known."""
    given = {item.name: LaunchConfiguration(item.name).perform(context) for item in ARGUMENTS}
    overlay = [given['params_file']] if given['params_file'] else []
    ends = given['exit_at_end'] == 'true'
    camera: list = [str(SHARE / 'config' / 'camera.yaml'), *overlay, {'exit_at_end': ends}]
    if given['source']:
        # Text also where it is a number, which launch would make an integer.
        camera.append({'source': ParameterValue(given['source'], value_type=str)})
    return [
        *_profile(given['fastdds_profile']),
        Node(
            package='emotion_estimator',
            executable='camera_node',
            name='camera',
            namespace=given['namespace'],
            parameters=camera,
            on_exit=[Shutdown(reason='the source ended')] if ends else None,
            output='screen',
        ),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(SHARE / 'launch' / 'estimator.launch.py')),
            launch_arguments=[
                (name, given[name])
                for name in ('namespace', 'landmark_source', 'debug_image', 'params_file')
            ],
        ),
        Node(
            package='emotion_estimator',
            executable='dialogue_manager_node',
            name='dialogue_manager',
            namespace=given['namespace'],
            parameters=[str(SHARE / 'config' / 'dialogue_manager.yaml'), *overlay],
            output='screen',
        ),
    ]


def _profile(path: str) -> list[LaunchDescriptionEntity]:
    if not path or os.environ.get(PROFILE_VARIABLE):
        return []
    return [SetEnvironmentVariable(PROFILE_VARIABLE, path)]


def generate_launch_description() -> LaunchDescription:
    """Describe the launch; `ros2 launch emotion_estimator emotion.launch.py --show-args`."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=start)])
