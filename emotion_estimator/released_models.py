"""The checksums of released weights. Other weights run too, but are tried and reported as such."""

from __future__ import annotations

#: SHA-256 of each weights file in ``models/``, to the model's name and version. Releasing a model
#: (CONTRIBUTING.md) writes this table.
RELEASED = {
    '53465c55ddfffc6b23f9a398ecf69521493e437a8e36a42cbd9534ec3b4b5bf6': 'appearance 1.4.0',
    'baa1a19ef21aa750af46588439c8f269ec50ca6be87ad69d7a6657e04756fa41': 'blendshape_head 1.0.0',
    '50a8bff2b9adc89ced1566647ae999750496e7eab0f997cf5d0b13132656d2a5': 'emotion_lstm 3.5.0',
    '49d15203961075637bb98527b0b5fb8eb2f09faaf4baa507548bfa17e02b05a3': 'speaking 1.0.0',
    'e8a5386d6727e32f9d7aa27c4c831a613e5f389e1cc93b5aa16564007c665c17': 'upright',
}

#: The same of MediaPipe's files. The first is in ``models/`` too.
THIRD_PARTY = {
    '64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff': 'face_landmarker.task 1',
    # Those that mediapipe 0.10.18 and 0.10.21 bundle.
    'bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8': 'face detection',
    'e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4': 'face mesh',
}
