"""JSON Schemas (draft 2020-12) of the JSON that the command line and the dialogue manager write."""

from __future__ import annotations

from pathlib import Path

#: Schema files in this folder are named ``<name>.schema.json``.
_SUFFIX = '.schema.json'


def schema_files() -> dict[str, Path]:
    """Return the installed file of each schema by its name, such as ``frame``.

    Each stands for itself: it refers to no other file.
    """
    folder = Path(__file__).resolve().parent
    return {file.name.removesuffix(_SUFFIX): file for file in sorted(folder.glob(f'*{_SUFFIX}'))}
