"""Writes stills in the forms that :func:`~.data.dataset.load_stills` reads."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

from emotion_estimator_training.data.dataset import FER_CLASSES, SPLITS, Stills


def write_npz(stills: Stills, path: Path) -> Path:
    """Write ``fer2013.npz``'s arrays."""
    np.savez_compressed(
        path, pixels=stills.pixels, emotion=stills.emotion.astype(np.uint8),
        usage=stills.usage.astype(np.uint8), image_id=stills.image_id.astype(np.int32),
        duplicate_of_training=stills.duplicate,
    )
    return path


def write_csv(stills: Stills, path: Path) -> Path:
    """Write Kaggle's ``fer2013.csv``; the images' numbers become their rows."""
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['emotion', 'pixels', 'Usage'])
        for image, emotion, usage in zip(stills.pixels, stills.emotion, stills.usage):
            writer.writerow([int(emotion), ' '.join(map(str, image.ravel())), SPLITS[usage]])
    return path


def write_folder(stills: Stills, path: Path) -> Path:
    """Write ``<split>/<emotion>/<image id>.png`` below a folder."""
    for image, emotion, usage, number in zip(
        stills.pixels, stills.emotion, stills.usage, stills.image_id
    ):
        folder = path / ('train', 'validation', 'test')[usage] / FER_CLASSES[emotion]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f'{number:05d}.png'), image)
    return path
