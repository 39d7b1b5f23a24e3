"""``emotion-estimator image``: read the faces in still images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from emotion_estimator.cli.main import complain
from emotion_estimator.cli.options import in_words, perception_options
from emotion_estimator.errors import InputError
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.untrusted import printable


@click.command()
@click.argument('files', nargs=-1, required=True, type=click.Path(path_type=Path))
@perception_options
@click.pass_context
def image(
    context: click.Context,
    /,
    files: tuple[Path, ...],
    as_json: bool,
    **perception: Any,
) -> None:
    """Read the expression of each face in images.

    The exit status is 2 if a file could not be read; the other files are read nevertheless.
    """
    estimator = EmotionEstimator.load(EstimatorSettings(**perception), static=True)
    failed = False
    for file in files:
        try:
            faces = estimator.still(file)
        except InputError as error:
            complain(error)
            failed = True
            continue
        # Bytes that are no text would make JSON that other programs refuse.
        name = click.format_filename(file)
        if as_json:
            line = json.dumps({'file': name, 'faces': [face.to_dict() for face in faces]})
        else:
            line = printable(f'{name}: {in_words(faces)}')
        click.echo(line)
    estimator.close()
    context.exit(2 if failed else 0)
