"""Images in which a landmark source finds no face (Attrah 2025, section 3.2.2)."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator_training.data.augment import Enlargement
from emotion_estimator_training.data.stills import (
    FER_CLASSES,
    PAPER_IMAGES,
    PAPER_UNDETECTED,
    SPLITS,
    TRAINING,
    Stills,
)


def undetected(stills: Stills, found: NDArray[np.bool_]) -> dict[str, dict[str, dict[str, Any]]]:
    """Count the images in which one source finds no face, by split and class.

    :param found: bool (N,), whether the source found a face.
    :returns: for each of ``SPLITS`` and each class: ``images``, ``undetected``, ``coverage``
        (share of images with a face; None without images) and ``image_ids`` of the undetected.
    """
    return {
        split: {
            name: _cell(stills, found, (stills.usage == number) & (stills.emotion == code))
            for code, name in enumerate(FER_CLASSES)
        }
        for number, split in enumerate(SPLITS)
    }


def _cell(stills: Stills, found: NDArray[np.bool_], rows: NDArray[np.bool_]) -> dict[str, Any]:
    images, missed = int(rows.sum()), rows & ~found
    return {
        'images': images,
        'undetected': int(missed.sum()),
        'coverage': round(float(found[rows].mean()), 4) if images else None,
        'image_ids': stills.image_id[missed].tolist(),
    }


def table_name(scale: float) -> str:
    """Return the name, without its suffix, of the table for stills enlarged ``scale`` times."""
    return 'undetected' if scale == Enlargement.scale else f'undetected-enlarge-{scale:g}'


def undetected_table(by_source: dict[str, Any]) -> tuple[list[str], list[list[object]]]:
    """Return header and rows of undetected images of Training by class, next to the paper's.

    :param by_source: :func:`undetected` of each source.
    """
    head = ['class', 'images', *by_source, 'paper', 'of']
    rows: list[list[object]] = []
    for name in FER_CLASSES:
        cells = [table[SPLITS[TRAINING]][name] for table in by_source.values()]
        rows.append(
            [
                name,
                cells[0]['images'],
                *(cell['undetected'] for cell in cells),
                PAPER_UNDETECTED[name],
                PAPER_IMAGES[name][TRAINING],
            ]
        )
    rows.append(['all', *(sum(column) for column in zip(*(row[1:] for row in rows)))])
    return head, rows


def coverage(by_source: dict[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return the share of images with a face, by source and split; None for an empty split.

    :param by_source: :func:`undetected` of each source.
    """
    shares: dict[str, dict[str, float | None]] = {}
    for source, table in by_source.items():
        shares[source] = {}
        for split, classes in table.items():
            images = sum(cell['images'] for cell in classes.values())
            missed = sum(cell['undetected'] for cell in classes.values())
            shares[source][split] = round(1 - missed / images, 4) if images else None
    return shares


def write_undetected(stills: Stills, found: dict[str, NDArray[np.bool_]], path: Path) -> None:
    """Write a CSV line for each source and image in which it finds no face.

    :param found: by source, bool (N,).
    """
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['source', 'image_id', 'split', 'class', 'file'])
        for source, seen in found.items():
            for row in np.flatnonzero(~seen):
                writer.writerow(
                    [
                        source,
                        stills.image_id[row],
                        SPLITS[stills.usage[row]],
                        FER_CLASSES[stills.emotion[row]],
                        stills.paths[row] if stills.paths else '',
                    ]
                )
