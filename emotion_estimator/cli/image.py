"""``emotion-estimator image FILE...``: the faces in still images."""

from __future__ import annotations

import json
from pathlib import Path

import click

from emotion_estimator.cli.options import in_words, perception_options
from emotion_estimator.errors import InputError
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.sources.images import read_image


@click.command()
@click.argument('files', nargs=-1, required=True, type=click.Path(path_type=Path))
@perception_options
@click.pass_context
def image(
    context: click.Context,
    files: tuple[Path, ...],
    landmarks: str,
    model_path: str,
    max_faces: int,
    as_json: bool,
) -> None:
    """Say what the faces in images express."""
    settings = EstimatorSettings(
        landmark_source=landmarks, face_landmarker_path=model_path, max_faces=max_faces
    )
    estimator = EmotionEstimator.load(settings, static=True)
    failed = False
    for file in files:
        try:
            faces = estimator.still(read_image(file))
        except InputError as error:
            # The other files are still worth reading.
            click.echo(f'emotion-estimator: {error}', err=True)
            failed = True
            continue
        if as_json:
            line = json.dumps({'file': str(file), 'faces': [face.as_dict() for face in faces]})
        else:
            line = f'{file}: {in_words(faces)}'
        click.echo(line)
    estimator.close()
    context.exit(2 if failed else 0)
