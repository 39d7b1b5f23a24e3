"""Real people: the pipeline, its branches alone, and the PyPI package ``fer``.

On photographs with labels and people (a folder or a zip with a CSV), on films (a folder, with
``clips.csv`` if something is known of them), and on FER2013 by what most of FER+'s ten people see.
Any of them may be missing. docs/real_people.md describes the files and the figures.

Landmarks and answers are kept in the cache: an interrupted run continues, and a new model only runs
its networks.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import EmotionEstimatorError, InputError
from emotion_estimator.model_card import ModelCard
from emotion_estimator_training.data.photographs import (
    Photographs,
    load_photographs,
    split_by_person,
)
from emotion_estimator_training.data.stills import PRIVATE_TEST, PUBLIC_TEST, load_stills
from emotion_estimator_training.data.truth import majority_of_votes
from emotion_estimator_training.evaluation.film_reading import labelled_films, read_film
from emotion_estimator_training.evaluation.image_reading import (
    AnswerStore,
    ImageReader,
    LandmarkChoice,
    landmark_choices,
    open_fer,
)
from emotion_estimator_training.evaluation.real_people import (
    measure_films,
    measure_pictures,
    read_photographs,
    read_stills,
    worst_errors,
)
from emotion_estimator_training.evaluation.side_by_side import WEIGHTS, FerNetwork
from emotion_estimator_training.report.real_people import (
    curve_chart,
    error_list,
    error_sheet,
    film_tables,
    picture_tables,
    votes_table,
)
from emotion_estimator_training.tables import write_json

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / 'docs' / 'real_people.md'
SOURCES = ('face_landmarker', 'face_mesh')
PARTS = ('everybody', 'held-out')
_SPLITS = {'public': PUBLIC_TEST, 'private': PRIVATE_TEST}


class Benchmark:
    """Measures what is given, and collects results and notes."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Open the cache, ``fer`` and the landmark sources that are there."""
        self.options = options
        self.notes: list[str] = []
        self.store = AnswerStore(options.out / 'cache' / 'answers.sqlite')
        self.fer: FerNetwork | None
        self.fer, missing = open_fer(options.fer / WEIGHTS)
        self.say(missing)
        self.choices: list[LandmarkChoice]
        self.choices, missing = landmark_choices(options.landmarks, options.teacher, options.models)
        self.say(missing)
        if not self.choices:
            raise InputError(
                'no landmark source is available; install mediapipe 0.10.21 or give --teacher'
            )

    def say(self, lines: Sequence[Any]) -> None:
        """Print lines, and keep them for the report."""
        for line in map(str, lines):
            print(line, file=sys.stderr)
            self.notes.append(line)

    def reader(self, choice: LandmarkChoice) -> ImageReader:
        """Return a reader of images with one landmark source."""
        return ImageReader(choice, self.options.models, self.fer, self.store)

    def photographs(self) -> dict[str, Any]:
        """Return the figures of photographs; draw the curves and the sheet of errors."""
        out: Path = self.options.out
        photographs = load_photographs(self.options.photographs)
        self.say([f'{self.options.photographs.name}: {one}' for one in photographs.problems])
        parts = self._parts(photographs)
        measured: dict[str, dict[str, Any]] = {part: {} for part in parts}
        person = np.array(photographs.person)
        for number, choice in enumerate(self.choices):
            reader = self.reader(choice)
            pictures = read_photographs(reader, photographs)
            reader.close()
            for part, rows in parts.items():
                measured[part][choice.name] = measure_pictures(
                    pictures.where(rows), photographs.emotion[rows], person[rows].tolist()
                )
            if number == 0:
                errors = worst_errors(pictures, photographs.emotion)
                (out / 'errors.png').write_bytes(error_sheet(errors, photographs.image))
                listed = error_list(errors, photographs.names, photographs.person)
                (out / 'errors.md').write_text(f'{choice.name}, fused\n\n{listed}\n')
        for part, found in measured.items():
            (out / f'curve_{part.replace(" ", "_")}.png').write_bytes(curve_chart(found))
        return {
            'name': self.options.photographs.name,
            'problems': [str(one) for one in photographs.problems],
            'parts': measured,
        }

    def _parts(self, photographs: Photographs) -> dict[str, NDArray[np.bool_]]:
        """Return which photographs are in each wanted part."""
        parts = {}
        if 'everybody' in self.options.parts:
            parts['everybody'] = np.ones(len(photographs), bool)
        if 'held-out' in self.options.parts:
            try:
                held_out = set(split_by_person(photographs, self.options.held_out)[1].names)
                parts['held-out people'] = np.array([one in held_out for one in photographs.names])
            except InputError as error:
                self.say([error])
        if not parts:
            raise InputError('no part is left to measure; give --parts everybody')
        return parts

    def films(self) -> dict[str, Any]:
        """Return the figures of films."""
        films, lines = labelled_films(self.options.clips)
        self.say(lines)
        measured = {}
        for choice in self.choices:
            read, readings = [], []
            for film in films:
                try:
                    readings.append(
                        read_film(film.path, choice, self.options.models, self.fer, self.store)
                    )
                    read.append(film)
                except InputError as error:
                    self.say([error])
            if readings:
                measured[choice.name] = measure_films(read, readings)
        if not measured:
            raise InputError(f'{self.options.clips}: no film can be read')
        return {'name': self.options.clips.name, 'problems': lines, 'sources': measured}

    def fer2013(self) -> dict[str, Any]:
        """Return the figures of FER2013 by the majority of FER+'s votes."""
        stills = load_stills(self.options.fer2013)
        if stills.ferplus_votes is None:
            raise InputError(
                f'{self.options.fer2013} has no FER+ votes; give an .npz with ferplus_votes'
            )
        rows = np.flatnonzero(stills.usage == _SPLITS[self.options.split])
        truth, usable, left_out = majority_of_votes(stills, rows)
        rows, truth = rows[usable], truth[usable]
        duplicate = stills.duplicate[rows]
        person = np.array([str(one) for one in stills.image_id[rows]])
        measured: dict[str, dict[str, Any]] = {'with duplicates': {}, 'without duplicates': {}}
        for choice in self.choices:
            reader = self.reader(choice)
            pictures = read_stills(reader, stills, rows)
            reader.close()
            for part, kept in zip(measured, (np.ones(len(rows), bool), ~duplicate)):
                measured[part][choice.name] = measure_pictures(
                    pictures.where(kept), truth[kept], person[kept].tolist(), by_condition=False
                )
        return {'split': self.options.split, 'left_out': left_out, 'parts': measured}


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure what is given; return the content of ``report.json``.

    :raises InputError: nothing can be measured.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    bench = Benchmark(options)
    sets: dict[str, tuple[Path | None, Callable[[], dict[str, Any]]]] = {
        'photographs': (options.photographs, bench.photographs),
        'clips': (options.clips, bench.films),
        'fer2013': (options.fer2013, bench.fer2013),
    }
    measured: dict[str, Any] = {}
    for name, (path, run) in sets.items():
        if path is None:
            bench.say([f'{name}: not given, left out ({name.upper()}=...)'])
            continue
        started = time.monotonic()
        try:
            measured[name] = {**run(), 'seconds': 0.0}
            measured[name]['seconds'] = round(time.monotonic() - started, 1)
        except InputError as error:
            bench.say([f'{name}: left out: {error}'])
    bench.store.close()
    if not measured:
        raise InputError('nothing was measured; give PHOTOGRAPHS, CLIPS or FER2013')
    cards = {
        kind: ModelCard.load(options.models / f'{kind}.json', kind)
        for kind in ('emotion_lstm', 'appearance')
    }
    return {
        'made': date.today().isoformat(),
        'command': ' '.join(sys.argv[1:]),
        'models': {name: {'title': one.title, 'sha256': one.sha256} for name, one in cards.items()},
        'notes': bench.notes,
        **measured,
    }


def sections(measured: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables as Markdown by their marker in the document."""
    card = measured['models']['emotion_lstm']
    found = {
        'model': f'{card["title"]}, sha256 `{card["sha256"]}`, measured {measured["made"]}.',
    }
    if 'photographs' in measured:
        one = measured['photographs']
        found['photographs'] = '\n\n'.join(
            [
                '\n'.join(f'- {problem}' for problem in one['problems']),
                *(
                    f'### {one["name"]}, {part}\n\n{picture_tables(sources)}'
                    for part, sources in one['parts'].items()
                ),
            ]
        ).strip()
    if 'clips' in measured:
        found['clips'] = film_tables(measured['clips']['sources'])
    if 'fer2013' in measured:
        one = measured['fer2013']
        split = {'public': 'PublicTest', 'private': 'PrivateTest'}[one['split']]
        left_out = ', '.join(f'{count:,} {name}' for name, count in one['left_out'].items())
        found['ferplus'] = '\n\n'.join(
            [
                f'{split}; left out: {left_out}.',
                *(
                    f'### {split}, {part}\n\n{votes_table(sources)}'
                    for part, sources in one['parts'].items()
                ),
            ]
        )
    return found


def replaced(document: str, tables: Mapping[str, str]) -> str:
    """Return the document with the tables at their markers replaced.

    :raises InputError: a marker is missing.
    """
    for marker, table in tables.items():
        begin, end = f'<!-- {marker} -->', f'<!-- end of {marker} -->'
        before, found, rest = document.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise InputError(f'{DOCUMENT} has no {begin} ... {end}; restore it')
        document = f'{before}{begin}\n\n{table}\n\n{end}{after}'
    return document


def main(arguments: Sequence[str] | None = None) -> int:
    """Write ``report.json``, ``tables.md`` and the figures; return 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--photographs', type=Path, help='folder or zip with a CSV')
    parser.add_argument('--clips', type=Path, help='folder of films')
    parser.add_argument('--fer2013', type=Path, help='fer2013.npz with FER+ votes')
    parser.add_argument('--teacher', type=Path, help='face_landmarker.task')
    parser.add_argument(
        '--landmarks', nargs='+', choices=SOURCES, default=SOURCES, help='landmark sources'
    )
    parser.add_argument('--split', choices=list(_SPLITS), default='public', help='of FER2013')
    parser.add_argument(
        '--parts', nargs='+', choices=PARTS, default=PARTS, help='of the people in photographs'
    )
    parser.add_argument('--held-out', type=float, default=0.2, help='share of held-out people')
    parser.add_argument('--models', type=Path, default=ROOT / 'models')
    parser.add_argument(
        '--fer', type=Path, default=ROOT / '.venv-bench', help='folder with the package fer'
    )
    parser.add_argument('--out', type=Path, default=ROOT / 'out' / 'real')
    parser.add_argument('--docs', action='store_true', help='update docs/real_people.md')
    options = parser.parse_args(arguments)
    try:
        measured = measure(options)
        tables = sections(measured)
        write_json(measured, options.out / 'report.json')
        (options.out / 'tables.md').write_text('\n\n'.join(tables.values()) + '\n')
        if options.docs:
            DOCUMENT.write_text(replaced(DOCUMENT.read_text(), tables))
    except EmotionEstimatorError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted; the same command continues', file=sys.stderr)
        return 130
    print(f'{options.out / "tables.md"}, report.json, curves and errors.png beside it')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
