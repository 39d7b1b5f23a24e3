"""``emotion-estimator zoo <verb>``: the papers' other models, on labelled video."""

from __future__ import annotations

from emotion_estimator_training.cli.verbs import ExtraVerbs

#: Each verb's module, imported when it is asked for, and what the list of verbs says of it.
VERBS = {
    'data': ('data', 'Count the clips of each class and subject, and name what is wrong.'),
    'frames': ('data', 'Find the faces in all clips, cut them out and keep them.'),
    'make-set': ('data', 'Make a set of clips of faces in motion.'),
    'run': ('models', 'Train and compare models on the same split of a set.'),
    'structure': ('models', "Print a model's layers."),
    'grid': ('models', "Search a sequence model's settings, as Terbouche and Chaoui did."),
    'export': ('models', 'Write a trained model as TFLite, for the estimator node.'),
}


class _Verbs(ExtraVerbs):
    verbs, package = VERBS, __name__


zoo = _Verbs(
    'zoo',
    help=(
        "Train and compare the papers' other models on labelled video (docs/zoo.md). An "
        'interrupted verb continues where it was when called again.'
    ),
    short_help="Train and compare the papers' other models on labelled video.",
)
