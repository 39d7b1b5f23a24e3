"""Figures of real people: photographs, films, and FER2013 by what most of ten people see in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emotion_estimator.emotion import LABELS, NEUTRAL, UNKNOWN
from emotion_estimator_training.data.photographs import Photographs
from emotion_estimator_training.data.stills import (
    FER_CLASSES,
    TO_LABEL,
    Stills,
)
from emotion_estimator_training.evaluation.film_reading import (
    FilmReading,
    LabelledFilm,
    film_figures,
    film_groups,
)
from emotion_estimator_training.evaluation.image_reading import (
    FER_NAMES,
    MODELS,
    ImageReader,
    ImageReading,
    digest,
)
from emotion_estimator_training.evaluation.person_bootstrap import (
    PersonBootstrap,
    Sums,
    difference,
    figures,
    share,
    with_interval,
)
from emotion_estimator_training.evaluation.threshold_curve import threshold_curves

Ints = NDArray[np.int64]
Rows = NDArray[np.bool_]

#: Upper bounds of the ranges by which photographs are told apart: eyeLookDown, degrees, pixels.
_DOWN, _TURNED, _WIDTH = (0.1, 0.25, 0.5), (15, 25, 40), (60, 100, 160)
#: Figures given of a range.
_IN_RANGE = ('accuracy', 'neutral_sad', 'neutral_happy', 'recall_sad', 'recall_happy')
#: Errors listed.
WORST = 30


@dataclass(frozen=True, eq=False)
class ReadPictures:
    """What one landmark source and each model say of N pictures; zeros without a face.

    :param found: bool (N,).
    :param several: bool (N,), whether more than one face was found.
    :param looks_down: (N,), 0 to 1; ``turned`` in degrees, ``width`` of the face in pixels,
        ``light`` 0 to 255 likewise.
    :param label: by model, (N,), index into ``LABELS``.
    :param three: by model, (N, 3), probabilities of ``LABELS``.
    :param seven: by model, (N, 7), probabilities of ``FER_CLASSES``.
    """

    found: Rows
    several: Rows
    looks_down: NDArray[np.float64]
    turned: NDArray[np.float64]
    width: NDArray[np.float64]
    light: NDArray[np.float64]
    label: Mapping[str, Ints]
    three: Mapping[str, NDArray[np.float64]]
    seven: Mapping[str, NDArray[np.float64]]

    @classmethod
    def of(cls, readings: Sequence[ImageReading]) -> ReadPictures:
        """Collect readings."""
        answers = [one.answers for one in readings if one.answers]
        models = [name for name in MODELS if answers and name in answers[0]]
        label = {name: np.full(len(readings), LABELS.index(UNKNOWN)) for name in models}
        three = {name: np.zeros((len(readings), len(LABELS))) for name in models}
        seven = {name: np.zeros((len(readings), len(FER_CLASSES))) for name in models}
        for row, one in enumerate(readings):
            for name, answer in (one.answers or {}).items():
                label[name][row] = LABELS.index(answer.label)
                three[name][row], seven[name][row] = answer.three, answer.seven
        return cls(
            found=np.array([one.faces > 0 for one in readings], bool),
            several=np.array([one.faces > 1 for one in readings], bool),
            looks_down=np.array([one.looks_down for one in readings], float),
            turned=np.array([one.turned for one in readings], float),
            width=np.array([one.roi[2] for one in readings], float),
            light=np.array([one.light for one in readings], float),
            label=label,
            three=three,
            seven=seven,
        )

    def where(self, rows: Rows) -> ReadPictures:
        """Return some of the pictures."""
        return ReadPictures(
            self.found[rows],
            self.several[rows],
            self.looks_down[rows],
            self.turned[rows],
            self.width[rows],
            self.light[rows],
            {name: one[rows] for name, one in self.label.items()},
            {name: one[rows] for name, one in self.three.items()},
            {name: one[rows] for name, one in self.seven.items()},
        )


def read_photographs(reader: ImageReader, photographs: Photographs) -> ReadPictures:
    """Read every photograph, with a progress bar."""
    return ReadPictures.of(
        [
            reader(partial(photographs.image, row), digest(photographs.encoded(row)))
            for row in _bar(len(photographs), f'photographs, {reader.source}')
        ]
    )


def read_stills(reader: ImageReader, stills: Stills, rows: Ints) -> ReadPictures:
    """Read some of FER2013's stills as the robot reads an image of 48x48 pixels."""

    def image(row: int) -> NDArray[np.uint8]:
        return np.repeat(stills.pixels[row][:, :, None], 3, axis=2)

    return ReadPictures.of(
        [
            reader(partial(image, row), digest(stills.pixels[row]))
            for row in (int(rows[n]) for n in _bar(len(rows), f'FER2013, {reader.source}'))
        ]
    )


def _bar(count: int, title: str) -> Any:
    return tqdm(range(count), desc=title, unit='image')


def measure_pictures(
    pictures: ReadPictures,
    emotion: Ints,
    person: Sequence[str],
    *,
    by_condition: bool = True,
) -> dict[str, Any]:
    """Return every model's figures for pictures that one landmark source read.

    :param emotion: (N,), index into ``FER_CLASSES``: what is right.
    :param person: (N,), who is shown.
    :param by_condition: whether to tell the pictures apart by look, turn, size and light, and to
        try thresholds.
    :returns: ``pictures``, ``people``, ``found``, ``several``; by model ``models``, each figure as
        [value, low, high]; ``fused_minus_fer`` likewise; ``conditions``; and by model
        ``curves``, see :func:`~.threshold_curve.threshold_curves`.
    """
    bootstrap = PersonBootstrap(person)

    def of(name: str, rows: Rows) -> dict[str, Sums]:
        return figures(
            bootstrap,
            emotion,
            pictures.label[name],
            pictures.three[name],
            pictures.seven[name],
            rows & pictures.found,
        )

    every = np.ones(len(emotion), bool)
    all_figures = {name: of(name, every) for name in pictures.label}
    measured: dict[str, Any] = {
        'pictures': len(emotion),
        'people': bootstrap.people,
        'found': int(pictures.found.sum()),
        'several': int(pictures.several.sum()),
        'shown': {
            name: int((pictures.found & (emotion == code)).sum())
            for code, name in enumerate(FER_CLASSES)
        },
        'models': {
            name: {key: with_interval(values) for key, values in one.items()}
            for name, one in all_figures.items()
        },
        'fused_minus_fer': {
            name: difference(all_figures['fused'], all_figures[name])
            for name in FER_NAMES
            if name in all_figures
        },
    }
    if by_condition:
        measured['conditions'] = {
            title: [_in_range(name, rows, of, pictures) for name, rows in ranges]
            for title, ranges in conditions(pictures).items()
        }
        found = pictures.found
        measured['curves'] = {
            name: threshold_curves(
                pictures.three[name][found].astype(np.float32),
                LABELS,
                TO_LABEL[emotion[found]],
                emotion[found] == FER_CLASSES.index(NEUTRAL),
            )
            for name in pictures.three
        }
    return measured


def conditions(pictures: ReadPictures) -> dict[str, list[tuple[str, Rows]]]:
    """Return the ranges of each condition: a name, and which pictures are in it."""
    light = pictures.light[pictures.found]
    thirds = np.quantile(light, (1 / 3, 2 / 3)).round(1) if len(light) else np.zeros(2)
    return {
        'eyes look down': _ranges(pictures.looks_down, _DOWN, ''),
        'head turned': _ranges(pictures.turned, _TURNED, ' degrees'),
        'width of the face': _ranges(pictures.width, _WIDTH, ' pixels'),
        'light on the face (grey)': _ranges(pictures.light, thirds.tolist(), ''),
    }


def _ranges(
    values: NDArray[np.float64], bounds: Sequence[float], unit: str
) -> list[tuple[str, Rows]]:
    edges = [-np.inf, *bounds, np.inf]
    names = [
        f'below {bounds[0]:g}{unit}',
        *(f'{low:g} to {high:g}{unit}' for low, high in pairwise(bounds)),
        f'{bounds[-1]:g}{unit} and more',
    ]
    return [
        (name, np.asarray((values >= low) & (values < high)))
        for name, (low, high) in zip(names, pairwise(edges))
    ]


def _in_range(
    name: str, rows: Rows, of: Callable[[str, Rows], dict[str, Sums]], pictures: ReadPictures
) -> dict[str, Any]:
    found = {model: of(model, rows) for model in pictures.label}
    one = next(iter(found.values()), None)
    return {
        'range': name,
        'faces': int((rows & pictures.found).sum()),
        'neutral': 0 if one is None else int(one['neutral'][0]),
        'models': {
            model: {key: with_interval(values[key]) for key in _IN_RANGE}
            for model, values in found.items()
        },
    }


def worst_errors(
    pictures: ReadPictures, emotion: Ints, model: str = 'fused', count: int = WORST
) -> list[dict[str, Any]]:
    """Return the most confident wrong labels.

    :returns: ``row``, ``shown`` (one of ``FER_CLASSES``), ``said`` and its ``probability``,
        ``looks_down``, ``turned``, ``width``; the most probable first.
    """
    if model not in pictures.label:
        return []
    label, every = pictures.label[model], np.arange(len(emotion))
    sure = pictures.three[model][every, label]
    wrong = np.flatnonzero(pictures.found & (label != TO_LABEL[emotion]))
    return [
        {
            'row': int(row),
            'shown': FER_CLASSES[emotion[row]],
            'said': LABELS[label[row]],
            'probability': round(float(sure[row]), 3),
            'looks_down': round(float(pictures.looks_down[row]), 2),
            'turned': round(float(pictures.turned[row])),
            'width': int(pictures.width[row]),
        }
        for row in wrong[np.argsort(-sure[wrong], kind='stable')][:count]
    ]


def measure_films(films: Sequence[LabelledFilm], readings: Sequence[FilmReading]) -> dict[str, Any]:
    """Return every model's figures for films that one landmark source read.

    :returns: ``films``, rows with ``film``, ``label``, ``speaking``, ``person``, and by model
        :func:`~.film_reading.film_figures`; ``groups``, by what is said of the films and by model
        the share of frames with each label as [value, low, high], flips a second, and in how many
        films the debounced label becomes happy or sad.
    """
    models = [name for name in MODELS if readings and name in readings[0].labels]
    by_film = [{name: film_figures(one, name) for name in models} for one in readings]
    groups: dict[str, Any] = {}
    for title, rows in film_groups(films).items():
        bootstrap = PersonBootstrap([films[row].person for row in rows])
        groups[title] = {
            'films': len(rows),
            'people': bootstrap.people,
            'models': {
                name: _of_group(name, [readings[row] for row in rows], bootstrap) for name in models
            },
        }
    return {
        'films': [
            {
                'film': film.path.stem,
                'label': film.label,
                'speaking': film.speaking,
                'person': film.person,
                'reported_speaking': round(float(np.mean(reading.speaking)), 4),
                'models': one,
            }
            for film, reading, one in zip(films, readings, by_film)
        ],
        'groups': groups,
    }


def _of_group(
    model: str, readings: Sequence[FilmReading], bootstrap: PersonBootstrap
) -> dict[str, Any]:
    figures_of = [film_figures(one, model) for one in readings]
    columns = np.array(
        [
            [*(one.labels[model].count(name) for name in LABELS), each['flips_per_s'], 1.0]
            for one, each in zip(readings, figures_of)
        ],
        float,
    )
    sums = bootstrap.sums(columns)
    frames = sums[:, : len(LABELS)].sum(axis=1)
    becomes = [{new for _, new in each['becomes']} for each in figures_of]
    return {
        'frames': int(frames[0]),
        **{name: with_interval(share(sums[:, k], frames)) for k, name in enumerate(LABELS)},
        'flips_per_s': with_interval(share(sums[:, -2], sums[:, -1])),
        'films_that_become_happy': sum('happy' in each for each in becomes),
        'films_that_become_sad': sum('sad' in each for each in becomes),
    }
