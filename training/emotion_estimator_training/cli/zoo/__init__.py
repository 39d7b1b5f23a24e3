"""``emotion-estimator zoo <verb>``: the papers' other models on labelled video."""

from __future__ import annotations

from emotion_estimator_training.cli.verbs import ExtraVerbs

#: Module of each verb, imported on use, and its line in the list of verbs.
VERBS = {
    'data': ('data', 'Count clips by class and part, and list problems.'),
    'frames': ('data', 'Find, crop and cache the faces of all clips.'),
    'make-set': ('data', 'Make a set of clips of animated faces.'),
    'pretrain': ('models', 'Let networks of pixels learn FER2013 first.'),
    'run': ('models', 'Train and compare models on one split of a set.'),
    'structure': ('models', "Print a model's layers."),
    'grid': ('models', "Search a model's settings over Terbouche and Chaoui's grid."),
    'export': ('models', 'Locate or copy a trained model for the estimator node.'),
}


class _Verbs(ExtraVerbs):
    verbs, package = VERBS, __name__


zoo = _Verbs(
    'zoo',
    help=(
        "Train and compare the papers' other models on labelled video (docs/zoo.md). An "
        'interrupted verb resumes when run again.'
    ),
    short_help="Train and compare the papers' other models on labelled video.",
)
