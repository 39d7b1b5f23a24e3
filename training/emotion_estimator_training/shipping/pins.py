"""Write the checksums of released weights into the robot's code (``released_models.py``).

Of the standard library alone: ``scripts/release_model.py`` loads this file by its path.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

#: The module that has them, in a checkout.
PINS = 'emotion_estimator/released_models.py'
#: What is pinned in ``models/``.
SUFFIXES = ('.tflite', '.npz')

_TABLE = re.compile(r'^RELEASED(?:: [^=]+)? = \{[^}]*\}$', re.MULTILINE)


def pinned(text: str, files: Mapping[str, bytes]) -> str:
    """Return the text of ``released_models.py`` with the weights among ``files``.

    :param files: content of the files of ``models/``, by name.
    :raises ValueError: the text has no such table, or a card is no card.
    """
    lines = []
    for name in sorted(files):
        stem, suffix = Path(name).stem, Path(name).suffix
        if suffix not in SUFFIXES:
            continue
        title = stem
        if f'{stem}.json' in files:
            card = json.loads(files[f'{stem}.json'])
            title = f'{card.get("name", stem)} {card["version"]}'
        lines.append(f'    {hashlib.sha256(files[name]).hexdigest()!r}: {title!r},\n')
    written, count = _TABLE.subn(lambda _: 'RELEASED = {\n' + ''.join(lines) + '}', text)
    if count != 1:
        raise ValueError(f'{PINS} has no table RELEASED')
    return written


def pin(models: Path) -> Path | None:
    """Pin the weights in a folder if it is the ``models/`` of a checkout; return what was written.

    :returns: the path of ``released_models.py``; None if the folder is another one.
    """
    module = models.resolve().parent / PINS
    if models.resolve().name != 'models' or not module.is_file():
        return None
    files = {one.name: one.read_bytes() for one in models.iterdir() if one.is_file()}
    module.write_text(pinned(module.read_text(), files))
    return module
