"""``emotion-estimator training <verb>``: from raw images to the shipped models."""

from __future__ import annotations

from emotion_estimator_training.cli.verbs import ExtraVerbs

#: Each verb's module, imported when it is asked for (some of them bring matplotlib), and what the
#: list of verbs says of it.
VERBS = {
    'all': ('all', 'Run the whole pipeline on your data, from raw images to models and a report.'),
    'data': ('data', 'Count the images of each class and split.'),
    'clean': ('data', 'Find the images in which no face is seen.'),
    'make-set': ('data', 'Make a small set, to try training without FER2013.'),
    'blendshapes': ('models', "Distil the bundled face mesh's blendshape head."),
    'features': ('features', 'Look at every image, and write the blendshapes.'),
    'covered': ('features', 'Cover parts of faces, and look at them anew.'),
    'appearance': ('models', 'Train the network that reads face crops.'),
    'relevant': ('features', 'List the blendshapes that tell anything.'),
    'sequences': ('models', 'Draw sequences as the streaming network learns from.'),
    'fit': ('models', 'Train paper, paper-relevant, dense or streaming.'),
    'tune': ('models', "Search a network's settings with Keras Tuner."),
    'quantize': ('models', 'Write the streaming network as TFLite, if it stays the same.'),
    'evaluate': ('report', 'Measure every model; write one page and one JSON file.'),
    'stability': ('report', 'Measure label flips and delay of every model.'),
}


class _Verbs(ExtraVerbs):
    verbs, package = VERBS, __name__


training = _Verbs(
    'training',
    help=(
        'Train and measure the models on labelled faces (docs/training.md). An interrupted verb '
        'continues where it was when called again.'
    ),
    short_help='Train and measure the models on labelled faces.',
)
