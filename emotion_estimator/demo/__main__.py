"""``python -m emotion_estimator.demo``: three nodes on a face, watched, filmed and summed up."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from emotion_estimator.demo.film import Filming, Recorder
from emotion_estimator.demo.processes import ProcessSet
from emotion_estimator.demo.programs import (
    DemoSettings,
    choose_domain,
    find_prefix,
    ros_environment,
)
from emotion_estimator.demo.run import (
    Interrupted,
    Robot,
    StopRequest,
    run_course,
    stop_requests,
)
from emotion_estimator.demo.state import DemoHistory, DemoState
from emotion_estimator.demo.summary import draw_timeline, summarize
from emotion_estimator.demo.view import LiveView, PlainView
from emotion_estimator.errors import EmotionEstimatorError, InputError
from emotion_estimator.resources import resource_dir

#: What a run leaves in the output folder, beside the logs.
_FILM, _PICTURE, _NUMBERS = 'demo.mp4', 'demo.png', 'summary.json'


def parse(arguments: Sequence[str] | None) -> DemoSettings:
    """Read the command line; a wrong one ends the process with status 2."""
    parser = argparse.ArgumentParser(prog='python -m emotion_estimator.demo', description=__doc__)
    default = DemoSettings()
    parser.add_argument(
        '--source',
        default=default.source,
        help='portrait, a device number, a video, an image or a folder of images',
    )
    parser.add_argument(
        '--landmarks', choices=('auto', 'face_landmarker', 'face_mesh'), default=default.landmarks
    )
    parser.add_argument(
        '--model',
        default=default.model,
        help='JSON card of a model that stands for the shipped networks (docs/zoo.md)',
    )
    parser.add_argument(
        '--output', type=Path, default=default.output, help='folder for film, picture and logs'
    )
    parser.add_argument('--fps', type=float, default=default.fps, help='frames per second')
    parser.add_argument('--duration', type=float, help='end after so many seconds')
    parser.add_argument('--domain', type=int, help='ROS_DOMAIN_ID')
    parser.add_argument(
        '--patience',
        type=float,
        default=default.patience,
        help='give up after so many seconds without a message on /emotion',
    )
    parser.add_argument('--plain', action='store_true', help='lines instead of the live screen')
    settings = DemoSettings(**vars(parser.parse_args(arguments)))
    problem = settings.problem()
    if problem:
        parser.error(problem)
    return settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit status.

    0 after the source's end, 1 when a node failed, 2 for bad usage, 128 plus its number after a
    signal.
    """
    settings = parse(arguments)
    with stop_requests() as stop:
        try:
            _run(settings, Console(), stop)
        except Interrupted as interrupted:
            print(f'stopped by {interrupted}', file=sys.stderr)
            return 128 + interrupted.number
        except EmotionEstimatorError as error:
            print(error, file=sys.stderr)
            return 2 if isinstance(error, InputError) else 1
    return 0


def _run(settings: DemoSettings, console: Console, stop: StopRequest) -> None:
    prefix = find_prefix(os.environ)
    config = resource_dir('config')
    domain = choose_domain(os.environ, settings.domain)
    environment = ros_environment(os.environ, domain, config / 'fastdds.xml')
    # ROS reads these when it starts in this process.
    os.environ.update(environment)
    try:
        from emotion_estimator.demo.listener import Listening
    except ImportError as error:
        raise InputError(
            f'ROS messages cannot be imported ({error}): run `make demo`, or source '
            'install/local_setup.bash and set PYTHONSAFEPATH=1, or the checkout hides them'
        ) from error
    console.print(_announcement(settings, domain), markup=False, highlight=False, soft_wrap=True)
    clear_results(settings.output)
    state = DemoState()
    recorder = Recorder(settings.output / _FILM, settings.fps)
    filming = Filming(state, recorder)
    live = console.is_terminal and not settings.plain
    view = LiveView(console, f'ROS_DOMAIN_ID={domain}') if live else PlainView(console)
    try:
        with Listening(state) as listener, ProcessSet() as processes:
            robot = Robot(processes, settings, environment, prefix, config)
            run_course(robot, state, listener.ready, view, settings, stop)
    finally:
        written = [f'{recorder.path}'] if filming.finish() else []
        written += _write_results(state.course(), settings.output)
        lines = _results(state.course(), recorder, written)
        if lines:
            console.print('\n'.join(lines), markup=False, highlight=False, soft_wrap=True)


def _announcement(settings: DemoSettings, domain: int) -> str:
    return (
        f'starting camera ({settings.source}), estimator and dialogue manager on '
        f'ROS_DOMAIN_ID={domain}\n'
        f'watch from another terminal: ROS_DOMAIN_ID={domain} ros2 topic echo /emotion '
        f'(or make echo DOMAIN={domain})\n'
        f'the annotated video, a picture and the logs go to {settings.output.resolve()}; '
        'no image goes anywhere else'
    )


def clear_results(output: Path) -> None:
    """Remove the results of a run before: they would pass for this one's.

    :raises InputError: one of them cannot be removed.
    """
    for name in (_FILM, _PICTURE, _NUMBERS):
        try:
            (output / name).unlink(missing_ok=True)
        except OSError as error:
            raise InputError(
                f'{output / name} cannot be replaced ({error.strerror}); choose another --output'
            ) from error


def _write_results(course: DemoHistory, output: Path) -> list[str]:
    if not course.readings:
        return []
    picture, numbers = output / _PICTURE, output / _NUMBERS
    try:
        draw_timeline(course, picture)
        numbers.write_text(json.dumps(summarize(course).as_dict(), indent=2) + '\n')
    except OSError as error:
        raise EmotionEstimatorError(f'{output} cannot be written: {error}') from error
    return [str(picture), str(numbers)]


def _results(course: DemoHistory, recorder: Recorder, written: Sequence[str]) -> list[str]:
    if not course.readings:
        return []
    lines = ['', *summarize(course).lines(), f'written    {", ".join(written)}']
    if recorder.codec:
        lines.append(f'video      {recorder.frames} frames, {recorder.codec}')
    if course.unfilmed:
        lines[-1] += f'; {course.unfilmed} left out, encoding could not keep up'
    return lines


if __name__ == '__main__':
    sys.exit(main())
