# syntax=docker/dockerfile:1
# Camera, estimator and dialogue manager on a ROS distribution; see docs/containers.md.
#
#   docker build -t emotion_estimator .
#   docker run --rm --network host --ipc host --device /dev/video0 emotion_estimator source:=0
#
# Nobody has built this yet: where the package is developed there is no Docker. The same steps run
# on the wheels of ROS 2 in `make test`.
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base
# A variable of the shell below; those of ARG end with FROM.
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /ws

# What rosdep installs changes less often than the code: a layer of its own.
COPY package.xml src/emotion_estimator/package.xml
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-pip python3-venv \
 && rosdep update --rosdistro "$ROS_DISTRO" \
 && rosdep install --from-paths src --ignore-src --default-yes --dependency-types exec --dependency-types build \
      --dependency-types buildtool --skip-keys "python3-mediapipe-pip python3-rosbags-pip" \
 && rm -rf /var/lib/apt/lists/*

# Ubuntu 24.04's pip refuses to write beside apt's packages: an environment that sees them.
COPY requirements/robot.txt src/emotion_estimator/requirements/robot.txt
RUN python3 -m venv --system-site-packages /venv \
 && /venv/bin/pip install --no-cache-dir -r src/emotion_estimator/requirements/robot.txt
ENV PATH=/venv/bin:$PATH

COPY . src/emotion_estimator
RUN . "/opt/ros/$ROS_DISTRO/setup.bash" \
 && colcon build --packages-select emotion_estimator --cmake-args -DBUILD_TESTING=OFF \
 && rm -rf build log

# Executed by `bash -c`, so that the arguments of `docker run` become those of the launch file.
ENTRYPOINT ["/bin/bash", "-c", ". install/setup.bash && exec ros2 launch emotion_estimator emotion.launch.py \"$@\"", "launch"]
