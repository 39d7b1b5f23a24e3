"""ROS4HRI over real DDS; run by test_ros4hri.py where `hri_msgs` can be imported."""

from __future__ import annotations

import math
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hri_msgs.msg import (
    EngagementLevel,
    Expression,
    FacialActionUnits,
    FacialLandmarks,
    IdsList,
    NormalizedRegionOfInterest2D,
)
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String
from tf2_msgs.msg import TFMessage

from emotion_estimator.affect import COORDINATES, affect
from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import LABELS, FaceEmotion, Roi
from emotion_estimator.nodes.ros4hri import open_ros4hri
from emotion_estimator.perception.head_pose import _PLACES, _POINTS, Intrinsics
from emotion_estimator.perception.humans.facial_points import FACIAL_POINTS
from emotion_estimator.settings import EstimatorSettings

sys.path.insert(0, str(Path(__file__).parent.parent))

from available import LANDMARK_SOURCE
from ros_graph import RosGraph

TRACKED = '/humans/faces/tracked'
SECOND = 10**9


def header_at(seconds: float) -> Header:
    sec, nanosec = divmod(round(seconds * SECOND), SECOND)
    return Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id='camera')


def face(face_id='face_1', label='happy', probability=0.8, roi=(64, 48, 320, 240), labels=LABELS):
    probabilities = [(1 - probability) / (len(labels) - 1)] * len(labels)
    probabilities[labels.index(label)] = probability
    point = affect(zip(labels, probabilities))
    return FaceEmotion(
        face_id,
        label,
        probability,
        labels,
        np.array(probabilities, np.float32),
        Roi(*roi),
        valence=point.valence,
        arousal=point.arousal,
    )


def topics_of(face_id):
    names = ('expression', 'facs', 'landmarks', 'roi')
    return [*(f'/humans/faces/{face_id}/{name}' for name in names), TRACKED]


class Scene:
    """A node with Ros4hri, a listener, and images whose stamps go on."""

    def __init__(self, graph: RosGraph, namespace: str = '/', **settings: object) -> None:
        self.graph = graph
        self.now = 100.0
        self.camera = None
        self.turn = 0
        self.tracked = graph.hear(IdsList, TRACKED, 500)
        self.node = Node('estimator', namespace=namespace, context=graph.node.context)
        self.ros4hri = open_ros4hri(self.node, EstimatorSettings(**settings))

    def show(self, *faces, step=0.04, size=(640, 480)):
        self.now += step
        header = header_at(self.now)
        width, height = size
        image = np.full((height, width, 3), (0, 0, 200), np.uint8)
        self.ros4hri.publish(header, faces, image, self.camera, self.turn)
        return header

    def show_until(self, done, what, *faces):
        def shown():
            self.show(*faces)
            return done()

        self.graph.wait_until(shown, 20, what)

    def topics(self):
        return sorted(p.topic for p in self.node.publishers if p.topic.startswith('/humans'))

    def ids(self):
        return [list(message.ids) for message in self.tracked]

    def match(self):
        """Wait until the listener has found `tracked`, then forget what it heard."""
        self.show_until(lambda: self.tracked, 'tracked is heard', face('found'))
        self.graph.wait_until(lambda: self.tracked[-1].header == header_at(self.now), 10, 'all')
        self.show(step=2.0)
        self.graph.wait_until(lambda: self.ids()[-1] == [], 10, 'the face has gone')
        self.tracked.clear()

    def caught_up(self, header):
        self.graph.wait_until(
            lambda: self.tracked and self.tracked[-1].header == header, 10, 'the last list'
        )


@pytest.fixture
def graph(tmp_path):
    with RosGraph(tmp_path) as graph:
        yield graph


@pytest.fixture
def scene(graph):
    scene = Scene(graph)
    yield scene
    scene.ros4hri.close()
    scene.node.destroy_node()


def test_every_field_of_a_face(scene):
    expressions = scene.graph.hear(Expression, '/humans/faces/face_1/expression')
    rois = scene.graph.hear(NormalizedRegionOfInterest2D, '/humans/faces/face_1/roi')
    scene.show_until(lambda: expressions and rois, 'a face is described', face())
    heard = expressions[-1]
    assert heard.header.frame_id == 'camera'
    assert 100 < heard.header.stamp.sec + heard.header.stamp.nanosec / SECOND <= scene.now
    assert heard.expression == Expression.HAPPY
    assert heard.confidence == pytest.approx(0.8)
    happy, sad = COORDINATES['happy'], COORDINATES['sad']
    assert heard.valence == pytest.approx(0.8 * happy.valence + 0.1 * sad.valence)
    assert heard.arousal == pytest.approx(0.8 * happy.arousal + 0.1 * sad.arousal)
    roi = rois[-1]
    assert roi.header.frame_id == 'camera'
    assert [roi.xmin, roi.ymin, roi.xmax, roi.ymax, roi.c] == pytest.approx([0.1, 0.1, 0.6, 0.6, 1])


@pytest.mark.parametrize(
    ('label', 'expression', 'signs'),
    [
        ('happy', Expression.HAPPY, [1, 1]),
        ('sad', Expression.SAD, [-1, -1]),
        ('unknown', Expression.NEUTRAL, [0, 0]),
        ('angry', Expression.ANGRY, [-1, 1]),
        ('disgust', Expression.DISGUSTED, [-1, 1]),
        ('fear', Expression.SCARED, [-1, 1]),
        ('surprise', Expression.SURPRISED, [1, 1]),
        ('neutral', Expression.NEUTRAL, [0, 0]),
    ],
)
def test_our_labels_become_the_reps(scene, label, expression, signs):
    expressions = scene.graph.hear(Expression, '/humans/faces/face_1/expression')
    labels = LABELS if label in LABELS else tuple(COORDINATES)
    shown = face(label=label, probability=1.0, labels=labels)
    scene.show_until(lambda: expressions, 'an expression', shown)
    assert expressions[-1].expression == expression
    assert np.sign([expressions[-1].valence, expressions[-1].arousal]).tolist() == signs


def test_tracked_comes_with_every_image_and_once_more_when_empty(scene):
    scene.match()
    for _ in range(3):
        header = scene.show(face('face_1'), face('face_2'))
    scene.caught_up(header)
    assert scene.ids() == [['face_1', 'face_2']] * 3
    scene.tracked.clear()
    for _ in range(40):
        scene.show()
    scene.show(face('face_3'))
    scene.graph.wait_until(lambda: ['face_3'] in scene.ids(), 10, 'a new face')
    # Twelve images of 0.04 s within the half second in which a lost face stays tracked.
    assert scene.ids() == [['face_1', 'face_2']] * 12 + [[], ['face_3']]


def test_the_first_image_says_that_nobody_is_there(graph):
    scene = Scene(graph)
    count = graph.node.count_publishers
    graph.wait_until(lambda: count(TRACKED) == 1, 10, 'the publisher is found')
    publisher = next(p for p in scene.node.publishers if p.topic == TRACKED)
    graph.wait_until(lambda: publisher.get_subscription_count() == 1, 10, 'the listener is found')
    first = scene.show()
    scene.show()
    scene.ros4hri.close()
    graph.wait_until(lambda: len(scene.tracked) == 2, 10, 'the first and the last list')
    assert scene.ids() == [[], []]
    assert scene.tracked[0].header == first
    scene.node.destroy_node()


def test_a_missed_image_keeps_the_publishers_and_a_lost_face_takes_them_along(scene):
    scene.show(face())
    before = list(scene.node.publishers)
    assert scene.topics() == topics_of('face_1')
    for faces in ([], [face()], [], [], [face()]):
        scene.show(*faces)
        assert list(scene.node.publishers) == before
    scene.show(step=0.51)
    assert scene.topics() == [TRACKED]


def test_a_face_that_is_not_seen_gets_no_expression(scene):
    expressions = scene.graph.hear(Expression, '/humans/faces/face_1/expression')
    others = scene.graph.hear(Expression, '/humans/faces/face_2/expression')
    scene.show_until(lambda: expressions and others, 'both', face(), face('face_2'))
    last = header_at(scene.now)
    scene.graph.wait_until(lambda: expressions[-1].header == last, 10, 'the last of face_1')
    header = scene.show(face('face_2'))
    scene.graph.wait_until(lambda: others[-1].header == header, 10, 'face_2 goes on')
    assert expressions[-1].header == last


def test_time_that_starts_anew_forgets_every_face(scene):
    scene.show(face())
    scene.now = 1.0
    scene.show(face('face_2'))
    assert scene.topics() == topics_of('face_2')


def test_publishers_stay_few_however_fast_faces_change(scene):
    for i in range(100):
        scene.show(face(f'face_{i}'), step=0.001)
        assert len(scene.topics()) <= 4 * 32 + 1
    assert '/humans/faces/face_99/expression' in scene.topics()
    scene.show(*(face(f'crowd_{i}') for i in range(50)))
    assert len(scene.topics()) == 4 * 32 + 1


def test_a_namespace_makes_ids_unique_but_moves_no_topic(graph):
    scene = Scene(graph, '/robot1/head')
    scene.show(face())
    assert scene.topics() == topics_of('robot1_head_face_1')
    scene.show_until(lambda: ['robot1_head_face_1'] in scene.ids(), 'the id', face())
    scene.ros4hri.close()
    scene.node.destroy_node()


@pytest.mark.parametrize('face_id', ['', '1', 'a b', 'a/b', '~', 'é', 'face_1\n'])
def test_an_id_that_is_no_name_is_left_out(scene, face_id):
    scene.show(face(face_id))
    assert scene.topics() == [TRACKED]


def test_bad_numbers_become_the_nearest_good_ones(scene):
    expressions = scene.graph.hear(Expression, '/humans/faces/face_1/expression')
    rois = scene.graph.hear(NormalizedRegionOfInterest2D, '/humans/faces/face_1/roi')
    for number in (math.nan, math.inf, -math.inf, 1e30, -3.0):
        bad = FaceEmotion(
            'face_1',
            'happy',
            number,
            LABELS,
            np.full(3, number, np.float32),
            Roi(-50, 9, 9999, 9),
            valence=number,
            arousal=number,
        )
        expressions.clear()
        rois.clear()
        scene.show_until(lambda: expressions and rois, f'{number}', bad)
        heard, roi = expressions[-1], rois[-1]
        assert -1 <= heard.valence <= 1 and -1 <= heard.arousal <= 1
        assert heard.confidence in (0.0, 1.0)
        assert (roi.xmin, roi.xmax) == (0.0, 1.0)


def test_no_image_size_no_roi(scene):
    expressions = scene.graph.hear(Expression, '/humans/faces/face_1/expression')
    rois = scene.graph.hear(NormalizedRegionOfInterest2D, '/humans/faces/face_1/roi')
    scene.show_until(lambda: expressions and rois, 'both', face())
    expressions.clear()
    header = scene.show(face(), size=(0, 0))
    scene.graph.wait_until(
        lambda: expressions and expressions[-1].header == header, 10, 'an expression'
    )
    assert rois[-1].header != header


def complete_face(**changes):
    """Return a mean face that looks at the camera from a metre away, and smiles."""
    landmarks = np.zeros((478, 3), np.float32)
    landmarks[list(FACIAL_POINTS), :2] = (320, 240)
    landmarks[_POINTS] = 6.0 * _PLACES + (320.0, 240.0, 0.0)
    blendshapes = np.zeros(52, np.float32)
    blendshapes[BLENDSHAPE_NAMES.index('mouthSmileLeft')] = 0.75
    known = {'head_yaw': 0.5, 'gaze_yaw': 10.0, 'looks_at_camera': True, **changes}
    return replace(face(), landmarks=landmarks, blendshapes=blendshapes, **known)


def test_landmarks_and_action_units(scene):
    points = scene.graph.hear(FacialLandmarks, '/humans/faces/face_1/landmarks')
    units = scene.graph.hear(FacialActionUnits, '/humans/faces/face_1/facs')
    scene.show_until(lambda: points and units, 'both', complete_face())
    message = points[-1]
    assert (message.width, message.height, message.header.frame_id) == (640, 480, 'camera')
    sellion = message.landmarks[FacialLandmarks.SELLION]
    x, y, _ = _PLACES[list(_POINTS).index(6)]
    assert sellion.x == pytest.approx((320 + 6 * x) / 640)
    assert sellion.y == pytest.approx((240 + 6 * y) / 480)
    assert sellion.c == 1.0
    facs = units[-1]
    assert facs.intensity[FacialActionUnits.LIP_CORNER_PULLER] == pytest.approx(0.75)
    assert facs.confidence[FacialActionUnits.LIP_CORNER_PULLER] == 1.0
    assert facs.intensity[FacialActionUnits.JAW_DROP] == 0.0
    # Of chewing (81) nothing is known.
    assert facs.confidence[81] == 0.0


def test_an_image_turned_upright_is_described_as_the_camera_took_it(scene):
    scene.turn = 180
    rois = scene.graph.hear(NormalizedRegionOfInterest2D, '/humans/faces/face_1/roi')
    points = scene.graph.hear(FacialLandmarks, '/humans/faces/face_1/landmarks')
    frames = scene.graph.hear(TFMessage, '/tf', QoSProfile(depth=100))
    scene.show_until(lambda: rois and points and frames, 'all three', complete_face())
    roi = rois[-1]
    assert [roi.xmin, roi.ymin, roi.xmax, roi.ymax] == pytest.approx([0.4, 0.4, 0.9, 0.9])
    sellion = points[-1].landmarks[FacialLandmarks.SELLION]
    x, y, _ = _PLACES[list(_POINTS).index(6)]
    assert sellion.x == pytest.approx((320 - 6 * x) / 640)
    assert sellion.y == pytest.approx((240 - 6 * y) / 480)
    turn = frames[-1].transforms[0].transform.rotation
    # The top of the head is where the camera's image has its bottom.
    top_y = 2 * (turn.y * turn.z - turn.w * turn.x)
    assert top_y == pytest.approx(1.0, abs=0.01)


def test_frames_of_head_and_gaze(scene):
    frames = scene.graph.hear(TFMessage, '/tf', QoSProfile(depth=100))
    scene.show_until(lambda: frames, 'frames', complete_face())
    head, gaze = frames[-1].transforms
    assert (head.header.frame_id, head.child_frame_id) == ('camera', 'face_face_1')
    assert (gaze.header.frame_id, gaze.child_frame_id) == ('face_face_1', 'gaze_face_1')
    assert head.header.stamp == gaze.header.stamp
    place, turn = head.transform.translation, head.transform.rotation
    # Six pixels a centimetre, for a camera that sees 60 degrees: a focal length of 554 pixels.
    assert place.z == pytest.approx(5.54 / 6, abs=0.05)
    assert abs(place.x) < 1e-6
    # Its x is the camera's -z, its y the camera's x.
    q = [turn.x, turn.y, turn.z, turn.w]
    assert np.abs(q) == pytest.approx([0.5] * 4, abs=0.03)
    assert np.sign(q).tolist() == [1, 1, -1, 1]
    moved = gaze.transform.translation
    assert (moved.x, moved.y, moved.z) == (0, 0, 0)
    # A known camera of twice that focal length: twice as far.
    scene.camera = Intrinsics(1108.0, 1108.0, 320.0, 240.0, 640, 480)

    def twice_as_far():
        z = frames[-1].transforms[0].transform.translation.z
        return z == pytest.approx(2 * place.z, rel=0.03)

    scene.show_until(twice_as_far, 'a face twice as far', complete_face())


def test_an_upside_down_face_has_no_frame(scene):
    frames = scene.graph.hear(TFMessage, '/tf', QoSProfile(depth=100))
    known = complete_face(face_id='known')
    unreadable = complete_face(head_yaw=0.0, looks_at_camera=False)
    scene.show_until(lambda: frames, 'frames', unreadable, known)
    names = {frame.child_frame_id for message in frames for frame in message.transforms}
    assert names == {'face_known', 'gaze_known'}


def test_pictures_are_published_only_where_they_are_wanted(graph, scene):
    assert not any('cropped' in topic or 'aligned' in topic for topic in _shown(scene))
    wanted = Scene(graph, '/wanted', ros4hri_mode='detector', ros4hri_cropped=True)
    heard = [
        graph.hear(Image, f'/humans/faces/wanted_face_1/{name}') for name in ('cropped', 'aligned')
    ]
    wanted.show_until(lambda: all(heard), 'both pictures', complete_face())
    for messages in heard:
        picture = messages[-1]
        assert (picture.width, picture.height, picture.step) == (128, 128, 384)
        assert (picture.encoding, len(picture.data)) == ('bgr8', 128 * 128 * 3)
    # The blue image of the scene, in OpenCV's order.
    pixels = np.array(heard[0][-1].data).reshape(128, 128, 3)
    assert pixels[64, 64].tolist() == [200, 0, 0]
    wanted.ros4hri.close()
    wanted.node.destroy_node()


def _shown(scene):
    scene.show(complete_face())
    return scene.topics()


def test_persons_whose_faces_we_see_are_engaged(graph):
    scene = Scene(graph)
    graph.also_spin(scene.node)
    levels = graph.hear(EngagementLevel, '/humans/persons/anna/engagement_status', 500)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    faces = graph.node.create_publisher(String, '/humans/persons/anna/face_id', latched)
    faces.publish(String(data='face_1'))
    persons = graph.node.create_publisher(IdsList, '/humans/persons/tracked', 10)

    def level():
        persons.publish(IdsList(ids=['anna']))
        scene.show(complete_face())
        return levels and levels[-1].level

    graph.wait_until(level, 20, 'a level')
    graph.wait_until(lambda: level() == EngagementLevel.ENGAGED, 20, 'engaged')
    assert [a.level for a, b in zip(levels[1:], levels) if a.level != b.level] == [2, 3]
    topic = '/humans/persons/anna/engagement_status'
    other = graph.node.create_publisher(EngagementLevel, topic, 10)
    graph.wait_until(lambda: not _publishes(scene.node, topic), 10, 'we leave it to another node')
    graph.node.destroy_publisher(other)
    graph.wait_until(lambda: _publishes(scene.node, topic), 10, 'and take it back')
    persons.publish(IdsList())
    graph.wait_until(lambda: not _publishes(scene.node, topic), 10, 'anna has gone')
    scene.ros4hri.close()
    scene.node.destroy_node()


def _publishes(node, topic):
    return any(publisher.topic_name == topic for publisher in node.publishers)


def test_close_says_that_nobody_is_tracked_and_takes_everything_back(scene):
    scene.match()
    scene.show(face())
    scene.ros4hri.close()
    assert scene.topics() == []
    scene.graph.wait_until(lambda: len(scene.tracked) == 2, 10, 'the last list')
    assert scene.ids() == [['face_1'], []]
    scene.ros4hri.close()
    scene.show(face())
    assert scene.topics() == []


def test_clear_says_the_same_and_goes_on_with_the_next_face(scene):
    scene.match()
    scene.show(face())
    scene.ros4hri.clear()
    assert scene.topics() == [TRACKED]
    scene.graph.wait_until(lambda: len(scene.tracked) == 2, 10, 'the empty list')
    scene.show(face('face_2'))
    scene.graph.wait_until(lambda: len(scene.tracked) == 3, 10, 'the next list')
    assert scene.ids() == [['face_1'], [], ['face_2']]


def test_the_real_estimator_tells_of_faces_until_it_is_deactivated(tmp_path):
    with RosGraph(tmp_path) as graph:
        tracked = graph.hear(IdsList, TRACKED, 500)
        expressions = graph.hear(Expression, '/humans/faces/face_1/expression', 500)
        graph.start('estimator', landmark_source=LANDMARK_SOURCE)
        graph.start('camera', source='portrait', fps=15.0, loop=True)
        graph.wait_until(lambda: expressions, 60, 'an expression')
        assert expressions[-1].expression in (Expression.HAPPY, Expression.NEUTRAL)
        # Two topics: which message comes first is not said.
        graph.wait_until(lambda: tracked and list(tracked[-1].ids) == ['face_1'], 10, 'tracked')
        assert graph.transition('estimator', 'deactivate')
        graph.wait_until(lambda: list(tracked[-1].ids) == [], 10, 'nobody is tracked')


def test_close_after_the_context_has_gone_is_quiet(graph):
    scene = Scene(graph)
    scene.show(face())
    graph.node.context.try_shutdown()
    scene.ros4hri.close()


def test_closing_while_a_worker_publishes(graph):
    for _ in range(5):
        scene = Scene(graph)
        started, problems = threading.Event(), []

        def work(scene=scene, started=started, problems=problems):
            try:
                for i in range(2000):
                    scene.show(face(f'face_{i // 10}'))
                    started.set()
            except Exception as error:
                problems.append(error)

        worker = threading.Thread(target=work)
        worker.start()
        assert started.wait(10)
        # The executor, in this thread, meanwhile looks after a node whose publishers change.
        scene.graph.heard_anything(0.05)
        scene.ros4hri.close()
        worker.join(120)
        assert not worker.is_alive() and not problems, problems
        assert scene.topics() == []
        scene.node.destroy_node()
