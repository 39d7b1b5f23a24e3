"""``emotion-estimator live``: a page in the browser that shows what is read of a face."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import click

from emotion_estimator.cli.options import complete_source, setting_options
from emotion_estimator.settings import EstimatorSettings
from emotion_estimator.untrusted import printable


@click.command()
@click.argument('source', default='portrait', shell_complete=complete_source)
@setting_options
@click.option(
    '--policy',
    type=click.Path(path_type=Path, dir_okay=False),
    help='YAML file of rules. Default: the shipped one.',
)
@click.option(
    '--conversation',
    type=click.Path(path_type=Path, dir_okay=False),
    help='YAML file of topics and words. Default: the shipped one.',
)
@click.option(
    '--recordings',
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help='Folder for the bags that the page records. Default: the working directory.',
)
@click.option(
    '--bag',
    type=click.Path(path_type=Path),
    help='Record from the start, page or none, into this folder, which must not exist.',
)
@click.option(
    '--port', type=click.IntRange(1, 65535), help='Default: 8080, or the next one that is free.'
)
@click.option('--no-browser', is_flag=True, help='Only print the address.')
def live(
    source: str,
    policy: Path | None,
    conversation: Path | None,
    recordings: Path,
    bag: Path | None,
    port: int | None,
    no_browser: bool,
    **perception: Any,
) -> None:
    """Show SOURCE and what is read of it on a page in the browser.

    SOURCE is a video file, an image, a folder of images, a device number, an address or `portrait`.
    The page is served to this machine alone, and nothing is read while it is closed and nothing
    recorded. Ctrl-C ends it. A recording is a rosbag2 of the images, what was read of them and the
    conversation; it opens in Foxglove and with `emotion-estimator replay`.
    """
    from emotion_estimator.live.server import serving, show_address
    from emotion_estimator.live.session import LiveSession

    session = LiveSession(
        source,
        EstimatorSettings(**perception),
        policy=policy,
        conversation=conversation,
        recordings=recordings,
    )
    with session, serving(session, port) as address:
        # Before the address, so that a folder that exists ends it here.
        recorded = session.record(True, bag) if bag is not None else ''
        click.echo(f'{address}\nonly this machine can open it; Ctrl-C ends')
        if recorded:
            click.echo(printable(f'recording into {recorded}'))
        if not no_browser:
            show_address(address)
        _wait()


def _wait() -> None:
    """Return after Ctrl-C; SIGTERM raises, as for every verb."""
    done = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: done.set())
    try:
        while not done.wait(0.5):
            pass
    finally:
        signal.signal(signal.SIGINT, before)
