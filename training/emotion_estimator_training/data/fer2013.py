"""FER2013's own vocabulary: its classes, its splits, and the numbers that the papers print."""

from __future__ import annotations

#: FER2013's own codes, 0 to 6.
FER_CLASSES = ('angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral')

#: The splits, as FER2013's column ``Usage`` names them; used as training, validation and test set.
SPLITS = ('Training', 'PublicTest', 'PrivateTest')
TRAINING, PUBLIC_TEST, PRIVATE_TEST = range(3)

#: Side of a still in pixels.
SIDE = 48

#: Seed 001, Table 1: images of each class in each of ``SPLITS``.
PAPER_IMAGES = {
    'angry': (3995, 467, 491),
    'disgust': (436, 56, 55),
    'fear': (4097, 496, 528),
    'happy': (7215, 895, 879),
    'sad': (4830, 653, 594),
    'surprise': (3171, 415, 416),
    'neutral': (4965, 607, 626),
}
#: Seed 001, Table 2: images of each class chosen from Training; of disgust "maximum possible".
PAPER_CHOSEN = {
    'angry': 1500, 'fear': 1500, 'happy': 4000, 'sad': 4000, 'surprise': 1500, 'neutral': 1500,
}
#: Seed 001, Table 3: images of Training in which MediaPipe found no face.
PAPER_UNDETECTED = {
    'angry': 597, 'disgust': 72, 'fear': 616, 'happy': 377, 'sad': 835, 'surprise': 239,
    'neutral': 261,
}
