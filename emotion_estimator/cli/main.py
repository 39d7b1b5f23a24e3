"""``emotion-estimator <verb>``: what the package does without ROS."""

from __future__ import annotations

import sys

import click

from emotion_estimator.cli.compare import compare_verb
from emotion_estimator.cli.doctor import doctor
from emotion_estimator.cli.evaluate import evaluate
from emotion_estimator.cli.image import image
from emotion_estimator.cli.models import models
from emotion_estimator.cli.record import record
from emotion_estimator.cli.replay import replay
from emotion_estimator.cli.training import training
from emotion_estimator.cli.video import video
from emotion_estimator.errors import EmotionEstimatorError
from emotion_estimator.version import __version__

BAD_INPUT = 2


@click.group(context_settings={'help_option_names': ['-h', '--help']})
@click.version_option(__version__, prog_name='emotion-estimator')
def group() -> None:
    """Read facial expressions: happy, sad, unknown, or nobody there."""


for verb in (compare_verb, doctor, evaluate, image, models, record, replay, training, video):
    group.add_command(verb)


def main() -> int:
    """Run the command line; return 0 when it worked, 2 for bad usage or input, 130 for Ctrl-C."""
    try:
        status = group.main(args=sys.argv[1:] or ['--help'], standalone_mode=False)
    except EmotionEstimatorError as error:
        click.echo(f'emotion-estimator: {error}', err=True)
        return BAD_INPUT
    except click.ClickException as error:
        click.echo(f'emotion-estimator: {error.format_message().rstrip(".")}; see --help', err=True)
        return BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        goes_on = '; the same command continues' if sys.argv[1:2] == ['training'] else ''
        click.echo(f'emotion-estimator: interrupted{goes_on}', err=True)
        return 130
    except BrokenPipeError:
        # `emotion-estimator video ... | head`: the reader has enough.
        sys.stderr.close()
        return 0
    return status if isinstance(status, int) else 0


if __name__ == '__main__':
    sys.exit(main())
