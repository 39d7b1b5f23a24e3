"""A face detector that knows nothing of ours: a list and regions of faces, ten times a second.

    python face_detector.py LAG FRAME_ID ID XMIN YMIN XMAX YMAX [ID ...]

Stamps are LAG seconds older than now.
"""

from __future__ import annotations

import sys

import rclpy
from hri_msgs.msg import FacialLandmarks, IdsList, NormalizedRegionOfInterest2D
from rclpy.duration import Duration


def main() -> None:
    lag, frame_id, *rest = sys.argv[1:]
    rclpy.init()
    node = rclpy.create_node('hri_face_detect')
    tracked = node.create_publisher(IdsList, '/humans/faces/tracked', 1)
    faces = {}
    for i in range(0, len(rest), 5):
        xmin, ymin, xmax, ymax = map(float, rest[i + 1 : i + 5])
        region = NormalizedRegionOfInterest2D(xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax, c=0.9)
        topic = f'/humans/faces/{rest[i]}'
        roi = node.create_publisher(NormalizedRegionOfInterest2D, f'{topic}/roi', 1)
        node.create_publisher(FacialLandmarks, f'{topic}/landmarks', 1)
        faces[rest[i]] = roi, region

    def detect() -> None:
        message = IdsList(ids=list(faces))
        message.header.frame_id = frame_id
        message.header.stamp = (node.get_clock().now() - Duration(seconds=float(lag))).to_msg()
        tracked.publish(message)
        for roi, region in faces.values():
            region.header = message.header
            roi.publish(region)

    node.create_timer(0.1, detect)
    rclpy.spin(node)


if __name__ == '__main__':
    main()
