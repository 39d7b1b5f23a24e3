"""``python -m emotion_estimator.demo``: the same as ``emotion-estimator demo``."""

import sys

from emotion_estimator.cli.main import main

if __name__ == '__main__':
    sys.exit(main(['demo', *sys.argv[1:]]))
