"""What a step takes: quantized networks and the paper's, in every runtime, side by side.

All are measured in turns, many times, in one process, so that whatever else the machine does falls
on all alike. That process is one of its own: where TensorFlow is loaded, tflite-runtime cannot read
any file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimator.errors import ModelError
from emotion_estimator.model_card import ModelCard
from emotion_estimator.perception.classifier import EmotionClassifier
from emotion_estimator.runtimes import open_interpreter, runtimes
from emotion_estimator_training.evaluation.recognizers import StreamingRecognizer, split_vector
from emotion_estimator_training.evaluation.timing import MICROSECONDS, Stopwatch
from emotion_estimator_training.features.feature_set import EMBEDDING, SHAPES
from emotion_estimator_training.shipping.parity import Parity, parity

Floats = NDArray[np.float32]

#: Calls in a row in one round: of ours, and of the paper's, each of which takes so much longer.
_OURS_IN_A_ROW, _PAPERS_IN_A_ROW = 50, 5


@dataclass(frozen=True, eq=False)
class Files:
    """What is measured.

    :param cards: by name, cards of quantized networks; ``baseline`` is the name of the one that
        every runtime must be able to run to take part.
    :param papers: by name, TFLite files of the paper's network, with one input.
    :param vectors: (B, T, 118), faces in order; ``dt`` (B, T) seconds.
    :param reference: (B, T, L), what the float network says.
    """

    cards: Mapping[str, Path]
    baseline: str
    papers: Mapping[str, Path]
    vectors: Floats
    dt: Floats
    reference: Floats
    rounds: int = 40


@dataclass
class StepTimes:
    """What was measured.

    :param parity: by network and runtime; ``failures``, why one cannot run in the other.
    :param times: by network and runtime, microseconds: ``step_median`` and ``step_p95`` of all that
        one frame costs (for the paper's network: input, run, output), ``invoke_median`` and
        ``invoke_p95`` of the runtime's part alone.
    :param notes: runtimes left out, and why.
    """

    parity: dict[str, dict[str, Parity]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    times: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def measured_apart(files: Files) -> StepTimes:
    """Measure in a new process, which holds no TensorFlow.

    :raises ModelError: no runtime runs the baseline, or one ended the process.
    """
    try:
        with ProcessPoolExecutor(1, get_context('spawn')) as pool:
            return pool.submit(measure, files).result()
    except BrokenProcessPool as error:
        raise ModelError(
            'a TFLite runtime ended the process that measures networks; run it again with one '
            'runtime installed'
        ) from error


def measure(files: Files) -> StepTimes:
    """Ask every network about every frame, in every runtime, and time steps; see :class:`Files`.

    :raises ModelError: no runtime runs the baseline.
    """
    found = StepTimes()
    runs: dict[tuple[str, str, str], tuple[Callable[[], Any], int]] = {}
    for runtime in runtimes():
        try:
            EmotionClassifier.load(files.cards[files.baseline], runtime)
        except ModelError as error:
            found.notes.append(f'{runtime} is left out: {error}')
            continue
        for name, card in files.cards.items():
            try:
                classifier = EmotionClassifier.load(card, runtime)
            except ModelError as error:
                found.failures.setdefault(name, {})[runtime] = _reason(error)
                continue
            answers = StreamingRecognizer(classifier).sequences(files.vectors, files.dt)
            found.parity.setdefault(name, {})[runtime] = parity(answers, files.reference)
            runs[name, runtime, 'step'] = _steps(classifier, files), _OURS_IN_A_ROW
            bare = open_interpreter(ModelCard.load(card, 'emotion_lstm').path, runtime)
            _set_inputs(bare, files.vectors[0, 0])
            runs[name, runtime, 'invoke'] = bare.invoke, _OURS_IN_A_ROW
        for name, path in files.papers.items():
            whole, bare = open_interpreter(path, runtime), open_interpreter(path, runtime)
            runs[name, runtime, 'step'] = _paper_step(whole, files.vectors), _PAPERS_IN_A_ROW
            _set_inputs(bare, files.vectors[0, 0])
            runs[name, runtime, 'invoke'] = bare.invoke, _PAPERS_IN_A_ROW
    if not runs:
        raise ModelError(f'no TFLite runtime to measure in: {"; ".join(found.notes) or "none"}')
    watch = Stopwatch()
    for number in range(files.rounds + 1):
        for key in watch.shuffled(runs):
            call, repeats = runs[key]
            # The first round warms up.
            watch.run(key, call, repeats, keep=number > 0)
    for key in runs:
        name, runtime, part = key
        row = found.times.setdefault(name, {}).setdefault(runtime, {})
        row[f'{part}_median'] = round(watch.median(key, MICROSECONDS), 2)
        row[f'{part}_p95'] = round(watch.percentile(key, 95, MICROSECONDS), 2)
    return found


def _reason(error: ModelError) -> str:
    """Return what a runtime says, without the file, which is a temporary one, and its advice."""
    said = str(error)
    inner = said[said.find('(') + 1 : said.rfind(')')] if '(' in said else said
    return inner.split('. ')[0]


def _steps(classifier: EmotionClassifier, files: Files) -> Callable[[], None]:
    """Return a function that gives the classifier the next frame at each call."""
    faces = [split_vector(row) for row in files.vectors.reshape(-1, files.vectors.shape[-1])]
    dt = files.dt.reshape(-1).tolist()
    state, at = classifier.initial_state(), 0

    def step() -> None:
        nonlocal state, at
        blendshapes, embedding = faces[at]
        _, state = classifier(blendshapes, state, dt[at], embedding)
        at = (at + 1) % len(dt)

    return step


def _paper_step(interpreter: Any, vectors: Floats) -> Callable[[], Any]:
    (into,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()
    values = _shaped(vectors[0, 0], into['shape'])

    def step() -> Any:
        interpreter.set_tensor(into['index'], values)
        interpreter.invoke()
        return interpreter.get_tensor(out['index'])

    return step


def _set_inputs(interpreter: Any, vector: Floats) -> None:
    """Give a network one face, 1/30 s and an empty state, whichever of these it takes."""
    given = {
        SHAPES: vector[:SHAPES],
        EMBEDDING: vector[SHAPES:-2],
        2: vector[-2:],
        1: np.full(1, 1 / 30),
    }
    for tensor in interpreter.get_input_details():
        size = int(np.prod(tensor['shape']))
        # What the paper's network reads may be a part of the blendshapes only.
        values = given.get(size, vector[:size] if size < SHAPES else np.zeros(size))
        interpreter.set_tensor(tensor['index'], _shaped(values, tensor['shape']))


def _shaped(values: NDArray[Any], shape: NDArray[Any]) -> Floats:
    return values[: int(np.prod(shape))].reshape(shape).astype(np.float32)


def against_paper(measured: StepTimes, name: str, papers: Mapping[str, Any]) -> dict[str, float]:
    """Return the share of the paper's time that ours takes, in the runtime where it is greatest.

    :param papers: names of the forms of the paper's network.
    :returns: of each form, the median step's share; ``fastest form`` is held to the quickest.
    """
    ours = {runtime: row['step_median'] for runtime, row in measured.times[name].items()}
    shares = {
        form: {
            runtime: ours[runtime] / measured.times[form][runtime]['step_median']
            for runtime in ours
        }
        for form in papers
    }
    if not shares:
        return {}
    return {
        **{form: round(max(by.values()), 4) for form, by in shares.items()},
        'fastest form': round(
            max(max(by[runtime] for by in shares.values()) for runtime in ours), 4
        ),
    }


def time_table(metrics: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Return header and rows of a card's ``time``, in microseconds."""
    keys = ('step_median', 'step_p95', 'invoke_median', 'invoke_p95')
    return (
        [
            'network',
            'runtime',
            'step, median us',
            'step, p95 us',
            'invoke, median us',
            'invoke, p95 us',
        ],
        [
            [name, runtime, *(row[key] for key in keys)]
            for name, by in metrics['networks'].items()
            for runtime, row in by.items()
        ],
    )
