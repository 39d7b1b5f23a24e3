"""Install the plain-Python core and its command line with pip; colcon builds the ROS 2 package."""

import runpy
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
# Not imported: the package's dependencies are not there yet.
VERSION = runpy.run_path(str(HERE / 'emotion_estimator' / '__init__.py'))['__version__']

setup(
    name='emotion-estimator',
    version=VERSION,
    description='Facial expression to emotion for social robots: blendshapes, LSTM, ROS 2',
    long_description=(HERE / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    url='https://emotion-estimator.dev',
    author='emotion_estimator maintainers',
    author_email='maintainers@emotion-estimator.dev',
    keywords=[
        'affective computing',
        'blendshapes',
        'emotion recognition',
        'facial expression',
        'HRI',
        'LSTM',
        'MediaPipe',
        'robotics',
        'ROS 2',
        'TFLite',
    ],
    classifiers=[
        'Development Status :: 4 - Beta',
        'Environment :: Console',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Human Machine Interfaces',
        'Topic :: Scientific/Engineering :: Image Recognition',
        'Typing :: Typed',
    ],
    license='Apache-2.0',
    license_files=['LICENSE', 'NOTICE', 'THIRD_PARTY.md'],
    python_requires='>=3.10',
    # The folders that ROS wants at the top level travel inside the installed package.
    packages=[
        *find_packages(include=['emotion_estimator', 'emotion_estimator.*']),
        'emotion_estimator.config',
        'emotion_estimator.message_definitions',
        'emotion_estimator.models',
    ],
    package_dir={
        'emotion_estimator.config': 'config',
        # Its own name is that of the package that ROS makes of it.
        'emotion_estimator.message_definitions': 'msg',
        'emotion_estimator.models': 'models',
    },
    package_data={
        'emotion_estimator': ['py.typed'],
        'emotion_estimator.config': ['*.yaml', '*.xml'],
        'emotion_estimator.message_definitions': ['*.msg'],
        'emotion_estimator.models': ['*.tflite', '*.npz', '*.task', '*.json', '*.md'],
        'emotion_estimator.replay': ['*.j2', '*.js'],
        'emotion_estimator.schemas': ['*.json'],
        'emotion_estimator.sources': ['data/*'],
    },
    install_requires=[
        'ai-edge-litert>=1.0',
        'apsw>=3.40',
        'backports.zstd>=1; python_version < "3.14"',
        'click>=8',
        'jinja2>=3.1',
        'lz4>=4',
        # 0.10.31 is the last that brings neither OpenCV nor matplotlib, with a library of a quarter
        # the size. On arm64 under Linux, 1.0 is the first since those with the face mesh.
        'mediapipe>=0.10.14,<0.10.32; platform_machine != "aarch64"',
        'mediapipe>=0.10.14; platform_machine == "aarch64"',
        'numpy>=1.26',
        # One OpenCV: there MediaPipe brings opencv-contrib-python, the same modules and more.
        # Without Qt, which needs libraries that a bare machine does not have.
        'opencv-python-headless>=4.8; platform_machine != "aarch64"',
        'pillow>=9.4',
        'platformdirs>=3',
        'PyYAML>=6',
        # Its interface moves with each minor release.
        'rosbags>=0.11,<0.12',
        'tqdm>=4.60',
    ],
    extras_require={
        'demo': ['av>=17', 'matplotlib>=3.5', 'rich>=13'],
        # The page in the browser.
        'live': ['nicegui>=3.6'],
        # The last MediaPipe that bundles the face mesh: requirements/robot.txt.
        'face-mesh': [
            'mediapipe==0.10.21; python_version < "3.13" and platform_machine != "aarch64"',
            'mediapipe==0.10.18; python_version < "3.13" and platform_machine == "aarch64"',
            # It needs NumPy 1, which later ones do not take: pip would try them all.
            'opencv-contrib-python<4.12; python_version < "3.13"',
            'opencv-python-headless<4.12; '
            'python_version < "3.13" and platform_machine != "aarch64"',
        ],
        # 100 MB of FFmpeg, which photographs, cameras and bags do without.
        'films': ['av>=17'],
        # A language model that speaks for the robot, and a server of tools for one that asks.
        'llm': ['openai>=1.40'],
        'mcp': ['mcp>=2'],
        # For machines without a wheel of ai-edge-litert. Its last release, 2.14, was compiled
        # against NumPy 1 and cannot exchange arrays with NumPy 2.
        'tflite-runtime': ['numpy>=1.26,<2', 'tflite-runtime>=2.14'],
    },
    entry_points={
        'console_scripts': ['emotion-estimator=emotion_estimator.cli.main:main'],
        # Named as its module, so that it is one plugin where -p or pytest_plugins names it too.
        'pytest11': [
            'emotion_estimator.replay.pytest_plugin=emotion_estimator.replay.pytest_plugin',
        ],
    },
)
