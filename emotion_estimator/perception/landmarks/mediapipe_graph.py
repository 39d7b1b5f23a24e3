"""MediaPipe's face graphs, run in the calling thread, searching for further faces when told to.

What MediaPipe's own classes build and run, with the same answers bit by bit, but: without handing
each image to a pool of threads; with landmarks read from the bytes that the graph returns instead
of one Python object each; and with the detector behind a gate, since it otherwise looks at every
image in which fewer faces are followed than may be. It needs parts of mediapipe 0.10 that are not
documented: where they are missing or answer differently, MediaPipe's own call is used.
"""

from __future__ import annotations

import math
import os
import struct
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import FloatArray
from emotion_estimator.errors import first_line
from emotion_estimator.frame import RgbImage

#: Releases whose graphs the tests hold equal to MediaPipe's own call; others are compared when
#: they are opened.
TESTED = ('0.10.18', '0.10.21')

#: Log line, with the reason, where the graph cannot be opened by itself.
OWN_CALL = "mediapipe's own call is used, which searches each image for further faces (%s)"

#: One landmark on the wire: bytes in all, and at which of them are which tags; x, y and z follow
#: the last three of them.
_LANDMARK = 17
_TAGS = {0: b'\x0a', 1: b'\x0f', 2: b'\x0d', 7: b'\x15', 12: b'\x1d'}

#: Microseconds between images, for graphs that only need them to increase.
_STEP = 33_333

_SEARCH = 'search'

#: Seconds for which each image is searched after a face was lost: it may have been covered.
_AFTER_LOSS = 0.5

_MESH_GRAPH = 'modules/face_landmark/face_landmark_front_cpu.binarypb'
_MESH_DETECTOR = (
    'facedetectionshortrangecpu__facedetectionshortrange__facedetection__'
    'TensorsToDetectionsCalculator'
)

#: What a release of mediapipe raises that is built differently.
_DIFFERENT = (ImportError, AttributeError, TypeError, ValueError, RuntimeError, OSError)


class GraphMissingError(Exception):
    """The installed mediapipe has no such graph, or builds it differently."""


class _Graph:
    """A running graph: packets in, serialized messages out."""

    def __init__(self, graph: Any, found: dict[str, Any]) -> None:
        """Take a started graph, and the dictionary in which its outputs are put."""
        self._graph, self._found = graph, found
        self._create_bool = _packets().create_bool
        self._serialized = _serialized_list()
        self._stamp = 0

    def __call__(
        self, inputs: Mapping[str, Any], search: bool, stamp: int | None = None
    ) -> dict[str, list[bytes]]:
        """Run the graph on one image; return each output's messages, serialized.

        :param inputs: packets by stream.
        :param search: whether the detector looks for further faces, if fewer are followed than
            may be.
        :param stamp: in microseconds, later than the last; None is a 30th of a second later.
        """
        self._stamp = self._stamp + _STEP if stamp is None else stamp
        self._found.clear()
        for name, packet in (*inputs.items(), (_SEARCH, self._create_bool(search))):
            self._graph.add_packet_to_input_stream(stream=name, packet=packet.at(self._stamp))
        self._graph.wait_until_idle()
        return {
            name: [] if packet.is_empty() else self._serialized(packet)
            for name, packet in self._found.items()
        }


class SearchClock:
    """Decides in which images further faces are looked for."""

    def __init__(self) -> None:
        #: Searches a second while all faces of the last image are followed; 0 is each image.
        self.hz = 0.0
        self.reset()

    def reset(self) -> None:
        """Forget the former images: the next is searched."""
        self._last: float | None = None
        self._until = -math.inf
        self._stamp, self._faces = 0.0, 0

    def due(self, stamp: float) -> bool:
        """Return whether to search the image of a time in seconds.

        That is, if it is time, if no face is followed, or if one was lost half a second ago or
        less.
        """
        self._stamp = stamp
        # Half a millisecond early: six images at 30 Hz are a little less than 0.2 s by float.
        every = 1 / self.hz - 5e-4 if self.hz else 0.0
        wait = self._last is not None and 0 < stamp - self._last < every
        if wait and self._faces and stamp > self._until:
            return False
        self._last = stamp
        return True

    def found(self, faces: int) -> None:
        """Take the number of faces in the image that was just asked for."""
        if faces < self._faces:
            self._until = self._stamp + _AFTER_LOSS
        self._faces = faces


class MeshGraph:
    """The bundled face mesh with refined landmarks (``FaceLandmarkFrontCpu``)."""

    def __init__(
        self, mediapipe: ModuleType, max_faces: int, detection: float, tracking: float
    ) -> None:
        """Open the graph; see :class:`~emotion_estimator.perception.landmarks.face_mesh.FaceMesh`.

        :raises GraphMissingError: this release bundles none, or another one.
        """
        folder = Path(mediapipe.__file__ or '').parent
        try:
            content = (folder / _MESH_GRAPH).read_bytes()
            config = _message('calculator_pb2').CalculatorGraphConfig.FromString(content)
            # It is no longer the subgraph of that name.
            config.ClearField('type')
            _in_calling_thread(config)
            _gate_search(config, ('image',))
            self._solution = import_module('mediapipe.python.solution_base').SolutionBase(
                graph_config=config,
                side_inputs={
                    'num_faces': max_faces,
                    'with_attention': True,
                    'use_prev_landmarks': True,
                },
                calculator_params={
                    f'{_MESH_DETECTOR}.min_score_thresh': detection,
                    'facelandmarkcpu__ThresholdingCalculator.threshold': tracking,
                },
                outputs=['multi_face_landmarks'],
            )
            self._run = _Graph(self._solution._graph, self._solution._graph_outputs)
        except _DIFFERENT as error:
            raise GraphMissingError(first_line(error)) from error
        self._create, self._format = _packets().create_image_frame, mediapipe.ImageFormat.SRGB
        self.reset, self.close = self._solution.reset, self._solution.close

    def process(self, image: RgbImage, search: bool = True) -> list[FloatArray]:
        """Return the landmarks (478, 3) of each face as shares of the image, float32.

        :param image: uint8 (H, W, 3) RGB, contiguous.
        """
        packet = self._create(image_format=self._format, data=_read_only(image))
        found = self._run({'image': packet}, search)
        return [landmark_array(each) for each in found.get('multi_face_landmarks', ())]


class LandmarkerGraph:
    """The Face Landmarker with blendshapes (``FaceLandmarkerGraph``)."""

    def __init__(self, mediapipe: ModuleType, options: Any) -> None:
        """Open the graph.

        :param options: ``FaceLandmarkerOptions`` for videos, with blendshapes.
        :raises GraphMissingError: this release of mediapipe builds it in another way.
        """
        try:
            tasks = import_module('mediapipe.tasks.python.vision.face_landmarker')
            config = _expanded(
                tasks._TaskInfo(
                    task_graph=tasks._TASK_GRAPH_NAME,
                    input_streams=['IMAGE:image', 'NORM_RECT:rect'],
                    output_streams=['NORM_LANDMARKS:landmarks', 'BLENDSHAPES:blendshapes'],
                    task_options=options,
                ).generate_graph_config()
            )
            _in_calling_thread(config)
            _gate_search(config, ('image', 'rect'))
            graph = _opened(config.SerializeToString())
            found: dict[str, Any] = {}
            for name in ('landmarks', 'blendshapes'):
                graph.observe_output_stream(name, found.__setitem__, True)
            graph.start_run({})
            self._run = _Graph(graph, found)
        except _DIFFERENT as error:
            raise GraphMissingError(first_line(error)) from error
        self._create, self._format = _packets().create_image, mediapipe.ImageFormat.SRGB
        self._rect = _packets().create_proto(
            _message('formats.rect_pb2').NormalizedRect(
                x_center=0.5, y_center=0.5, width=1.0, height=1.0, rotation=0.0
            )
        )
        self._scores = ScoreReader()
        self.close = graph.close

    def process(
        self, image: RgbImage, milliseconds: int, search: bool = True
    ) -> list[tuple[FloatArray, FloatArray]]:
        """Return the landmarks (478, 3) as shares of the image and the blendshapes (52,) of each.

        :param image: uint8 (H, W, 3) RGB, contiguous.
        :param milliseconds: later than those of the last image.
        """
        packet = self._create(image_format=self._format, data=_read_only(image))
        found = self._run({'image': packet, 'rect': self._rect}, search, 1000 * milliseconds)
        return [
            (landmark_array(points), self._scores(scores))
            for points, scores in zip(found.get('landmarks', ()), found.get('blendshapes', ()))
        ]


def is_tested(mediapipe: ModuleType) -> bool:
    """Return whether the tests hold the graphs of the installed release equal to its own calls."""
    return getattr(mediapipe, '__version__', '') in TESTED


def landmark_array(serialized: bytes) -> FloatArray:
    """Return the landmarks of a serialized ``NormalizedLandmarkList``, float32 (N, 3)."""
    count, rest = divmod(len(serialized), _LANDMARK)
    tags = ((serialized[at::_LANDMARK], tag * count) for at, tag in _TAGS.items())
    if count and not rest and all(found == wanted for found, wanted in tags):
        values: FloatArray = np.ndarray(
            (count, 3), '<f4', serialized, offset=3, strides=(_LANDMARK, 5)
        )
        return np.array(values, np.float32)
    # With visibility, or in another order.
    message = _message('formats.landmark_pb2').NormalizedLandmarkList
    landmarks = message.FromString(serialized).landmark
    return np.array([(each.x, each.y, each.z) for each in landmarks], np.float32).reshape(-1, 3)


class ScoreReader:
    """Reads serialized ``ClassificationList`` messages of blendshapes.

    All have the same names in the same order, so that only the scores' bytes differ. Where they
    are, the first message tells; each further one is compared with it.
    """

    def __init__(self) -> None:
        self._same: NDArray[np.uint8] | None = None
        self._kept: NDArray[np.intp] = np.empty(0, np.intp)
        self._scores: NDArray[np.intp] = np.empty((0, 4), np.intp)

    def __call__(self, serialized: bytes) -> FloatArray:
        """Return the scores, float32 (52,), in ``BLENDSHAPE_NAMES`` order.

        :raises KeyError: a blendshape is missing.
        """
        content = np.frombuffer(serialized, np.uint8)
        if (
            self._same is None
            or content.size != self._same.size
            or not np.array_equal(content[self._kept], self._same[self._kept])
        ):
            self._learn(serialized)
        scores: FloatArray = content[self._scores].view('<f4')[:, 0]
        return scores

    def _learn(self, serialized: bytes) -> None:
        """Find where the scores are."""
        message = _message('formats.classification_pb2')
        categories = message.ClassificationList.FromString(serialized).classification
        at, place = {}, 0
        for each in categories:
            one = each.SerializeToString()
            # Its score, after its own tag.
            inner = one.index(b'\x15' + struct.pack('<f', each.score)) + 1
            place = serialized.index(one, place)
            at[each.label] = place + inner
            place += len(one)
        first = np.array([at[name] for name in BLENDSHAPE_NAMES])
        self._scores = first[:, None] + np.arange(4)
        self._same = np.frombuffer(serialized, np.uint8)
        every = [place + k for place in at.values() for k in range(4)]
        self._kept = np.setdiff1d(np.arange(self._same.size), every)


def _read_only(image: RgbImage) -> RgbImage:
    """Return a view that MediaPipe reads in place; it copies what may change."""
    view = image[:]
    view.flags.writeable = False
    return view


def _gate_search(config: Any, inputs: Sequence[str]) -> None:
    """Let the detector read its inputs only in images that are searched.

    The graph has a gate for them already, which is shut while enough faces are followed; another
    one is put before it.

    :raises GraphMissingError: there is no such gate.
    """
    gates = [
        node
        for node in config.node
        if node.calculator == 'GateCalculator' and node.input_stream[0] in inputs
    ]
    if sorted(node.input_stream[0] for node in gates) != sorted(inputs):
        raise GraphMissingError('the detector of this release has no gate')
    for gate in gates:
        name = gate.input_stream[0]
        gate.input_stream[0] = f'searched_{name}'
        config.node.add(
            calculator='GateCalculator',
            input_stream=[name, f'ALLOW:{_SEARCH}'],
            output_stream=[f'searched_{name}'],
        )
    config.input_stream.append(f'SEARCH:{_SEARCH}')


def _in_calling_thread(config: Any) -> None:
    """Run all calculators where the graph is waited for."""
    del config.executor[:]
    config.executor.add(name='', type='ApplicationThreadExecutor')


def _expanded(config: Any) -> Any:
    """Return a graph's configuration with its subgraphs replaced by what they consist of."""
    bindings = import_module('mediapipe.python._framework_bindings.validated_graph_config')
    validated = bindings.ValidatedGraphConfig()
    with _as_file(config.SerializeToString()) as path:
        validated.initialize(binary_graph_path=path)
    return type(config).FromString(validated.binary_config)


def _opened(config: bytes) -> Any:
    bindings = import_module('mediapipe.python._framework_bindings.calculator_graph')
    # As a file, since messages go through text, which loses what Python does not know of them.
    with _as_file(config) as path:
        return bindings.CalculatorGraph(binary_graph_path=path)


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Yield the path of a file in memory (Linux), or of a temporary one."""
    if hasattr(os, 'memfd_create'):
        file = os.memfd_create('graph')
        try:
            with open(file, 'wb', closefd=False) as out:
                out.write(content)
            yield f'/proc/self/fd/{file}'
        finally:
            os.close(file)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, 'graph.binarypb')
            path.write_bytes(content)
            yield str(path)


def _packets() -> Any:
    return import_module('mediapipe.python.packet_creator')


def _serialized_list() -> Callable[[Any], list[bytes]]:
    bindings = import_module('mediapipe.python._framework_bindings')
    serialized: Callable[[Any], list[bytes]] = bindings._packet_getter._get_serialized_proto_list
    return serialized


def _message(name: str) -> Any:
    return import_module(f'mediapipe.framework.{name}')
