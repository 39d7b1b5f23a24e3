"""The page of a report for the documentation (``training evaluate --docs PAGE``)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emotion_estimator.blendshapes import BLENDSHAPE_NAMES
from emotion_estimator.errors import InputError, first_line
from emotion_estimator.model_card import ModelCard
from emotion_estimator_training.data.cleaning import undetected_table
from emotion_estimator_training.evaluation.compared_models import STREAMING
from emotion_estimator_training.features.relevant import AUTHORS, PAPER_COUNT, PAPER_IRRELEVANT
from emotion_estimator_training.report.papers import comparison_markdown
from emotion_estimator_training.report.tables import TIME_HEADER, time_rows
from emotion_estimator_training.tables import markdown_table

#: Shipped networks whose versions the page gives.
_SHIPPED = ('emotion_lstm', 'appearance')
#: Frames per second of the rows over time that the page has; the report has more.
_RATE = '30 fps'
#: Splits of the still faces, in order, and their headings.
_SPLITS = {
    'private_test': 'PrivateTest',
    'private_test_without_duplicates': 'PrivateTest, without the images that Training has too',
    'public_test': 'PublicTest',
}
_STEADINESS = 'flips-against-delay.png'


def write_results(out: Path, run: Path, models: Path, page: Path) -> None:
    """Write a report's tables of the papers' networks as a page, with pictures in ``images``.

    :param out: folder of the report: ``report.json`` and ``figures``.
    :param run: folder of the training run: ``tables`` of ``clean``, ``figures`` of ``fit``.
    :param models: folder of the shipped models.
    :param page: path of the Markdown file.
    :raises InputError: a file is missing or damaged, or the page cannot be written.
    """
    try:
        report: dict[str, Any] = json.loads((out / 'report.json').read_text())
        pictures = dict(_pictures(report, out, run))
        images = page.parent / 'images'
        images.mkdir(parents=True, exist_ok=True)
        for name, source in pictures.items():
            shutil.copyfile(source, images / name)
        versions = [ModelCard.load(models / f'{name}.json', name).title for name in _SHIPPED]
        page.write_text(
            results_page(report, undetected_tables(run), _relevant(run), tuple(pictures), versions)
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f'{page} cannot be written from {out}: {first_line(error)}') from error


def undetected_tables(run: Path) -> dict[float, dict[str, Any]]:
    """Return what ``clean`` wrote into a run folder, by how much stills were enlarged."""
    found = [json.loads(path.read_text()) for path in (run / 'tables').glob('undetected*.json')]
    return {one['enlarge']: one for one in sorted(found, key=lambda one: float(one['enlarge']))}


def _relevant(run: Path) -> dict[str, Any]:
    """Return what ``relevant`` wrote into a run folder, by source; empty if it has not run."""
    path = run / 'tables' / 'relevant.json'
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def results_page(
    report: Mapping[str, Any],
    undetected: Mapping[float, Mapping[str, Any]],
    relevant: Mapping[str, Mapping[str, Any]],
    pictures: tuple[str, ...],
    versions: list[str],
) -> str:
    """Return the page in Markdown.

    :param report: content of ``report.json``.
    :param undetected: of :func:`undetected_tables`.
    :param relevant: what ``relevant`` wrote, by landmark source.
    :param pictures: file names in ``images``.
    :param versions: of the shipped networks.
    """
    shipped = ' and '.join(f'`{one}`' for one in versions)
    parts = [
        "# The papers' networks and ours, on FER2013",
        'Do not edit: this page is written by the command.',
        f'    {report["command"]}',
        f'{report["made"][:10]}, with {shipped} (`streaming`), on {report["data"]["images"]:,} '
        f'images. How each network was trained: [training.md](training.md).',
        *(f'- **{note}**' for note in report['notes']),
    ]
    if undetected:
        parts.append('## Images of Training without a face (Attrah 2025, Table 3)')
    for scale, one in undetected.items():
        how = 'As they are, 48 pixels' if scale == 1 else f'Enlarged {scale:g} times'
        parts += [f'{how}:', markdown_table(*undetected_table(one['sources']))]
    if relevant:
        rows = [
            [
                source,
                f'{one["images"]:,}',
                len(one['relevant']),
                len({*one['indices']} & {*AUTHORS}),
                len({*one['indices']} & {*PAPER_IRRELEVANT}),
            ]
            for source, one in relevant.items()
        ]
        first = next(iter(relevant.values()))
        parts += [
            '## Relevant blendshapes (Attrah 2025, 4.1)',
            f'Above {first["threshold"]:g} in more than {first["least"]} images of Training; the '
            f"paper has {PAPER_COUNT}, which its author's code lists (`attrah-27`). His report "
            f'calls {", ".join(BLENDSHAPE_NAMES[index] for index in PAPER_IRRELEVANT)} irrelevant.',
            markdown_table(
                ['landmark source', 'images', 'relevant', "of the author's", 'of those irrelevant'],
                rows,
            ),
        ]
    parts.append('## Still faces')
    for split, heading in _SPLITS.items():
        if split in report.get('comparison', {}):
            parts += [f'{heading}:', comparison_markdown(report, split)]
    constructed = report['stability']['constructed']
    if constructed:
        parts += [
            '## Over time',
            'Faces held for 5 s, and changes from neutral that every model can follow, '
            f'{_RATE}; "never": changes whose new label does not come within 2 s.',
        ]
    for source, compared in constructed.items():
        steady = [row for row in time_rows(compared) if row[0] == _RATE]
        parts += [f'{source}:', markdown_table(TIME_HEADER, steady)]
    if _STEADINESS in pictures:
        parts.append(f'![Flips against delay](images/{_STEADINESS})')
    curves = [name for name in pictures if name != _STEADINESS]
    if curves:
        parts.append('## Learning curves')
    parts += [f'![{Path(name).stem.replace("-", " ")}](images/{name})' for name in curves]
    for title, table in report['card_tables'].items():
        parts += [f'## {title}', markdown_table(table['header'], table['rows'])]
    return '\n\n'.join(parts) + '\n'


def _pictures(report: Mapping[str, Any], out: Path, run: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and path of each picture that the page shows."""
    if report['stability']['constructed']:
        yield _STEADINESS, out / 'figures' / _STEADINESS
    for model in report['stills']:
        # The shipped network may come from another run.
        if model.startswith(STREAMING):
            continue
        curve = run / 'figures' / f'{model}-history.png'
        if curve.is_file():
            yield f'training-{model}.png', curve
