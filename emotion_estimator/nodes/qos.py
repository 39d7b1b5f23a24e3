"""The quality of service of every topic, chosen once; the README's table says the same."""

from __future__ import annotations

from rclpy.qos import QoSProfile, qos_profile_sensor_data

#: Images, in and out: best effort, so that a slow reader never holds a camera up, and so that any
#: publisher's offer matches. Several deep, because those that wait are dropped and counted by us.
IMAGES: QoSProfile = qos_profile_sensor_data

#: What was made of them: reliable, ten deep. Small, and a lost one would be a lost smile.
RESULTS = QoSProfile(depth=10)
