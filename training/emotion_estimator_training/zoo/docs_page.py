"""The page of a run for the documentation (``zoo run --docs docs/zoo_results.md``)."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

from emotion_estimator.errors import InputError, first_line
from emotion_estimator.model_card import ModelCard, models_dir
from emotion_estimator_training.zoo.report import (
    CURVES,
    CURVES_TEXT,
    PICTURE,
    TABLE,
    claims_table,
    kinds_table,
    markdown,
    results_table,
)

#: Shipped networks that models of the zoo read or are.
_SHIPPED = ('emotion_lstm', 'appearance')
#: Where the page's pictures are, beside the page.
_PICTURE = Path('images') / 'zoo.png'
_CURVES = Path('images') / 'zoo_curves.png'


def write_docs(folder: Path, page: Path, command: str) -> None:
    """Write a finished run's figures as a page, and its pictures into ``images`` beside it.

    :param folder: of the run.
    :param page: path of the Markdown file.
    :param command: that made the run, as the page quotes it.
    :raises InputError: the folder holds no finished run, or the page cannot be written.
    """
    try:
        found: dict[str, Any] = json.loads((folder / TABLE).read_text())
        text = docs_page(found, command, (folder / CURVES).is_file())
        (page.parent / _PICTURE).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / PICTURE, page.parent / _PICTURE)
        if (folder / CURVES).is_file():
            shutil.copyfile(folder / CURVES, page.parent / _CURVES)
        page.write_text(text)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f'{page} cannot be written from {folder} ({first_line(error)}); run "zoo run" again'
        ) from error


def docs_page(found: dict[str, Any], command: str, curves: bool = False) -> str:
    """Return the page in Markdown.

    :param found: content of ``zoo.json``.
    :param curves: whether the run has learning curves.
    """
    measured = [one for one in found['models'] if 'accuracy' in one]
    versions = ' and '.join(
        f'`{ModelCard.load(models_dir() / f"{name}.json", name).title}`' for name in _SHIPPED
    )
    clips = ', '.join(
        f'{count} clips of {found["subjects"][part]} subjects ({part})'
        for part, count in found['clips'].items()
    )
    seeds = max((len(one['by_seed']['accuracy']) for one in measured), default=1)
    parts = [
        '# The zoo on the made set',
        'Do not edit: this page is written by the command.',
        f'    {command}',
        f'{date.today():%Y-%m-%d}, with {versions}; '
        f'{found["size"]} models, {seeds} seed{"s" if seeds > 1 else ""} each. Clips: {clips}, '
        f'{found["rate"]:.3g} frames per second, asked at every {found["hop"]} frame(s). In '
        'brackets: 95 % intervals of a bootstrap over the test subjects. What the columns mean, '
        'and what such clips cannot tell: [zoo.md](zoo.md).',
        *(f'- **{note}**' for note in found['notes']),
        '## All models',
        markdown(*results_table(measured, found['baselines'])),
        f'![Accuracy, macro-F1, label changes, parameters, size, milliseconds]({_PICTURE})',
    ]
    kinds = kinds_table(measured)
    if kinds is not None:
        parts += ['## Share of right clips by kind', markdown(*kinds)]
    claims = claims_table(found['claims'])
    if claims is not None:
        parts += ["## The papers' claims on these clips", markdown(*claims)]
    failed = [f'- {one["model"]}: {one["failed"]}' for one in found['models'] if 'failed' in one]
    if failed:
        parts += ['## Not measured', '\n'.join(failed)]
    if curves:
        parts += ['## Learning curves', f'![{CURVES_TEXT}]({_CURVES})']
    if found['problems']:
        parts += ['## Clips left out', '\n'.join(f'- {one}' for one in found['problems'])]
    return '\n\n'.join(parts) + '\n'
