"""``python -m emotion_estimator.training``: trains and measures the shipped models."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from emotion_estimator.errors import EmotionEstimatorError

# Before TensorFlow: its Keras 2 converts LSTMs and freezes variables, and its log is chatter.
os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m emotion_estimator.training', description=(
        'Train and measure the blendshape head and the streaming LSTM. An interrupted run '
        'continues where it was.'
    ))
    verbs = parser.add_subparsers(dest='verb', required=True)
    head = verbs.add_parser('blendshapes', help='distil the blendshape head')
    head.add_argument('--passes', type=int, default=1, help='varied passes over the stills')
    head.add_argument('--epochs', type=int, default=30)
    emotion = verbs.add_parser('emotion', help='train the streaming LSTM')
    emotion.add_argument('--steps', type=int, default=4000, help='training batches')
    verbs.add_parser('evaluate', help='measure the models in --models and print tables')
    for verb in verbs.choices.values():
        verb.add_argument('--data', type=Path, required=True,
                          help='fer2013.csv, fer2013.npz, or a folder <split>/<emotion>/*.png')
        verb.add_argument('--teacher', type=Path, required=True, help='face_landmarker.task')
        verb.add_argument('--cache', type=Path, default=Path('data/cache'))
        verb.add_argument('--models', type=Path, default=Path('models'))
        verb.add_argument('--clips', type=Path, help='folder of videos to compare the sources on')
        verb.add_argument('--processes', type=int, default=2)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; return 0, or 2 for input that cannot be used."""
    options = _parser().parse_args(arguments)
    # Each verb imports TensorFlow only when it needs it.
    from emotion_estimator.training import verbs

    try:
        getattr(verbs, options.verb)(options)
    except EmotionEstimatorError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('stopped; the same command continues', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
