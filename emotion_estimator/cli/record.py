"""``emotion-estimator record SOURCE --bag DIR``: a bag to replay, from whatever has frames."""

from __future__ import annotations

import re
from pathlib import Path

import click
from tqdm import tqdm

from emotion_estimator.bags.files import need_rosbags
from emotion_estimator.errors import InputError
from emotion_estimator.settings import CameraSettings
from emotion_estimator.sources.open_source import open_source

#: As the shell has it for a program that Ctrl-C ended.
_INTERRUPTED = 130

#: Seconds that a single image is recorded where nobody says.
_STILL = 5.0


#: A topic's name without a node that `~` would stand for, as rcl's validate_topic_name has it.
_TOPIC = re.compile(r'/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*', re.ASCII)


def _topic(context: click.Context, option: click.Parameter, name: str) -> str:
    """Return a topic's name, or refuse what is none."""
    if not _TOPIC.fullmatch(name):
        raise click.BadParameter(
            f'{name!r} is no topic; letters, digits and _ between single slashes make one, as in '
            '/front/image_raw, none beginning with a digit'
        )
    if name.endswith('/compressed'):
        raise click.BadParameter(
            f'give {name.removesuffix("/compressed")}; JPEGs go to its /compressed by themselves'
        )
    return name


@click.command()
@click.argument('source')
@click.option(
    '--bag',
    'folder',
    required=True,
    type=click.Path(path_type=Path),
    help='The folder made; it must not exist.',
)
@click.option(
    '--storage',
    type=click.Choice(['mcap', 'sqlite3']),
    default='mcap',
    show_default=True,
    help="rosbag2's storage. Of mcap there is something to read even where the machine fails.",
)
@click.option(
    '--topic', default='image_raw', show_default=True, callback=_topic, help='Topic of the images.'
)
@click.option(
    '--jpeg-quality',
    type=click.IntRange(1, 100),
    default=CameraSettings.jpeg_quality,
    show_default=True,
    help='Of the JPEGs, which go to TOPIC/compressed.',
)
@click.option('--raw', is_flag=True, help='Write pixels instead of JPEGs.')
@click.option(
    '--duration', type=click.FloatRange(min=0.0, min_open=True), help='Seconds recorded at most.'
)
@click.option(
    '--fps',
    type=click.FloatRange(min=0.0, min_open=True),
    help='Frames per second; of a faster video, some are left out.',
)
@click.option(
    '--compression',
    type=click.Choice(['none', 'zstd']),
    default='none',
    show_default=True,
    help='Of the bag, beside the JPEGs.',
)
@click.pass_context
def record(
    context: click.Context,
    source: str,
    folder: Path,
    storage: str,
    topic: str,
    jpeg_quality: int,
    raw: bool,
    duration: float | None,
    fps: float | None,
    compression: str,
) -> None:
    """Record SOURCE into a rosbag2, without ROS.

    SOURCE is a video file, an image, a folder of images, a device number or `portrait`, whose truth
    goes to `/ground_truth`. A camera's images keep the time at which they were taken; others begin
    at 1 s, so that recording them again gives the same bag. Ctrl-C ends it; the bag is whole.
    """
    need_rosbags()
    from emotion_estimator.bags.recorder import record, until_interrupted
    from emotion_estimator.bags.writer import BagWriter

    with until_interrupted() as stop, BagWriter(folder, storage, compression) as writer:
        frames = open_source(source, fps=fps, duration=duration or _STILL)
        expected = round(duration * frames.fps) if duration else None
        try:
            with tqdm(total=expected, unit=' images', disable=None, leave=False) as progress:
                recorded = record(
                    frames,
                    writer,
                    topic=topic,
                    quality=None if raw else jpeg_quality,
                    frame_id=CameraSettings.frame_id,
                    duration=duration,
                    fps=fps,
                    written=progress.update,
                    stop=stop,
                )
        except InputError as error:
            kept = f'; what came before is in {folder}' if folder.exists() else ''
            raise InputError(f'{error}{kept}') from error
        finally:
            frames.close()
        interrupted = stop() and not frames.live
    if not recorded.images:
        raise InputError(f'{source}: nothing was recorded; no bag was made')
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    skipped = f', {recorded.skipped} that do not decode left out' if recorded.skipped else ''
    click.echo(
        f'{source}: {recorded.images} images in {recorded.seconds:.1f} s{skipped}; '
        f'{folder} ({storage}, {size:.1f} MB)'
    )
    context.exit(_INTERRUPTED if interrupted else 0)
