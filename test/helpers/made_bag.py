"""A small bag made in seconds: the animated portrait as JPEGs, its truth on `/ground_truth`.

`python test/made_bag.py FOLDER` makes it for looking at.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from atexit import register
from functools import cache
from pathlib import Path

from emotion_estimator.bags.recorder import BEGIN, record
from emotion_estimator.bags.writer import BagWriter
from emotion_estimator.sources.portrait import Portrait

FPS = 15.0
#: Seconds of the portrait that show every expression and an absence; it speaks after them.
COURSE = 26.0
#: Seconds that the image's stamp is ahead of the portrait's own time.
START = BEGIN * 1e-9


def make_bag(
    folder: Path, storage: str = 'mcap', fps: float = FPS, duration: float = COURSE
) -> Path:
    """Record the portrait's course (26 s, 390 images, 1.8 MB) into a folder; return it.

    Without the sensor noise, of which JPEG would keep little but its size.

    :param duration: seconds after which it ends.
    """
    portrait = Portrait(fps, (192, 192), noise=0.0)
    with BagWriter(folder, storage) as writer:
        record(
            portrait, writer, topic='image_raw', quality=50, frame_id='camera', duration=duration
        )
    return folder


@cache
def made_bag(storage: str = 'mcap') -> Path:
    """Return the bag, made once for all tests of a session, which must not change it."""
    folder = Path(tempfile.mkdtemp(prefix='made-bag-'))
    register(shutil.rmtree, folder, ignore_errors=True)
    return make_bag(folder / 'bag', storage)


if __name__ == '__main__':
    print(make_bag(Path(sys.argv[1])))
