"""``emotion-estimator image``: read the faces in still images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from emotion_estimator.account import Account
from emotion_estimator.cli.main import BAD_INPUT, complain
from emotion_estimator.cli.options import (
    LEFT_OUT,
    in_words,
    log_estimator,
    perception_options,
    say_account,
    strict_option,
)
from emotion_estimator.cli.outputs import NOT_WANTED, FaceOutputs, output_options, pictures
from emotion_estimator.cli.verbosity import progress
from emotion_estimator.errors import InputError
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.sources.images import read_image
from emotion_estimator.untrusted import printable, quote


@click.command()
@click.argument('files', nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    '--small',
    is_flag=True,
    help='Also find upright faces from 20 pixels on in large images, which takes seconds each.',
)
@perception_options
@output_options
@strict_option
@click.pass_context
def image(
    context: click.Context,
    /,
    files: tuple[Path, ...],
    small: bool,
    as_json: bool,
    annotate: Path | None,
    table: Path | None,
    show: bool,
    strict: bool,
    **perception: Any,
) -> None:
    """Read the expression of each face in images.

    The exit status is 2 if a file could not be read; the other files are read nevertheless. At the
    end, standard error says how many were read, and what was left out and why.
    """
    settings = EstimatorSettings(**perception)
    drawings = pictures(annotate, files)
    account = Account('images', len(files))
    with (
        FaceOutputs(drawings, table=table, show=show, title='image', wait=True) as outputs,
        EmotionEstimator.load(settings, static=True) as estimator,
        progress(total=len(files), unit=' images', beside_results=True) as bar,
    ):
        log_estimator(estimator, settings)
        outputs.begin('file', estimator.labels)
        for n, file in enumerate(files):
            if outputs.closed:
                account.leave_out(NOT_WANTED, len(files) - n)
                break
            bar.update()
            try:
                pixels = read_image(file, settings.max_image_pixels)
                faces = estimator.still(pixels, small=small)
            except InputError as error:
                complain(error)
                account.leave_out(_reason(error, file))
                continue
            account.read += 1
            # Bytes that are no text would make JSON that other programs refuse.
            name = click.format_filename(file)
            if as_json:
                line = json.dumps({'file': name, 'faces': [face.to_dict() for face in faces]})
            else:
                line = printable(f'{name}: {in_words(faces)}')
            click.echo(line)
            if estimator.faces_left_out:
                complain(
                    f'{quote(name)}: {estimator.faces_left_out} smaller faces are left out; raise '
                    '--max-faces'
                )
            outputs.add(file, pixels, faces)
    # Of what could not be read at all, everything is said.
    if account.read:
        name = click.format_filename(files[0]) if len(files) == 1 else 'all files'
        say_account(name, account, as_json)
    failed = account.left_out.total() - account.reasons[NOT_WANTED]
    context.exit(BAD_INPUT if failed else LEFT_OUT if strict and not account.complete else 0)


def _reason(error: InputError, file: Path) -> str:
    """Return what is wrong with a file, without its name and the advice."""
    return str(error).removeprefix(f'image {quote(file)} ').partition(';')[0]
