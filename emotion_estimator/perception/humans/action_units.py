"""Action units of the face (Ekman and Friesen 1978) from blendshapes.

ARKit's shapes, which MediaPipe's follow, were named after what moves, and most correspond to one
action unit. They are not FACS coding by a person: intensities are the blendshapes' scores, 0 to 1,
not the levels A to E. Units without a blendshape have confidence 0.
"""

from __future__ import annotations

import numpy as np

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.emotion import FloatArray

#: Length of the arrays of ``hri_msgs/FacialActionUnits``; a unit's code is its index.
CODES = 99

#: Code of each unit with a blendshape, and the blendshapes, of which the strongest counts: FACS
#: codes a movement of one side by the stronger side.
ACTION_UNITS: dict[int, tuple[str, ...]] = {
    1: ('browInnerUp',),
    2: ('browOuterUpLeft', 'browOuterUpRight'),
    4: ('browDownLeft', 'browDownRight'),
    5: ('eyeWideLeft', 'eyeWideRight'),
    6: ('cheekSquintLeft', 'cheekSquintRight'),
    7: ('eyeSquintLeft', 'eyeSquintRight'),
    9: ('noseSneerLeft', 'noseSneerRight'),
    10: ('mouthUpperUpLeft', 'mouthUpperUpRight'),
    12: ('mouthSmileLeft', 'mouthSmileRight'),
    14: ('mouthDimpleLeft', 'mouthDimpleRight'),
    15: ('mouthFrownLeft', 'mouthFrownRight'),
    16: ('mouthLowerDownLeft', 'mouthLowerDownRight'),
    17: ('mouthShrugLower',),
    18: ('mouthPucker',),
    20: ('mouthStretchLeft', 'mouthStretchRight'),
    22: ('mouthFunnel',),
    24: ('mouthPressLeft', 'mouthPressRight'),
    26: ('jawOpen',),
    28: ('mouthRollLower', 'mouthRollUpper'),
    29: ('jawForward',),
    30: ('jawLeft', 'jawRight'),
    34: ('cheekPuff',),
    61: ('eyeLookOutLeft', 'eyeLookInRight'),
    62: ('eyeLookInLeft', 'eyeLookOutRight'),
    63: ('eyeLookUpLeft', 'eyeLookUpRight'),
    64: ('eyeLookDownLeft', 'eyeLookDownRight'),
}

#: Both eyes closed: the weaker of both; one alone is a wink.
EYES_CLOSED, WINK = 43, 46

_CODES = np.array(list(ACTION_UNITS))
_FIRST = np.array([BLENDSHAPE_NAMES.index(names[0]) for names in ACTION_UNITS.values()])
_LAST = np.array([BLENDSHAPE_NAMES.index(names[-1]) for names in ACTION_UNITS.values()])
_LEFT_LID = BLENDSHAPE_NAMES.index('eyeBlinkLeft')
_RIGHT_LID = BLENDSHAPE_NAMES.index('eyeBlinkRight')

_ESTIMATED = np.zeros(CODES, np.float32)
_ESTIMATED[[*ACTION_UNITS, EYES_CLOSED, WINK]] = 1.0


def action_units(blendshapes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return intensity and confidence of all units, as ``hri_msgs/FacialActionUnits`` has them.

    :param blendshapes: (52,), 0 to 1; an empty array is a face without blendshapes.
    :returns: float32 (99,) each, 0 to 1; the confidence is 1 for the units above and 0 for all
        others, and 0 everywhere without blendshapes or if one is NaN.
    """
    intensity = np.zeros(CODES, np.float32)
    if len(blendshapes) != len(BLENDSHAPE_NAMES) or not np.isfinite(blendshapes).all():
        return intensity, np.zeros(CODES, np.float32)
    intensity[_CODES] = np.maximum(blendshapes[_FIRST], blendshapes[_LAST])
    left, right = float(blendshapes[_LEFT_LID]), float(blendshapes[_RIGHT_LID])
    intensity[EYES_CLOSED], intensity[WINK] = min(left, right), abs(left - right)
    return intensity.clip(0.0, 1.0), _ESTIMATED.copy()
