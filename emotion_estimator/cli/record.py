"""``emotion-estimator record SOURCE --bag DIR``: record any source of frames into a bag."""

from __future__ import annotations

import re
from pathlib import Path

import click

from emotion_estimator.bags.files import need_rosbags
from emotion_estimator.cli.options import (
    LEFT_OUT,
    complete_source,
    log_source,
    say_account,
    strict_option,
)
from emotion_estimator.cli.verbosity import progress
from emotion_estimator.errors import InputError
from emotion_estimator.settings import CameraSettings
from emotion_estimator.sources.open_source import open_source
from emotion_estimator.untrusted import printable

#: Exit status after Ctrl-C, as in a shell.
_INTERRUPTED = 130
#: Default duration of a recorded still image, in seconds.
_STILL = 5.0
#: A topic name without `~`, as rcl's validate_topic_name accepts it.
_TOPIC = re.compile(r'/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*', re.ASCII)


def _topic(context: click.Context, option: click.Parameter, name: str) -> str:
    """Check a topic name."""
    if not _TOPIC.fullmatch(name):
        raise click.BadParameter(
            f'{name!r} is not a topic name; use letters, digits and _ between single slashes, as '
            'in /front/image_raw, with no part beginning with a digit'
        )
    if name.endswith('/compressed'):
        raise click.BadParameter(
            f'give {name.removesuffix("/compressed")}; /compressed is appended for JPEG images'
        )
    return name


@click.command()
@click.argument('source', shell_complete=complete_source)
@click.option(
    '--bag',
    'folder',
    required=True,
    type=click.Path(path_type=Path),
    help='Folder to create; it must not exist.',
)
@click.option(
    '--storage',
    type=click.Choice(['mcap', 'sqlite3']),
    default='mcap',
    show_default=True,
    help="rosbag2's storage format. An mcap file stays readable after a crash.",
)
@click.option(
    '--topic', default='image_raw', show_default=True, callback=_topic, help='Image topic.'
)
@click.option(
    '--jpeg-quality',
    type=click.IntRange(1, 100),
    default=CameraSettings.jpeg_quality,
    show_default=True,
    help='Quality of the JPEG images, which go to TOPIC/compressed.',
)
@click.option('--raw', is_flag=True, help='Record raw pixels instead of JPEG images.')
@click.option(
    '--duration',
    type=click.FloatRange(min=0.0, min_open=True),
    help='Stop after this many seconds.',
)
@click.option(
    '--fps',
    type=click.FloatRange(min=0.0, min_open=True),
    help='Frames per second; surplus frames of a faster source are skipped.',
)
@click.option(
    '--compression',
    type=click.Choice(['none', 'zstd']),
    default='none',
    show_default=True,
    help='Compress the bag file (images are already JPEG).',
)
@strict_option
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
    strict: bool,
) -> None:
    """Record SOURCE into a rosbag2, without ROS.

    SOURCE is a video file, an image, a folder of images, a device number or `portrait`, whose
    ground truth is recorded on `/ground_truth`. A camera's images keep the time at which they were
    taken; other sources begin at 1 s, so that recording them twice gives the same bag. Ctrl-C stops
    the recording and completes the bag. It ends with a line on standard error: how many frames the
    source declares, how many it gave, and what was left out and why.
    """
    need_rosbags()
    from emotion_estimator.bags.recorder import readable_images, record, until_interrupted
    from emotion_estimator.bags.writer import BagWriteError, BagWriter

    try:
        with until_interrupted() as stop, BagWriter(folder, storage, compression) as writer:
            frames = open_source(source, fps=fps, duration=duration or _STILL)
            log_source(frames)
            expected = round(duration * frames.fps) if duration else None
            try:
                with progress(total=expected, unit=' images') as bar:
                    recorded = record(
                        frames,
                        writer,
                        topic=topic,
                        quality=None if raw else jpeg_quality,
                        frame_id=CameraSettings.frame_id,
                        duration=duration,
                        fps=fps,
                        written=bar.update,
                        stop=stop,
                    )
            except BagWriteError:
                raise
            except InputError as error:
                kept = f'; earlier frames are in {folder}' if folder.exists() else ''
                raise InputError(f'{error}{kept}') from error
            finally:
                frames.close()
            interrupted = stop() and not frames.live
    except BagWriteError as error:
        raise InputError(f'{error}; {readable_images(folder)}') from error
    if not recorded.images:
        raise InputError(f'{source} gave no frame, so no bag was written')
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    skipped = f', {recorded.skipped} undecodable ones skipped' if recorded.skipped else ''
    line = (
        f'{source}: {recorded.images} images in {recorded.seconds:.1f} s{skipped}; '
        f'{folder} ({storage}, {size:.1f} MB)'
    )
    click.echo(printable(line))
    say_account(source, recorded.account)
    if interrupted:
        context.exit(_INTERRUPTED)
    context.exit(0 if recorded.account.complete or not strict else LEFT_OUT)
