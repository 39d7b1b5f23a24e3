"""``emotion-estimator video``: read the faces in every frame of a video or another source."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from emotion_estimator.cli.options import (
    LEFT_OUT,
    complete_source,
    in_words,
    log_estimator,
    log_source,
    perception_options,
    say_account,
    strict_option,
)
from emotion_estimator.cli.outputs import (
    NOT_WANTED,
    FaceOutputs,
    film_or_folder,
    output_options,
)
from emotion_estimator.cli.verbosity import progress
from emotion_estimator.errors import InputError
from emotion_estimator.frame import FrameResult
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.sources.base import Source
from emotion_estimator.sources.open_source import open_source
from emotion_estimator.untrusted import printable

_INTERRUPTED = 'not read: interrupted'


@click.command()
@click.argument('source', shell_complete=complete_source)
@perception_options
@output_options
@strict_option
@click.pass_context
def video(
    context: click.Context,
    /,
    source: str,
    as_json: bool,
    annotate: Path | None,
    table: Path | None,
    show: bool,
    strict: bool,
    **perception: Any,
) -> None:
    """Read the expression of each face in every frame of SOURCE.

    SOURCE is a video file, an image, a folder of images, a device number or `portrait`. Stamps are
    the source's own: seconds from its begin, or since the epoch for a camera. At the end, standard
    error says how many frames were read, and what was left out and why.
    """
    settings = EstimatorSettings(**perception)
    with closing(open_source(source)) as frames:
        log_source(frames)
        drawings = film_or_folder(annotate, frames.fps)
        with (
            FaceOutputs(drawings, table=table, show=show, title=frames.name) as outputs,
            EmotionEstimator.load(settings) as estimator,
            progress(total=frames.account.declared, unit=' frames', beside_results=True) as bar,
        ):
            log_estimator(estimator, settings)
            outputs.begin('stamp', estimator.labels)
            try:
                for frame in frames.frames():
                    faces = estimator(frame)
                    if as_json:
                        line = FrameResult(frame.stamp, faces).as_json()
                    else:
                        line = printable(f'{frame.stamp:9.3f} s  {in_words(faces)}')
                    click.echo(line)
                    bar.update()
                    outputs.add(frame.stamp, frame.image, faces)
                    if outputs.closed:
                        break
                if outputs.closed:
                    # Behind the loop, whose end counts what was damaged.
                    _leave_rest_out(frames, NOT_WANTED)
            except (KeyboardInterrupt, InputError) as error:
                if isinstance(error, KeyboardInterrupt):
                    _leave_rest_out(frames, _INTERRUPTED)
                if frames.account.read:
                    say_account(frames.name, frames.account, as_json)
                if frames.live:
                    # The usual end of a camera, at any time.
                    outputs.finish()
                raise
    say_account(frames.name, frames.account, as_json)
    context.exit(LEFT_OUT if strict and not frames.account.complete else 0)


def _leave_rest_out(frames: Source, reason: str) -> None:
    """Count what was not read of a source that was left before its end."""
    account = frames.account
    if frames.live:
        # It has no end.
        return
    if account.declared is None:
        account.leave_out(f'or more, {reason}')
    else:
        rest = account.declared - account.read - account.reasons.total()
        account.leave_out(reason, max(rest, 0))
