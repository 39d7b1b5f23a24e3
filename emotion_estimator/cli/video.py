"""``emotion-estimator video``: read the faces in every frame of a video or another source."""

from __future__ import annotations

from typing import Any

import click

from emotion_estimator.cli.options import in_words, perception_options
from emotion_estimator.frame import FrameResult
from emotion_estimator.perception.pipeline import EmotionEstimator
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.sources.open_source import open_source
from emotion_estimator.untrusted import printable


@click.command()
@click.argument('source')
@perception_options
def video(source: str, as_json: bool, **perception: Any) -> None:
    """Read the expression of each face in every frame of SOURCE.

    SOURCE is a video file, an image, a folder of images, a device number or `portrait`.
    """
    frames = open_source(source)
    estimator = EmotionEstimator.load(EstimatorSettings(**perception))
    try:
        for frame in frames.frames():
            faces = estimator(frame)
            if as_json:
                line = FrameResult(frame.stamp, faces).as_json()
            else:
                line = printable(f'{frame.stamp:9.3f} s  {in_words(faces)}')
            click.echo(line)
    finally:
        frames.close()
        estimator.close()
