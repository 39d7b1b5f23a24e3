"""A model of the zoo live beside ours: camera, estimator and dialogue manager on real ROS 2.

Each film runs through the three nodes, as separate processes at the film's own rate, once with the
shipped networks and once with each model, in turns. The label of a film is the truth of all its
frames, also before an expression comes. The built-in portrait is the demo's: its script is the
truth, away from changes.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from emotion_estimator.demo.results import UNFINISHED
from emotion_estimator.emotion import EXPRESSIONS, LABELS, NONE, UNKNOWN
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator.sources.video import VideoFile

PORTRAIT = 'portrait'
#: What the documentation calls the shipped networks.
OURS = 'ours, as shipped'
_SHIPPED = ('emotion_lstm', 'appearance')
#: What a film may show; none is a film without a face, which every model can tell.
_TRUTHS = (*EXPRESSIONS, NONE)
#: Seconds to wait for the first emotion, and after the camera's end.
_PATIENCE, _REST = 60.0, 1.0

HEADER = (
    'film', 'truth', 'model', 'images', 'emotions', 'right, three words', 'right, own label',
    'most said', 'changes/s', 'latency p50 ms', 'p95 ms',
)  # fmt: skip


@dataclass(frozen=True)
class Heard:
    """What came on ``/emotion`` from one film and model.

    :param images: of the film; an image without an emotion was dropped.
    :param right: share of emotions that are right as happy, unknown or sad; of the portrait,
        away from its changes.
    :param own: share of emotions with the film's own label; None if the model does not tell it.
    :param changes: of the label, per second; None if they were not counted.
    :param latency: median and 95th percentile of the time from an image's stamp to its emotion, ms.
    """

    film: str
    truth: str
    model: str
    images: int
    emotions: int
    right: float
    own: float | None
    said: str
    changes: float | None
    latency: tuple[float, float]

    def cells(self) -> list[str]:
        """Return the row of the table."""
        own = '-' if self.own is None else f'{self.own:.3f}'
        return [
            self.film, self.truth, self.model, f'{self.images:,}', f'{self.emotions:,}',
            f'{self.right:.3f}', own, self.said,
            '-' if self.changes is None else f'{self.changes:.2f}',
            *(f'{value:.1f}' for value in self.latency),
        ]  # fmt: skip


def word(label: str) -> str:
    """Return a label as one of the robot's words: happy, unknown, sad, or none."""
    return label if label in (*LABELS, NONE) else UNKNOWN


def heard(
    film: str, truth: str, model: str, images: int, told: Sequence[str], labels: Sequence[str],
    times: Sequence[float], latency: Sequence[float],
) -> Heard:  # fmt: skip
    """Return the figures of the emotions of a film.

    :param images: of the film.
    :param told: labels that the model can tell.
    :param labels: of each emotion; ``times`` its image's stamp in seconds, ``latency`` in ms.
    """
    seconds = max(times[-1] - times[0], 1e-3)
    flips = sum(one != other for one, other in pairwise(labels))
    words = [word(label) for label in labels]
    commonest, count = Counter(labels).most_common(1)[0]
    p50, p95 = np.percentile(latency, [50, 95])
    return Heard(
        film,
        truth,
        model,
        images,
        len(labels),
        words.count(word(truth)) / len(words),
        # Our three words do not tell neutral from angry.
        labels.count(truth) / len(labels) if truth in (*told, NONE) else None,
        f'{commonest} {count / len(labels):.2f}',
        flips / seconds,
        (float(p50), float(p95)),
    )


def images_of(film: Path) -> int:
    """Return how many images the camera node reads of a film."""
    return sum(1 for _ in VideoFile(film).frames())


def watch(film: Path, truth: str, model: str, card: Path | None, folder: Path) -> Heard:
    """Run the three nodes on a film to its end.

    :raises SystemExit: no emotion came.
    """
    # Without ROS the tables of an earlier run can still be read.
    from node_graph import NodeGraph

    with NodeGraph(folder) as graph:
        estimator = {'landmark_source': 'face_mesh', 'model': str(card) if card else ''}
        read = graph.start('estimator', estimator)
        graph.start('dialogue_manager', {})
        # The first images of a film would otherwise pass before a model has been opened.
        chosen = {'source': str(film), 'exit_at_end': True, 'wait_for_subscribers': _PATIENCE}
        camera = graph.start('camera', chosen)
        graph.spin(_PATIENCE, lambda: bool(graph.emotions) or camera.status() is not None)
        graph.spin(3600.0, lambda: camera.status() is not None)
        graph.spin(_REST)
        found = graph.emotions
        if len(found) < 2:
            raise SystemExit(f'{film}, {model}: no emotions; the log: {read.log.read_text()}')
        return heard(
            film.name,
            truth,
            model,
            images_of(film),
            found[-1].labels,
            [one.label for one in found],
            [one.header.stamp.sec + 1e-9 * one.header.stamp.nanosec for one in found],
            [1e3 * one.latency for one in found],
        )


def watch_portrait(model: str, card: Path | None, folder: Path) -> tuple[Heard, str]:
    """Run the demo on the portrait; return its figures and how often each expression was right.

    :raises SystemExit: the demo failed.
    """
    chosen = ['--model', str(card)] if card else []
    done = subprocess.run(
        [sys.executable, '-P', '-m', 'emotion_estimator.cli.main', 'demo',
         '--landmarks', 'face_mesh', '--output', str(folder), '--plain', '--no-page', *chosen],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    # A robot that speaks over the person fails the demo, which leaves its results where they were.
    places = [folder / 'summary.json', folder / UNFINISHED / 'summary.json']
    written = [path for path in places if path.is_file()]
    if not written:
        raise SystemExit(f'the demo failed with {model}: {done.stdout[-2000:]}')
    return portrait_figures(model, json.loads(written[0].read_text()))


def portrait_figures(model: str, found: Mapping[str, Any]) -> tuple[Heard, str]:
    """Return the figures of a demo, and in words what each expression was called.

    :param found: content of ``summary.json``.
    """
    each = [
        f'{label} {tally["agreed"]} of {tally["frames"]}'
        for label, tally in found['agreement']['per_label'].items()
    ]
    over = found['spoken_over_the_person']
    words = (
        f'{model}: {", ".join(each)}; {found["frames"]} of {found["frames_published"]} images '
        f'answered; the robot spoke over the person {over} times'
    )
    return Heard(
        PORTRAIT,
        'its script',
        model,
        found['frames_published'],
        found['frames'],
        found['agreement']['settled']['share'],
        None,
        '-',
        None,
        (found['latency_p50_ms'], found['latency_p95_ms']),
    ), words


def titles(card: Path) -> str:
    """Return name, version and checksum of a model of the zoo.

    :raises SystemExit: the card cannot be read.
    """
    try:
        found: Mapping[str, Any] = json.loads(card.read_text())
        return f'`{found["name"]}-{found["version"]}`, sha256 `{found["sha256"]}`'
    except (OSError, ValueError, KeyError) as error:
        raise SystemExit(f'{card} is not the card of a model of "zoo run" ({error})') from error


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return the table as Markdown."""
    lines = [HEADER, ['---'] * len(HEADER), *rows]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def page(
    found: Sequence[Heard],
    lines: Sequence[str],
    cards: Mapping[str, Path],
    how: str,
    notes: Sequence[str] = (),
) -> str:
    """Return the page for the documentation.

    :param lines: what the portrait's expressions were called, a line for each model.
    :param how: the command.
    :param notes: remarks on the films.
    """
    shipped = ' and '.join(
        f'`{ModelCard.load(models_dir() / f"{name}.json", name).title}`' for name in _SHIPPED
    )
    theirs = [f'- {name}: {titles(card)}' for name, card in cards.items()]
    parts = [
        '# A model of the zoo on the robot, beside ours',
        'Do not edit: this page is written by the command.',
        f'    {how}',
        f'{date.today():%Y-%m-%d}. Camera, estimator and dialogue manager as separate processes on '
        "ROS 2, live at the film's own rate, the bundled face mesh; one run each, in turns. "
        f'{OURS.capitalize()}: {shipped}.',
        '\n'.join(theirs),
        markdown([one.cells() for one in found]),
        '"Three words" are happy, unknown (every other expression) and sad. A film\'s label counts '
        'as the truth of all its frames, also before an expression comes, so that no model can '
        'reach 1 on one that begins neutral. Of the portrait, which moves by a script, frames away '
        'from its changes count, and at rest neutral and unknown alone are right.',
        '\n'.join(f'- Portrait, {line}.' for line in lines),
        '\n'.join(f'- **{note}**' for note in notes),
        'These are a handful of films: they show that a model of the zoo drives the robot as ours '
        'does, and what it says there. They do not tell which model is better with people.',
    ]
    return '\n\n'.join(part for part in parts if part) + '\n'


def _film(text: str) -> tuple[Path, str]:
    path, _, label = text.rpartition('=')
    if label not in _TRUTHS or not Path(path).is_file():
        raise argparse.ArgumentTypeError(
            f'{text}: give FILM=LABEL, a file and one of {", ".join(_TRUTHS)}'
        )
    return Path(path), label


def main() -> int:
    """Run everything, print and write the table; return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        'models', type=Path, nargs='+', metavar='CARD', help='of "zoo run" or "zoo export"'
    )
    parser.add_argument(
        '--film', type=_film, action='append', default=[], help='FILM=LABEL, several times'
    )
    parser.add_argument('--no-portrait', action='store_true', help='films alone')
    parser.add_argument('--out', type=Path, default=Path('out/zoo_live'))
    parser.add_argument('--docs', type=Path, help='page to write')
    parser.add_argument(
        '--note', action='append', default=[], help='what the page says of the films, in bold'
    )
    options = parser.parse_args()
    if options.no_portrait and not options.film:
        parser.error('nothing to run: give --film, or leave out --no-portrait')
    cards = {path.stem: path for path in options.models}
    if len(cards) < len(options.models):
        parser.error('two cards have one name; rename one')
    for card in cards.values():
        titles(card)
    chosen: dict[str, Path | None] = {OURS: None, **cards}
    found: list[Heard] = []
    lines: list[str] = []
    options.out.mkdir(parents=True, exist_ok=True)
    written = options.out / 'zoo_live.json'
    runs = [*([] if options.no_portrait else [(None, '')]), *options.film]
    with tqdm(total=len(runs) * len(chosen), desc='zoo live') as bar:
        for film, truth in runs:
            for model, card in chosen.items():
                with tempfile.TemporaryDirectory() as folder:
                    if film is None:
                        one, line = watch_portrait(model, card, Path(folder))
                        lines.append(line)
                    else:
                        one = watch(film, truth, model, card, Path(folder))
                found.append(one)
                # After each, so that one that fails costs no other.
                content = {'portrait': lines, 'runs': [asdict(one) for one in found]}
                written.write_text(json.dumps(content, indent=1) + '\n')
                bar.update()
    print(markdown([one.cells() for one in found]), *lines, written, sep='\n')
    if options.docs is not None:
        how = shlex.join(['python', re.sub(r'.*/(?=benchmarks/)', '', sys.argv[0]), *sys.argv[1:]])
        options.docs.write_text(page(found, lines, cards, how, options.note))
        print(options.docs)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
