"""Whether a folder holds what the same training has left, which is then gone on with."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def same_run(folder: Path, *settings: Any) -> None:
    """Empty ``folder`` unless it holds a run with the same settings, which it then continues."""
    told = json.dumps([asdict(one) for one in settings], indent=1, default=str)
    note = folder / 'settings.json'
    if note.exists() and note.read_text() == told:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(told)


def checksum(*arrays: NDArray[Any]) -> str:
    """Return what changes with the data that is learned from: SHA-256 over the arrays' values."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()
