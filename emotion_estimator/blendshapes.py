"""The 52 blendshapes of MediaPipe's Face Landmarker (Grishchenko et al. 2023), in its order."""

from __future__ import annotations

#: Order of the Face Landmarker's ``face_blendshapes`` output: ARKit's names and ``_neutral``.
BLENDSHAPE_NAMES: tuple[str, ...] = (
    '_neutral',
    'browDownLeft',
    'browDownRight',
    'browInnerUp',
    'browOuterUpLeft',
    'browOuterUpRight',
    'cheekPuff',
    'cheekSquintLeft',
    'cheekSquintRight',
    'eyeBlinkLeft',
    'eyeBlinkRight',
    'eyeLookDownLeft',
    'eyeLookDownRight',
    'eyeLookInLeft',
    'eyeLookInRight',
    'eyeLookOutLeft',
    'eyeLookOutRight',
    'eyeLookUpLeft',
    'eyeLookUpRight',
    'eyeSquintLeft',
    'eyeSquintRight',
    'eyeWideLeft',
    'eyeWideRight',
    'jawForward',
    'jawLeft',
    'jawOpen',
    'jawRight',
    'mouthClose',
    'mouthDimpleLeft',
    'mouthDimpleRight',
    'mouthFrownLeft',
    'mouthFrownRight',
    'mouthFunnel',
    'mouthLeft',
    'mouthLowerDownLeft',
    'mouthLowerDownRight',
    'mouthPressLeft',
    'mouthPressRight',
    'mouthPucker',
    'mouthRight',
    'mouthRollLower',
    'mouthRollUpper',
    'mouthShrugLower',
    'mouthShrugUpper',
    'mouthSmileLeft',
    'mouthSmileRight',
    'mouthStretchLeft',
    'mouthStretchRight',
    'mouthUpperUpLeft',
    'mouthUpperUpRight',
    'noseSneerLeft',
    'noseSneerRight',
)


def _mirrored_name(name: str) -> str:
    if name.endswith('Left'):
        return name[:-4] + 'Right'
    if name.endswith('Right'):
        return name[:-5] + 'Left'
    return name


#: ``scores[list(MIRROR)]`` are the blendshapes of the horizontally mirrored face.
MIRROR: tuple[int, ...] = tuple(
    BLENDSHAPE_NAMES.index(_mirrored_name(name)) for name in BLENDSHAPE_NAMES
)
