"""``emotion-estimator zoo <verb>``: the papers' other models, on labelled video."""

from __future__ import annotations

import importlib
from typing import Any

import click

from emotion_estimator.cli.lazy import LazyVerbs
from emotion_estimator.cli.training import extra_named, file_named

#: Each verb's module, imported when it is asked for, and what the list of verbs says of it.
VERBS = {
    'data': ('data', 'Count the clips of each class and subject, and name what is wrong.'),
    'frames': ('data', 'Find the faces in all clips, cut them out and keep them.'),
    'make-set': ('data', 'Make a set of clips of faces in motion.'),
    'run': ('models', 'Train and compare models on the same split of a set.'),
    'structure': ('models', "Print a model's layers."),
    'grid': ('models', "Search a sequence model's settings, as seed 004 did."),
    'export': ('models', 'Write a trained model as TFLite, for the estimator node.'),
}


class _Verbs(LazyVerbs):
    verbs = VERBS

    def load(self, name: str, where: str) -> click.Command:
        with extra_named():
            module: Any = importlib.import_module(f'{__name__}.{where}')
        command: click.Command = getattr(module, name.replace('-', '_'))
        return command

    def invoke(self, ctx: click.Context) -> Any:
        # Verbs import what is slow to import once they run.
        with extra_named(), file_named():
            return super().invoke(ctx)


zoo = _Verbs('zoo', help=(
    "Train and compare the papers' other models on labelled video (docs/zoo.md). An interrupted "
    'verb continues where it was when called again.'
), short_help="Train and compare the papers' other models on labelled video.")
