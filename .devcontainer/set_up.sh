#!/usr/bin/env bash
# Install what the package needs, as README's "The ROS way" does, and build it in /ws.
set -eo pipefail
apt-get update
apt-get install --yes --no-install-recommends python3-pip python3-venv
cd /ws
rosdep update --rosdistro "$ROS_DISTRO"
rosdep install --from-paths src --ignore-src --default-yes \
  --skip-keys "python3-mediapipe-pip python3-rosbags-pip"
python3 -m venv --system-site-packages /venv
/venv/bin/pip install -r src/emotion_estimator/requirements/robot.txt
. "/opt/ros/$ROS_DISTRO/setup.bash"
colcon build --symlink-install --packages-select emotion_estimator
