"""What holds for every test."""

import os

from emotion_estimator.resources import profile_variable, resource_dir
from emotion_estimator.sources.base import silence_opencv

# FFmpeg reads its log level when it is first used, whichever test that is.
silence_opencv()

# So does Fast DDS its profile, once for all of this process's nodes.
os.environ[profile_variable(os.environ)] = str(resource_dir('config') / 'fastdds.xml')
