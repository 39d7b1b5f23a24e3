"""Write docs/images/demo.webp, the moving picture of README, from the film of a demo.

Usage: make demo && .venv/bin/python scripts/write_demo_picture.py [out]

Beside it, demo.json says of which words, rules and drawings the film is; a test fails once these
are others, and with it whatever the picture would wrongly show.
"""

import hashlib
import json
import sys
from pathlib import Path

import av
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / 'docs' / 'images' / 'demo.webp'
#: What decides on what is to be seen and read in it.
SHOWN = (
    'config/conversation_en.yaml', 'config/dialogue.yaml', 'emotion_estimator/annotation.py',
    'emotion_estimator/demo/video.py', 'models/emotion_lstm.json',
)  # fmt: skip
#: Frames a second and width in pixels; more would not load as quickly.
RATE, WIDTH = 5, 480


def checksums() -> dict[str, str]:
    """Return the sha256 of each file that the picture depends on."""
    return {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in SHOWN}


def frames(film: Path) -> list[Image.Image]:
    """Return the film's pictures, ``RATE`` a second, shrunk."""
    found: list[Image.Image] = []
    with av.open(str(film)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time * RATE >= len(found):
                picture = frame.to_image()
                height = round(picture.height * WIDTH / picture.width)
                found.append(picture.resize((WIDTH, height), Image.Resampling.LANCZOS))
    return found


def main() -> None:
    """Write the picture and what it is made of."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else 'out')
    first, *others = frames(out / 'demo.mp4')
    first.save(
        PICTURE, save_all=True, append_images=others, duration=1000 // RATE, loop=0, quality=45,
        method=6,
    )  # fmt: skip
    made = {
        'picture': hashlib.sha256(PICTURE.read_bytes()).hexdigest(),
        'of': checksums(),
        'summary': json.loads((out / 'summary.json').read_text()),
    }
    PICTURE.with_suffix('.json').write_text(json.dumps(made, indent=1) + '\n')
    print(f'{PICTURE}: {len(others) + 1} pictures, {PICTURE.stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
