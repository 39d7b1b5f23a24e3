"""What the tests of the launch files share."""

from __future__ import annotations

import cv2
import pytest
from ros_graph import RosGraph


@pytest.fixture
def still(tmp_path):
    from launch_run import face_image  # Needs the built package.

    path = tmp_path / 'face.png'
    cv2.imwrite(str(path), cv2.cvtColor(face_image(), cv2.COLOR_RGB2BGR))
    return str(path)


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as graph:
        yield graph
