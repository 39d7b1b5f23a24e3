"""Where the face is in ``data/astronaut.jpg``: contours measured once, in pixels of that picture.

Left and right are the viewer's. MediaPipe's mesh gave the first guess, corrected by eye in an
enlargement because it lies up to two pixels beside this mouth. Centres of pixels are whole numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

#: The head leans to the viewer's right by this angle: brows, eyes and lips do alike.
ROLL = np.radians(2.7)

#: Part of the picture in which pixels move: x, y, width, height.
PATCH = (168, 56, 118, 142)

#: Mouth contours from the left corner to the right one.
UPPER_LIP_TOP: Points = np.array([
    (202.3, 138.8), (206.0, 139.0), (209.0, 139.3), (212.0, 139.6), (215.0, 139.8), (218.0, 139.8),
    (222.5, 140.3), (227.0, 139.8), (230.0, 139.8), (234.0, 139.7), (238.0, 139.8), (241.0, 139.9),
    (244.6, 140.2),
])
UPPER_LIP_EDGE: Points = np.array([
    (202.8, 139.3), (206.0, 140.3), (209.0, 141.1), (212.0, 142.0), (215.0, 143.0), (218.0, 143.6),
    (222.0, 144.0), (226.0, 143.6), (230.0, 143.2), (234.0, 142.4), (238.0, 141.5), (241.0, 140.9),
    (243.7, 140.7),
])
LOWER_LIP_EDGE: Points = np.array([
    (203.2, 140.1), (205.5, 142.8), (208.0, 145.2), (211.0, 147.0), (214.0, 148.4), (217.0, 149.0),
    (222.5, 149.4), (226.0, 149.2), (229.0, 148.8), (232.0, 147.7), (235.0, 146.4), (238.5, 144.4),
    (243.6, 141.1),
])
LOWER_LIP_BOTTOM: Points = np.array([
    (203.3, 140.9), (206.0, 144.5), (208.0, 147.0), (210.0, 149.8), (213.0, 152.0), (216.0, 153.4),
    (222.5, 154.4), (227.0, 154.3), (230.0, 153.5), (233.0, 152.2), (236.0, 150.4), (239.5, 147.3),
    (244.0, 141.9),
])

#: Lids from the left corner to the right one; the lower contour without the corners.
LEFT_LID_UPPER: Points = np.array([
    (193.3, 101.3), (195.5, 99.5), (198.0, 98.4), (201.0, 97.5), (204.0, 97.3), (206.7, 97.8),
    (209.2, 99.2), (211.0, 101.0), (212.6, 103.0),
])
LEFT_LID_LOWER: Points = np.array([
    (195.5, 101.9), (198.0, 102.8), (201.0, 103.8), (204.0, 104.3), (207.0, 104.2), (209.5, 103.9),
    (211.2, 103.5),
])
RIGHT_LID_UPPER: Points = np.array([
    (236.8, 104.6), (239.0, 102.7), (241.5, 101.1), (244.0, 100.2), (247.0, 99.8), (250.0, 100.1),
    (253.0, 101.3), (255.6, 102.6), (258.0, 103.8),
])
RIGHT_LID_LOWER: Points = np.array([
    (239.0, 105.1), (242.0, 105.5), (245.0, 105.9), (248.0, 106.1), (251.0, 105.6), (253.5, 105.0),
    (255.8, 104.4),
])

#: Brows from the nose outwards.
LEFT_BROW: Points = np.array([
    (213.0, 92.2), (210.0, 91.0), (206.5, 90.0), (202.0, 88.9), (197.5, 88.2), (193.5, 89.0),
    (189.8, 90.0),
])
RIGHT_BROW: Points = np.array([
    (238.5, 92.7), (242.5, 92.4), (247.0, 92.0), (251.0, 91.7), (255.0, 92.0), (258.5, 93.3),
    (261.5, 95.0),
])

#: What keeps its place in every expression: hairline, sides, nose.
FIXED: Points = np.array([
    (190.0, 78.0), (206.0, 74.0), (222.0, 73.0), (240.0, 76.0), (256.0, 82.0),
    (182.0, 92.0), (182.0, 106.0), (183.0, 120.0), (186.0, 140.0), (193.0, 158.0), (206.0, 172.0),
    (268.0, 100.0), (268.0, 112.0), (266.0, 126.0), (261.0, 144.0), (252.0, 161.0), (239.0, 173.0),
    (225.0, 101.0), (224.5, 112.0), (223.5, 121.0), (213.0, 127.0), (234.5, 128.5), (223.5, 133.5),
])

#: Middle of each cheek, the chin's boss, and the chin's edge.
CHEEKS: Points = np.array([(197.0, 121.0), (251.0, 123.5)])
CHIN: Points = np.array([(221.5, 163.0)])
JAW: Points = np.array([(221.0, 177.0)])

#: The folds that the smile draws from the nose's wings past the mouth's corners.
FOLDS: tuple[Points, ...] = (
    np.array([(205.0, 127.5), (202.0, 130.5), (198.5, 133.5), (196.5, 136.0), (195.5, 140.0)]),
    np.array([(241.5, 129.0), (245.0, 132.5), (248.0, 136.0), (249.5, 140.0), (249.0, 144.0)]),
)
