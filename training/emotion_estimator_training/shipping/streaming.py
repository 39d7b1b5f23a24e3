"""From the trained streaming network to the shipped file, if both agree."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import InputError, ModelError
from emotion_estimator.runtimes import quiet, runtimes
from emotion_estimator_training.data.stills import FER_CLASSES, PUBLIC_TEST, TRAINING
from emotion_estimator_training.features.embeddings import Embedder, with_embeddings
from emotion_estimator_training.features.feature_set import (
    EMBEDDING,
    SHAPES,
    FeatureSet,
    load_sources,
)
from emotion_estimator_training.models.legacy_keras import keras, tf
from emotion_estimator_training.models.paper_networks import build
from emotion_estimator_training.models.paper_settings import still_settings
from emotion_estimator_training.models.paper_training import CARD, StillRecognizer
from emotion_estimator_training.models.streaming_network import step_function
from emotion_estimator_training.models.streaming_run import appearance_card
from emotion_estimator_training.models.streaming_store import (
    STILL_DT,
    STILL_STEPS,
    FittedStreaming,
    load_streaming,
)
from emotion_estimator_training.sequences.sequences import (
    SequenceMaker,
    Sequences,
    SequenceSettings,
)
from emotion_estimator_training.shipping.cards import measure_card, write_model
from emotion_estimator_training.shipping.identity import LOCAL, ModelIdentity
from emotion_estimator_training.shipping.parity import LEAST_AGREEMENT, RULE, Candidate, choose
from emotion_estimator_training.shipping.quantize import (
    FLOAT,
    WAYS,
    converted,
    float_operators,
)
from emotion_estimator_training.shipping.step_time import (
    Files,
    StepTimes,
    against_paper,
    measured_apart,
)
from emotion_estimator_training.tables import write_json

#: Numbers of sequences and frames: of PublicTest's faces for parity, 12,000 frames, and of
#: Training's faces for scaling int8 activations.
_PARITY, _SCALING = (100, 120), (24, 48)
#: Fixed, so that files of different trainings are compared on the same frames.
_PARITY_SEED, _SCALING_SEED = 41, 42

PAPER_FORMS = ("paper's network", "paper's network, unrolled")


def export_tflite(recognizer: StillRecognizer, unrolled: bool = False) -> bytes:
    """Return a network of single frames as float TFLite with built-in operators only.

    Its input ``blendshapes`` is float32 [1, K, 1] for an LSTM and [1, K] for a dense network, in
    the order of ``recognizer.inputs``; its output [1, L] are the probabilities. An LSTM with selu
    is not fused but becomes loops over the K scores.

    :param unrolled: unroll the loops: half the time per frame for four times the bytes.
    """
    model = _unrolled(recognizer.model) if unrolled else recognizer.model
    function = tf.function(
        lambda blendshapes: model(blendshapes, training=False),
        input_signature=[tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, 'blendshapes')],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], model
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    with quiet():
        content: bytes = converter.convert()
    return content


def _unrolled(model: Any) -> Any:
    def copy(layer: Any) -> Any:
        config = layer.get_config()
        return type(layer).from_config({**config, 'unroll': True} if 'unroll' in config else config)

    copied = keras.models.clone_model(model, clone_function=copy)
    copied.set_weights(model.get_weights())
    return copied


def quantize_streaming(
    run: Path,
    models: Path,
    with_paper: bool = True,
    rounds: int = 40,
    faces: int = 200,
    identity: ModelIdentity = LOCAL,
) -> dict[str, Any]:
    """Convert in every way, compare with the float network, and write the fastest that passes.

    Writes ``<models>/emotion_lstm.tflite``, ``.json`` and ``.md`` with metrics on PublicTest. All
    measurements are in ``<run>/tables/quantization.json``, even if no conversion passes.

    :param with_paper: time the paper's network too, which takes half a minute to convert.
    :param rounds: of timing all networks in turns.
    :param faces: steady faces that flips are counted on; half as many more changes are timed.
    :param identity: whose the model is.
    :returns: the card's metrics.
    :raises ParityError: no conversion agrees with the float network.
    :raises ModelError: nothing was fitted, or no TFLite runtime works.
    :raises InputError: the run has no features to compare on.
    """
    fitted = load_streaming(run)
    appearance = appearance_card(run, models if (models / 'appearance.json').is_file() else None)
    embed = Embedder(appearance)
    if fitted.settings.get('appearance_sha256') != embed.sha256:
        raise ModelError(
            f'the streaming network of {run} was trained with another appearance network than '
            f'{appearance}; run "emotion-estimator training fit streaming" again'
        )
    sources = [
        with_embeddings(each.where(~each.augmented), embed, f'{each.source}, crops')
        for each in load_sources(run)
    ]
    contents, failures = _conversions(fitted, _sequences(sources, TRAINING, _SCALING))
    moving = _sequences(sources, PUBLIC_TEST, _PARITY)
    papers, made_of = _papers(run, fitted.grouping.labels) if with_paper else ({}, '')
    with TemporaryDirectory() as folder:
        measured = measured_apart(
            Files(
                {
                    way: write_model(content, _card(fitted, way), Path(folder) / str(number))
                    for number, (way, content) in enumerate(contents.items())
                },
                FLOAT,
                _written(papers, Path(folder)),
                moving.vectors,
                moving.dt[..., 0],
                fitted.probabilities(moving.vectors, moving.dt),
                rounds,
            )
        )
    candidates = [
        _candidate(way, content, measured) for way, content in contents.items() if way != FLOAT
    ]
    table: dict[str, Any] = {
        'quantization': {
            'frames': moving.row.size,
            'least_agreement': LEAST_AGREEMENT,
            'rule': RULE,
            'candidates': {
                one.name: {**one.summary(), 'float_operators': float_operators(contents[one.name])}
                for one in candidates
            },
            'not_convertible': failures,
        },
        'time': {
            'unit': 'microseconds',
            'machine': platform.processor() or platform.machine(),
            'runtimes': {name: metadata.version(name.replace('_', '-')) for name in runtimes()},
            'rounds': rounds,
            'networks': measured.times,
            'notes': measured.notes,
        },
    }
    path = run / 'tables' / 'quantization.json'
    write_json(table, path)
    chosen = choose(candidates)
    table['quantization']['chosen'] = chosen.name
    if papers:
        table['time']['paper'] = made_of
        table['time']['share_of_paper'] = against_paper(measured, chosen.name, papers)
    write_json(table, path)
    card = {**_card(fitted, chosen.name), 'metrics': table}
    written = write_model(contents[chosen.name], card, models, identity)
    return measure_card(
        written,
        {each.source: each for each in sources},
        public_only=True,
        faces=faces,
        pairs=faces + faces // 2,
    )


def _sequences(sources: Sequence[FeatureSet], split: int, shape: tuple[int, int]) -> Sequences:
    """Make ``shape[0]`` sequences of ``shape[1]`` frames of a split's faces."""
    parts = [each.where(each.usage == split) for each in sources]
    pool = np.concatenate([each.vectors for each in parts])
    try:
        maker = SequenceMaker(
            pool, np.concatenate([each.emotion for each in parts]), SequenceSettings(steps=shape[1])
        )
    except ValueError as error:
        raise InputError(f'{error}; Training and PublicTest must have both') from error
    return maker(shape[0], _SCALING_SEED if split == TRAINING else _PARITY_SEED)


def _conversions(
    fitted: FittedStreaming, scaling: Sequences
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return the converted files by way, and why the other ways failed."""
    function = step_function(fitted.network, fitted.vocabularies)
    inputs = list(_in_order(function, scaling, fitted.state_size))
    contents: dict[str, bytes] = {}
    failures: dict[str, str] = {}
    for way in WAYS:
        try:
            contents[way] = converted(function, way, lambda: inputs)
        except ModelError as error:
            failures[way] = str(error)
    if FLOAT not in contents:
        raise ModelError(failures[FLOAT])
    return contents, failures


def _in_order(step: Any, sequences: Sequences, size: int) -> Iterator[list[NDArray[np.float32]]]:
    """Run the float step; yield each frame's inputs, including the states that occur."""
    for rows, dt in zip(sequences.vectors, sequences.dt):
        state = np.zeros((1, size), np.float32)
        for row, interval in zip(rows[:, None], dt):
            inputs = [row[:, :SHAPES], row[:, SHAPES:-2], row[:, -2:], interval[None], state]
            yield inputs
            state = np.asarray(step(*inputs)[-1])


def _papers(run: Path, labels: tuple[str, ...]) -> tuple[dict[str, bytes], str]:
    """Return both forms of the paper's network, and how it was made."""
    folder = run / 'checkpoints' / 'paper'
    if (folder / CARD).is_file():
        network, made_of = StillRecognizer.load(folder), 'as fitted in this run'
    else:
        inputs = tuple(range(52))
        model = build(still_settings('paper'), len(inputs), len(labels))
        network = StillRecognizer('paper', labels, inputs, model)
        made_of = 'untrained, of the same shape'
    return {
        form: export_tflite(network, unrolled) for form, unrolled in zip(PAPER_FORMS, (False, True))
    }, made_of


def _written(papers: Mapping[str, bytes], folder: Path) -> dict[str, Path]:
    paths = {}
    for number, (form, content) in enumerate(papers.items()):
        paths[form] = folder / f'paper{number}.tflite'
        paths[form].write_bytes(content)
    return paths


def _candidate(way: str, content: bytes, measured: StepTimes) -> Candidate:
    return Candidate(
        way,
        len(content),
        measured.parity.get(way, {}),
        measured.failures.get(way, {}),
        {name: row['step_median'] for name, row in measured.times.get(way, {}).items()},
    )


def _card(fitted: FittedStreaming, way: str) -> dict[str, Any]:
    return {
        'kind': 'emotion_lstm',
        'labels': list(fitted.grouping.labels),
        'trained_on': 'sequences made from the Training stills, blendshapes and crops of '
        + ' and '.join(fitted.settings['sources']),
        'settings': {
            'state_size': fitted.state_size,
            'still_steps': STILL_STEPS,
            'still_dt': STILL_DT,
            'embedding_size': EMBEDDING,
            'expressions': list(FER_CLASSES),
            'quantization': way,
            **fitted.settings,
            'temperatures': {name: round(one, 3) for name, one in fitted.temperatures.items()},
            'logit_biases': {
                name: [round(float(one), 3) for one in point]
                for name, point in fitted.operating_points.items()
            },
        },
        'metrics': {},
    }
