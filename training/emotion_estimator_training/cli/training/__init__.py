"""``emotion-estimator training <verb>``: from raw images to the shipped models."""

from __future__ import annotations

from emotion_estimator_training.cli.verbs import ExtraVerbs

#: Each verb's module, imported on use (some need matplotlib), and its short help.
VERBS = {
    'all': ('all', 'Run the full pipeline on your data, from raw images to models and a report.'),
    'data': ('data', 'Count the images of each class and split.'),
    'clean': ('data', 'Find the images in which no face is found.'),
    'make-set': ('data', 'Make a small synthetic set, to try training without FER2013.'),
    'blendshapes': ('blendshapes', "Distil the bundled face mesh's blendshape head."),
    'features': ('features', 'Extract blendshapes and crops from every image.'),
    'covered': ('features', 'Extract features of faces that are partly covered.'),
    'people': ('features', 'Extract features of photographs of people; make people talk.'),
    'appearance': ('appearance', 'Train the network for face crops.'),
    'relevant': ('features', 'List the relevant blendshapes.'),
    'sequences': ('sequences', 'Draw examples of training sequences.'),
    'fit': ('fit', 'Train paper, paper-relevant, dense or streaming.'),
    'tune': ('tune', "Search a network's settings with Keras Tuner."),
    'quantize': (
        'quantize',
        'Convert the streaming network to TFLite, if its answers stay the same.',
    ),
    'speaking': ('speaking', 'Fit the model that tells when somebody speaks.'),
    'evaluate': ('report', 'Measure every model; write one page and one JSON file.'),
    'stability': ('report', 'Measure label flips and delay of every model.'),
}


class _Verbs(ExtraVerbs):
    verbs, package = VERBS, __name__


training = _Verbs(
    'training',
    help=(
        'Train and measure the models on labelled faces (docs/training.md). An interrupted verb '
        'resumes when run again.'
    ),
    short_help='Train and measure the models on labelled faces.',
)
