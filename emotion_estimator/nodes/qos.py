"""Quality of service of the topics, as documented in the README."""

from __future__ import annotations

from rclpy.qos import QoSProfile, qos_profile_sensor_data

#: Images, published and subscribed to: best effort, so that a slow subscriber never blocks a camera
#: and every publisher is compatible. Five deep; the estimator drops and counts old images itself.
IMAGES: QoSProfile = qos_profile_sensor_data

#: Results: reliable, ten deep, because they are small and a lost one would be a lost smile.
RESULTS = QoSProfile(depth=10)
