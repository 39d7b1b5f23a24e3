"""The types of Foxglove's image annotations: fields as in its package ``foxglove_msgs``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Definition of each type by its name, as ROS 2 writes them.
FOXGLOVE_TYPES: Mapping[str, str] = MappingProxyType(
    {
        f'foxglove_msgs/msg/{name}': text
        for name, text in {
            'Point2': 'float64 x\nfloat64 y\n',
            'Color': 'float64 r\nfloat64 g\nfloat64 b\nfloat64 a\n',
            'CircleAnnotation': """\
builtin_interfaces/Time timestamp
foxglove_msgs/Point2 position
float64 diameter
float64 thickness
foxglove_msgs/Color fill_color
foxglove_msgs/Color outline_color
""",
            'PointsAnnotation': """\
uint8 UNKNOWN=0
uint8 POINTS=1
uint8 LINE_LOOP=2
uint8 LINE_STRIP=3
uint8 LINE_LIST=4
builtin_interfaces/Time timestamp
uint8 type
foxglove_msgs/Point2[] points
foxglove_msgs/Color outline_color
foxglove_msgs/Color[] outline_colors
foxglove_msgs/Color fill_color
float64 thickness
""",
            'TextAnnotation': """\
builtin_interfaces/Time timestamp
foxglove_msgs/Point2 position
string text
float64 font_size
foxglove_msgs/Color text_color
foxglove_msgs/Color background_color
""",
            'ImageAnnotations': """\
foxglove_msgs/CircleAnnotation[] circles
foxglove_msgs/PointsAnnotation[] points
foxglove_msgs/TextAnnotation[] texts
""",
        }.items()
    }
)
