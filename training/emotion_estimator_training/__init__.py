"""Research beside the robot package: data, features, models, evaluation, shipping, the zoo."""

from pathlib import Path

#: Folder of the shipped groupings, label maps and model settings.
CONFIG = Path(__file__).parent / 'config'
