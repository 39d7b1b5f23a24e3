"""ROS4HRI beside another face detector, a process of its own; run by test_ros4hri.py."""

from __future__ import annotations

import signal
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from hri_msgs.msg import Expression, IdsList
from rclpy.node import Node
from std_msgs.msg import Header

from emotion_estimator.emotion import LABELS, FaceEmotion, Roi
from emotion_estimator.msg import EmotionArray
from emotion_estimator.nodes.ros4hri import open_ros4hri
from emotion_estimator.settings import EstimatorSettings

sys.path.insert(0, str(Path(__file__).parent.parent))

from available import LANDMARK_SOURCE
from ros_graph import RosGraph, value_of

TRACKED = '/humans/faces/tracked'
DETECTOR = Path(__file__).parent / 'face_detector.py'
#: The detector's faces abcde, at the left, and fghij, at the right.
LEFT, RIGHT = (0.1, 0.2, 0.3, 0.6), (0.6, 0.2, 0.8, 0.6)
IMAGE = np.zeros((480, 640, 3), np.uint8)


def face(face_id='face_1', label='happy', roi=(70, 90, 120, 200)):
    return FaceEmotion(
        face_id, label, 0.8, LABELS, np.array([0.8, 0.1, 0.1], np.float32), Roi(*roi)
    )


def detect(graph, lag=0.0, frame_id='camera', **faces):
    arguments = [str(lag), frame_id]
    for name, box in faces.items():
        arguments += [name, *map(str, box)]
    return graph.run('detector', sys.executable, str(DETECTOR), *arguments)


class Scene:
    """A node with Ros4hri that is shown faces all the time, and who publishes what."""

    def __init__(self, graph: RosGraph, **settings: object) -> None:
        self.graph = graph
        self.tracked = graph.hear(IdsList, TRACKED, 500)
        self.node = Node('estimator', context=graph.node.context)
        self.ros4hri = open_ros4hri(self.node, EstimatorSettings(**settings))
        graph.also_spin(self.node)

    def show(self, *faces):
        sec, nanosec = divmod(time.time_ns(), 10**9)
        header = Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id='camera')
        self.ros4hri.publish(header, faces, IMAGE)

    def show_until(self, done, what, *faces, timeout=30.0):
        def shown():
            self.show(*faces)
            return done()

        self.graph.wait_until(shown, timeout, what)

    def show_for(self, seconds, *faces):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.show(*faces)
            self.graph.heard_anything(0.05)

    def topics(self):
        names = {p.topic_name for p in self.node.publishers if p.topic_name.startswith('/humans')}
        return sorted(names)

    def close(self):
        self.ros4hri.close()
        self.node.destroy_node()


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as graph:
        yield graph


def changes(tracked):
    """Return how often the list of faces changed."""
    return sum(list(a.ids) != list(b.ids) for a, b in pairwise(tracked))


def test_expressions_are_added_to_the_detectors_faces_and_its_list_is_left_alone(graph, capfd):
    scene = Scene(graph)
    left = graph.hear(Expression, '/humans/faces/abcde/expression')
    right = graph.hear(Expression, '/humans/faces/fghij/expression')
    ours = face(), face('face_2', 'sad', (390, 90, 120, 200))
    scene.show_until(lambda: scene.tracked, 'we are the detector', *ours)
    assert list(scene.tracked[-1].ids) == ['face_1', 'face_2']
    detector = detect(graph, lag=0.2, abcde=LEFT, fghij=RIGHT)
    scene.show_until(lambda: left and right, 'expressions of both', *ours)
    assert left[-1].expression == Expression.HAPPY and right[-1].expression == Expression.SAD
    assert left[-1].header.frame_id == 'camera'
    # Ours has not wiped out the detector's when it ended.
    assert all(message.ids for message in scene.tracked)
    scene.tracked.clear()
    scene.show_for(2.0, *ours)
    assert len(scene.tracked) > 10 and changes(scene.tracked) == 0
    assert list(scene.tracked[-1].ids) == ['abcde', 'fghij']
    # Landmarks are the detector's own, action units are nobody's.
    assert scene.topics() == [
        f'/humans/faces/{name}/{topic}'
        for name in ('abcde', 'fghij')
        for topic in ('expression', 'facs')
    ]
    assert scene.ros4hri.role == 'attach' and scene.ros4hri.count == 2
    assert scene.ros4hri.warning == ''
    # It is gone, and later, so that nothing flaps, we take its place.
    detector.send(signal.SIGINT)
    gone = time.monotonic()
    scene.show_until(
        lambda: scene.tracked and list(scene.tracked[-1].ids) == ['face_1', 'face_2'], 'ours', *ours
    )
    assert time.monotonic() - gone > 2.0
    scene.close()
    logged = [line for line in capfd.readouterr().err.splitlines() if 'detect' in line]
    assert ['/hri_face_detect detects faces' in line for line in logged] == [True, False]


def test_we_start_attached_where_a_detector_is_already_there(graph):
    tracked = graph.hear(IdsList, TRACKED, 500)
    detect(graph, abcde=LEFT)
    graph.wait_until(lambda: tracked, 20, 'the detector')
    # Known to the whole process: to the node that looks, too.
    scene = Scene(graph)
    expressions = graph.hear(Expression, '/humans/faces/abcde/expression')
    scene.show_until(lambda: expressions, 'an expression', face())
    assert {tuple(message.ids) for message in tracked} == {('abcde',)}
    scene.close()


def test_a_face_elsewhere_or_of_another_camera_is_not_the_detectors(graph):
    scene = Scene(graph, ros4hri_mode='attach')
    detector = detect(graph, frame_id='another_camera', abcde=LEFT)
    graph.wait_until(lambda: scene.tracked, 20, 'the detector')
    scene.show_for(1.5, face())
    assert scene.ros4hri.count == 0 and scene.topics() == []
    detector.send(signal.SIGINT)
    detect(graph, abcde=LEFT)
    scene.show_until(lambda: scene.ros4hri.count == 1, 'a match', face())
    scene.ros4hri.clear()
    scene.show_for(1.0, face(roi=(390, 90, 120, 200)))
    assert scene.ros4hri.count == 0
    scene.close()


def test_the_modes_are_kept_and_their_trouble_is_reported(graph):
    attach = Scene(graph, ros4hri_mode='attach')
    attach.show_for(1.0, face())
    assert 'start a face detector' in attach.ros4hri.warning
    assert attach.tracked == [] and attach.topics() == []
    attach.close()
    scene = Scene(graph, ros4hri_mode='detector')
    detect(graph, abcde=LEFT)
    scene.show_until(lambda: scene.ros4hri.warning, 'a warning', face())
    assert '/hri_face_detect also publishes' in scene.ros4hri.warning
    assert 'set ros4hri_mode to attach' in scene.ros4hri.warning
    assert TRACKED in scene.topics() and scene.ros4hri.role == 'detector'
    scene.close()


def test_another_estimator_is_no_detector_to_attach_to(graph):
    scene = Scene(graph)
    other = Node('estimator', namespace='/other', context=graph.node.context)
    other.create_publisher(EmotionArray, 'emotions', 10)
    other.create_publisher(IdsList, TRACKED, 10)
    scene.show_until(lambda: scene.ros4hri.warning, 'a warning', face())
    assert '/other/estimator also publishes' in scene.ros4hri.warning
    assert 'ros4hri to false' in scene.ros4hri.warning
    assert scene.ros4hri.role == 'detector'
    other.destroy_node()
    scene.show_until(lambda: not scene.ros4hri.warning, 'no warning', face())
    scene.close()


def test_a_second_source_of_expressions_is_reported(graph):
    scene = Scene(graph)
    detect(graph, abcde=LEFT)
    scene.show_until(lambda: scene.ros4hri.count == 1, 'a match', face())
    assert scene.ros4hri.warning == ''
    topic = '/humans/faces/abcde/expression'
    rival = graph.node.create_publisher(Expression, topic, 10)
    scene.show_until(lambda: scene.ros4hri.warning, 'a warning', face())
    assert '/listener also publishes' in scene.ros4hri.warning
    graph.node.destroy_publisher(rival)
    scene.show_until(lambda: not scene.ros4hri.warning, 'no warning', face())
    scene.close()


def test_the_real_estimator_beside_a_detector(graph):
    tracked = graph.hear(IdsList, TRACKED, 500)
    expressions = graph.hear(Expression, '/humans/faces/abcde/expression', 500)
    diagnostics = graph.hear(DiagnosticArray, '/diagnostics', 500)
    graph.start('camera', source='portrait', fps=15.0, loop=True)
    # A box like YuNet's around the portrait's face.
    detect(graph, frame_id='camera_optical_frame', abcde=(0.32, 0.15, 0.70, 0.62))
    graph.start('estimator', landmark_source=LANDMARK_SOURCE, ros4hri_mode='detector')

    def warnings():
        statuses = [s for m in diagnostics for s in m.status if s.name == 'estimator']
        return [s.message for s in statuses if s.level == DiagnosticStatus.WARN]

    graph.wait_until(lambda: any('/hri_face_detect also' in w for w in warnings()), 60, 'a warning')
    for transition in ('deactivate', 'cleanup'):
        assert graph.transition('estimator', transition)
    assert graph.set_parameters('estimator', ros4hri_mode='auto') == ''
    for transition in ('configure', 'activate'):
        assert graph.transition('estimator', transition)
    graph.wait_until(lambda: expressions, 60, 'an expression')
    for heard in (tracked, expressions, diagnostics):
        heard.clear()
    graph.wait_until(lambda: len(tracked) >= 30, 20, 'three seconds of lists')
    assert changes(tracked) == 0 and list(tracked[-1].ids) == ['abcde']
    assert len(expressions) > 10
    graph.wait_until(
        lambda: value_of(diagnostics, 'estimator', 'ros4hri_faces') == '1', 10, 'one face'
    )
    assert value_of(diagnostics, 'estimator', 'ros4hri') == 'attach'
    assert not any('/hri_face_detect' in w for w in warnings())
